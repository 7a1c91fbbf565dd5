"""The two poolings that are exact at every size, as one graph for all sizes: no window depends on a size's parity."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from eqmodels._shapes import Float

__all__ = ["halved", "has_open_size", "made_odd"]


def has_open_size(maps: Float[Tensor, "B C H W"]) -> bool:
    """Whether `torch.export`, or the older export to ONNX, keeps sizes open: a graph must hold at every one."""
    if torch.onnx.is_in_onnx_export() and torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True  # the sizes of a trace are tensors, of which ONNX takes no window
    # What stands for maps in a symbolic trace has no shape, and its pooling fits every size as it is.
    return isinstance(maps, Tensor) and any(isinstance(size, torch.SymInt) for size in maps.shape[-2:])


def halved(maps: Float[Tensor, "B C H W"], mode: Literal["mean", "max"]) -> Float[Tensor, "B C H2 W2"]:
    """What `ExactDownsample2d` computes: ``(B, C, ceil(H / 2), ceil(W / 2))``.

    Along an axis of ``n`` pixels, output ``i`` pools the pixels ``2 i - n mod 2``, ``2 i`` and ``2 i + 1``, each once:
    pairs at even sizes, triples that overlap by one at odd ones. One that is outside is replaced by pixel ``2 i``,
    which the maximum does not notice, and the mean leaves out.
    """
    return _halved(_halved(maps, -2, mode), -1, mode)


def made_odd(maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
    """What `OddSize2d` computes: along an even axis the mean of neighbours, along an odd one the pixels themselves."""
    return _made_odd(_made_odd(maps, -2), -1)


def _halved(maps: Float[Tensor, "B C H W"], axis: int, mode: Literal["mean", "max"]) -> Float[Tensor, "B C H2 W2"]:
    size = maps.shape[axis]
    # Not `arange`, which takes no number that stands for another in a trace of PyTorch 2.6.
    middle = 2 * (maps.new_ones((size + 1) // 2, dtype=torch.int64).cumsum(0) - 1)
    before = middle - (size % 2) * (middle > 0).long()
    after = middle + (middle + 1 < size).long()
    left, centre, right = (maps.index_select(axis, pixels) for pixels in (before, middle, after))
    if mode == "max":
        return torch.maximum(centre, torch.maximum(left, right))
    has_left, has_right = ((pixels != middle).to(maps.dtype) for pixels in (before, after))
    if axis == -2:
        has_left, has_right = has_left[:, None], has_right[:, None]
    return (centre + has_left * left + has_right * right) / (1 + has_left + has_right)


def _made_odd(maps: Float[Tensor, "B C H W"], axis: int) -> Float[Tensor, "B C H2 W2"]:
    size = maps.shape[axis]
    left = size - 1 + size % 2
    return (maps.narrow(axis, 0, left) + maps.narrow(axis, size - left, left)) / 2
