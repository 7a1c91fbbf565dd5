"""Whether two pictures are one, but for how it lies, its size and what compression did to it: pixels against pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float, Shaped
from eqmodels.data.pictures import Picture
from eqmodels.groups import PlanarGroup
from eqmodels.transforms.preprocessing import Pixels
from eqmodels.transforms.resizing import Resize

__all__ = ["MOVES", "Comparison", "Miniature", "compare", "miniature"]

MOVES = PlanarGroup.parse("d4")
"""The ways a picture may lie: turned by quarters, mirrored, or both."""

SIDE, PARTS = 64, 16
"""Pixels of a miniature along each axis, and parts, each judged by its mean."""


@dataclass(frozen=True, eq=False)
class Miniature:
    """What pictures are compared by.

    Attributes:
        pixels: ``(3, 64, 64)``, uint8: the whole picture, upright, on white.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
    """

    pixels: Shaped[Tensor, "3 S S"]
    height: int
    width: int


@dataclass(frozen=True)
class Comparison:
    """How much one picture differs from another one that was moved as fits best.

    Attributes:
        element: of D4, that moves the first picture onto the second.
        difference: of the pixels, root mean square, in [0, 1].
        worst: of the means of parts of 1/16 of the side, the largest difference.
        contrast: the smaller one of the pixels' standard deviations.
        same_shape: whether the sides have the same proportion, as far as whole pixels can.
    """

    element: int
    difference: float
    worst: float
    contrast: float
    same_shape: bool


def miniature(picture: Picture) -> Miniature:
    """A picture of PIL, in small; a picture that was turned by quarters or mirrored has the same one, moved.

    Raises:
        ValueError: if it cannot be made RGB.
    """
    upright = Pixels(3)(picture)
    pixels = Resize((SIDE, SIDE), "squash")(upright)
    height, width = upright.shape[-2:]
    return Miniature((pixels * 255).round().to(torch.uint8), height, width)


def compare(first: Miniature, second: Miniature) -> Comparison:
    """The element that moves the first picture nearest to the second one, and what is left between them."""
    own, other = (one.pixels.float() / 255 for one in (first, second))
    moved = torch.stack([MOVES.act(g, own) for g in MOVES.elements])
    gaps: Float[Tensor, "8 3 S S"] = moved - other
    squares = gaps.square().mean((1, 2, 3))
    # Of a symmetric picture several elements do: the first, unless another one is clearly better.
    element = int((squares <= squares.min() + 1e-6).nonzero()[0])
    lies = MOVES.degrees(element) % 180 != 0
    sides = (first.width, first.height) if lies else (first.height, first.width)
    return Comparison(
        element,
        float(squares[element].sqrt()),
        float(F.avg_pool2d(gaps[element], SIDE // PARTS).abs().max()),
        float(torch.stack([own, other]).flatten(1).std(1, correction=0).min()),
        _same_shape(sides, (second.height, second.width)),
    )


def _same_shape(sides: tuple[int, int], others: tuple[int, int]) -> bool:
    """Whether some resizing, which rounds both sides to whole pixels, leads from one size to the other."""
    larger, smaller = sorted((sides, others), key=lambda pair: pair[0] * pair[1], reverse=True)
    scales = [(new - 1) / old for new, old in zip(smaller, larger, strict=True)]
    return max(scales) <= min((new + 1) / old for new, old in zip(smaller, larger, strict=True))
