"""A wider encoder that computes what a narrower one has learned, for training to go on from."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.dense.dense_network import DenseNetwork
from eqmodels.backbones.remade import remade
from eqmodels.checks import check_count

__all__ = ["with_width"]

N = TypeVar("N", bound=Backbone)

UNEVEN = 0.5
"""How far the parts of a weight are from equal ones, as a share of them, at most."""


def with_width(encoder: N, width: int, *, seed: int = 0) -> N:
    """A copy of an encoder that is some times as wide and has the same maps, each field so many times in a row.

    Every output of a layer is there n = width / old width times, and every weight that reads one of them is shared out
    among the n in parts that are drawn at random and add up to it. So nothing of what was learned is lost, in eval mode
    and in train mode, and the copies come apart as soon as training goes on, since others read them with other weights.
    (Net2WiderNet of Chen, Goodfellow and Shlens 2016, arXiv 1511.05641, for fields: the copy is equivariant as before.)

    Args:
        encoder: of our own layers, as `create_model` builds it; its classifier is left out.
        width: channels of the first stage, a multiple of the encoder's.
        seed: of the parts.

    Raises:
        TypeError: if the encoder is no `Backbone`, or `width` or `seed` no integer.
        ValueError: if `width` is not a multiple of the encoder's, or the encoder is dense, or has no width, other
            layers than its class builds, layers of another library, or layers that are not as many times as wide, such
            as the narrow stem of a wide ResNet may be.
    """
    check_arguments(with_width, {"encoder": encoder})
    check_count("width", width, 1)
    narrow = encoder.structure.get("width")
    if isinstance(encoder, DenseNetwork):
        raise ValueError(
            f"encoder must give one answer an image; got a {type(encoder).__name__}. Make the encoder within it wider, "
            "and build the dense network around that."
        )
    if encoder.backend != "native" or not isinstance(narrow, int) or width % narrow:
        raise ValueError(
            f"width must be a multiple of the encoder's, of eqmodels' own layers; got {width} for a "
            f"{type(encoder).__name__} of width {narrow} and backend {encoder.backend!r}. Pass, say, "
            f"{2 * narrow if isinstance(narrow, int) else 64}, or convert it by to_native."
        )
    wide, state = remade(encoder, "made wider", width=width, num_classes=0)
    own = wide.state_dict()
    times = width // narrow
    for name, value in own.items():
        uneven = [new for old, new in zip(state[name].shape, value.shape, strict=True) if new not in (old, times * old)]
        if uneven:
            raise ValueError(
                f"width must make every layer as many times as wide; of width {width} the tensor {name!r} would have "
                f"{uneven[0]} where {times} times as many are needed. Choose another width, or begin at random."
            )
    generator = torch.Generator().manual_seed(check_count("seed", seed, 0, bits=64))
    # What predicts the pose reads pooled features, and puts out as much as before.
    wide.load_state_dict(
        {
            name: _widened(state[name], value.shape, generator, reads=name.startswith("global_pool."))
            for name, value in own.items()
        }
    )
    wide.preprocessing = encoder.preprocessing
    return wide


def _widened(tensor: Tensor, shape: torch.Size, generator: torch.Generator, *, reads: bool) -> Tensor:
    """A weight, a bias or statistics: repeated along outputs, shared out along inputs, the later of two axes.

    Args:
        tensor: of the narrow network.
        shape: in the wide one.
        generator: of the parts.
        reads: whether inputs alone are more.
    """
    changed = [axis for axis, (old, new) in enumerate(zip(tensor.shape, shape, strict=True)) if old != new]
    repeated, shared = ([], changed) if reads else (changed[:1], changed[1:])
    for axis in repeated:
        tensor = tensor.repeat_interleave(shape[axis] // tensor.shape[axis], axis)
    for axis in shared:
        tensor = _shared_out(tensor, axis, shape[axis] // tensor.shape[axis], generator)
    return tensor


def _shared_out(weight: Float[Tensor, ...], axis: int, copies: int, generator: torch.Generator) -> Float[Tensor, ...]:
    """Each slice along an axis in so many parts, which are unequal and add up to it."""
    parts = torch.rand((*weight.shape, copies), generator=generator, dtype=torch.float64)
    parts = (1 + UNEVEN * (parts - parts.mean(-1, keepdim=True))) / copies
    shared = weight.detach().double().unsqueeze(-1).cpu() * parts
    return shared.movedim(-1, axis + 1).flatten(axis, axis + 1).to(weight)
