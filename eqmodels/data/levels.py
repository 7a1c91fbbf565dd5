"""Pixels in [0, 1] as the 256 levels that files of 8 bits have."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float, Shaped

__all__ = ["are_levels", "from_levels", "to_levels"]


def to_levels(pixels: Float[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """The nearest levels, 0 to 255, uint8."""
    return (pixels * 255).round().to(torch.uint8)


def from_levels(levels: Shaped[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The pixels in [0, 1] that levels stand for, float32."""
    return levels.float() / 255


def are_levels(pixels: Float[Tensor, "*shape"]) -> bool:
    """Whether pixels are such levels over 255, to the last bit."""
    return bool((from_levels(to_levels(pixels)) == pixels).all())
