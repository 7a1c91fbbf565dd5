"""An encoder for images of another number of channels than it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.remade import remade
from eqmodels.checks import check_count

__all__ = ["adapt_channels", "adapted_state", "with_channels"]

N = TypeVar("N", bound=StagedNetwork)


def adapt_channels(weight: Float[Tensor, ...], axis: int, channels: int) -> Float[Tensor, ...]:
    """Filters for another number of input channels: summed for one, else repeated in turn and scaled by old / new.

    An image whose channels are all equal then gives what the average of the old channels gave. (timm does the same for
    networks trained on three channels.)
    """
    old = weight.shape[axis]
    if channels == 1:
        return weight.sum(axis, keepdim=True)
    repeats = [1] * weight.dim()
    repeats[axis] = -(-channels // old)
    return weight.repeat(repeats).narrow(axis, 0, channels) * (old / channels)


def adapted_state(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the lifting filters adapted to a network that differs in the channels of its images alone."""
    adapted = dict(state)
    for name, value in target.items():
        shapes = zip(state[name].shape, value.shape, strict=True) if name in state else ()
        for axis, (old, new) in enumerate(shapes):
            if old != new:
                adapted[name] = adapt_channels(state[name], axis, new)
    return adapted


def with_channels(encoder: N, in_chans: int) -> N:
    """A copy of an encoder for images of `in_chans` channels, its lifting filters adapted, equivariant as before.

    Raises:
        TypeError: if `in_chans` is not an integer.
        ValueError: if it is below 1, or the encoder is not as its class builds it: with children exchanged.
    """
    check_arguments(with_channels, {"encoder": encoder})
    adapted, state = remade(encoder, "adapted", in_chans=check_count("in_chans", in_chans, 1))
    adapted.load_state_dict(adapted_state(state, adapted.state_dict()))
    adapted.classes = encoder.classes
    if encoder.preprocessing is not None:
        adapted.preprocessing = encoder.preprocessing.with_channels(in_chans)
    return adapted
