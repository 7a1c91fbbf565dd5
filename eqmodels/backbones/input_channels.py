"""An encoder for images of another number of channels than it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.describe import rebuilt
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.overwritten import to_be_overwritten
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
    with to_be_overwritten():
        adapted = rebuilt(encoder, in_chans=check_count("in_chans", in_chans, 1))
    state, own = encoder.state_dict(), adapted.state_dict()
    if state.keys() != own.keys():
        raise ValueError(
            f"only networks as create_model builds them can be adapted; this {type(encoder).__name__} has other "
            "layers. Adapt the network first, and exchange children then."
        )
    adapted.load_state_dict(adapted_state(state, own))
    reference = next(encoder.parameters())
    adapted.to(reference.device, reference.dtype).train(encoder.training)
    adapted.classes, adapted.license = encoder.classes, encoder.license
    adapted.set_grad_checkpointing(encoder.grad_checkpointing)
    adapted.regularise(encoder.drop_rate, encoder.drop_path_rate)
    if encoder.preprocessing is not None:
        adapted.preprocessing = encoder.preprocessing.with_channels(in_chans)
    return adapted
