"""Whether two pictures are one, but for how it lies, its size and what compression did to it: pixels against pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
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

DIMMEST, BRIGHTEST = 0.01, 0.99
"""Parts of the pixels of two deep pictures between which their range lies, so that no hot pixel decides it."""

LEVEL = 1 / (2**16 - 1)
"""The least range: one of 16 bits."""


@dataclass(frozen=True, eq=False)
class Miniature:
    """What pictures are compared by.

    Attributes:
        pixels: ``(C, 64, 64)``: the whole picture, upright, on white; uint8, or float32 in [0, 1] if it is deep: of 16
            bits, floats, or neither one channel nor three.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
    """

    pixels: Shaped[Tensor, "C S S"]
    height: int
    width: int

    @property
    def is_deep(self) -> bool:
        """Whether the picture fills any part of its range, as measured ones do, and not that of 8 bits as seen ones."""
        return self.pixels.is_floating_point()


@dataclass(frozen=True)
class Comparison:
    """How much one picture differs from another one that was moved as fits best.

    Attributes:
        element: of D4, that moves the first picture onto the second.
        difference: of the pixels, root mean square, in [0, 1].
        worst: of the means of parts of 1/16 of the side, the largest difference.
        contrast: the smaller one of the pixels' standard deviations.
        same_shape: whether the sides have the same proportion, as far as whole pixels can.
        is_deep: whether one of the pictures is, so that all is told in the range of both, channel by channel.
    """

    element: int
    difference: float
    worst: float
    contrast: float
    same_shape: bool
    is_deep: bool = False


def miniature(picture: Picture, channels: int = 3) -> Miniature:
    """A picture in small; a picture that was turned by quarters or mirrored has the same one, moved.

    Args:
        picture: as `open_picture` gives it.
        channels: of the picture; of one channel or three it becomes RGB.

    Raises:
        ValueError: if it has others.
    """
    upright = Pixels(3 if channels in (1, 3) else channels)(picture)
    pixels = Resize((SIDE, SIDE), "squash")(upright)
    height, width = upright.shape[-2:]
    is_deep = picture.mode[0] in "IF" if isinstance(picture, Image.Image) else picture.is_floating_point()
    is_deep = is_deep or channels not in (1, 3)
    return Miniature(pixels.float() if is_deep else (pixels * 255).round().to(torch.uint8), height, width)


def compare(first: Miniature, second: Miniature) -> Comparison:
    """The element that moves the first picture nearest to the second one, and what is left between them."""
    own, other = (one.pixels if one.is_deep else one.pixels.float() / 255 for one in (first, second))
    if is_deep := first.is_deep or second.is_deep:
        own, other = _in_their_range(own, other)
    moved = torch.stack([MOVES.act(g, own) for g in MOVES.elements])
    gaps: Float[Tensor, "8 C S S"] = moved - other
    squares = gaps.square().mean((1, 2, 3))
    # Of a symmetric picture several elements do: the first, unless another one is clearly better.
    element = int((squares <= squares.min() + 1e-6).nonzero()[0])
    lies = MOVES.degrees(element) % 180 != 0
    sides = (first.width, first.height) if lies else (first.height, first.width)
    return Comparison(
        element,
        float(squares[element].sqrt()),
        float(F.avg_pool2d(gaps[element], SIDE // PARTS).abs().max()),
        min(_contrast(one, by_channel=is_deep) for one in (own, other)),
        _same_shape(sides, (second.height, second.width)),
        is_deep,
    )


def _in_their_range(*pictures: Float[Tensor, "C S S"]) -> list[Float[Tensor, "C S S"]]:
    """Pictures with each channel stretched to [0, 1], from the dimmest pixels of all of them to the brightest."""
    pixels = torch.stack(pictures).transpose(0, 1).flatten(1)
    low, high = pixels.quantile(torch.tensor([DIMMEST, BRIGHTEST]), dim=1)
    # A few pixels on an even ground are all that there is to see.
    is_even = high - low < LEVEL
    low, high = torch.where(is_even, pixels.amin(1), low), torch.where(is_even, pixels.amax(1), high)
    low, span = low[:, None, None], (high - low).clamp_min(LEVEL)[:, None, None]
    return [((one - low) / span).clamp(0, 1) for one in pictures]


def _contrast(pixels: Float[Tensor, "C S S"], *, by_channel: bool) -> float:
    """The standard deviation of the pixels, of all together or within the channels, which mean different things."""
    deviations = pixels.flatten(1).std(1, correction=0) if by_channel else pixels.std(correction=0)
    return float(deviations.square().mean().sqrt())


def _same_shape(sides: tuple[int, int], others: tuple[int, int]) -> bool:
    """Whether some resizing, which rounds both sides to whole pixels, leads from one size to the other."""
    larger, smaller = sorted((sides, others), key=lambda pair: pair[0] * pair[1], reverse=True)
    scales = [(new - 1) / old for new, old in zip(smaller, larger, strict=True)]
    return max(scales) <= min((new + 1) / old for new, old in zip(smaller, larger, strict=True))
