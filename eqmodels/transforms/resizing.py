"""Resizing that commutes with the turns and flips of a picture: one that lies on its side becomes the tensor, turned.

Rounding to 8 bits between the two axes does not commute (by 4e-3), nor does a centre crop whose margin is an odd number
of pixels (by a pixel). So pixels stay floats, and what is cut out is centred to a part of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels._shapes import Shaped
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.registry import Registry

__all__ = ["FORMER", "RESIZING", "Resize", "Size"]

Size = tuple[int, int]
"""Height and width in pixels."""

RESIZING: Registry[Callable[[Tensor, Size], Tensor]] = Registry("resizing", "resizings")
"""Functions from pixels ``(..., C, H, W)``, uint8 or floats in [0, 1], and a size to pixels of this size, by name."""

FORMER = "squash_8bit"
"""The rule of networks whose files name none."""

PARTS = 64
"""Of a pixel, to which what is cut out is centred: with so few, PIL's box, in float32, is centred to the last bit."""


class Resize(nn.Module):
    """Pixels ``(..., C, H, W)`` of one size, by a rule of a name.

    Args:
        size: height and width in pixels.
        rule: one of ``"crop"``, ``"crop_7_8"``, ``"squash"`` and ``"squash_8bit"``, or one that is registered.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no rule of this name, or a side is below 1.
    """

    def __init__(self, size: Size, rule: str) -> None:
        check_arguments(Resize, {"size": size, "rule": rule})
        super().__init__()
        for side in size:
            check_count("size", side)
        self.size, self.rule = size, rule
        self.resize = RESIZING.find(rule, plugins=False)

    def forward(self, pixels: Shaped[Tensor, "*batch C H W"]) -> Shaped[Tensor, "*batch C height width"]:
        """The pixels of `size`."""
        return self.resize(pixels, self.size)

    def extra_repr(self) -> str:
        """The arguments, for `print(transform)`."""
        return f"{self.size}, {self.rule!r}"


@RESIZING.register("crop")
def cropped(pixels: Shaped[Tensor, "*batch C H W"], size: Size) -> Shaped[Tensor, "*batch C height width"]:
    """The largest part in the middle that has the proportions of `size`, antialiased and bilinear; floats in [0, 1]."""
    return _cut(pixels, size, 1.0)


@RESIZING.register("crop_7_8")
def cropped_closer(pixels: Shaped[Tensor, "*batch C H W"], size: Size) -> Shaped[Tensor, "*batch C height width"]:
    """The middle of what ``"crop"`` takes, seven eighths along each axis: classifiers of ImageNet see 224 of 256."""
    return _cut(pixels, size, 7 / 8)


def _cut(pixels: Shaped[Tensor, "*batch C H W"], size: Size, part: float) -> Shaped[Tensor, "*batch C height width"]:
    """A part, along each axis, of the largest part in the middle that has the proportions of `size`, resampled."""
    sides = pixels.shape[-2], pixels.shape[-1]
    scale = max(new / old for new, old in zip(size, sides, strict=True)) / part
    top, left = (round((old - new / scale) / 2 * PARTS) / PARTS for new, old in zip(size, sides, strict=True))
    return _resampled(pixels, size, top, left)


@RESIZING.register("squash")
def squashed(pixels: Shaped[Tensor, "*batch C H W"], size: Size) -> Shaped[Tensor, "*batch C height width"]:
    """The whole picture, whatever its proportions are, antialiased and bilinear; floats in [0, 1]."""
    return _resampled(pixels, size, 0.0, 0.0)


@RESIZING.register(FORMER)
def squashed_in_8_bits(pixels: Shaped[Tensor, "*batch C H W"], size: Size) -> Shaped[Tensor, "*batch C height width"]:
    """The same by torchvision, which rounds uint8 after each axis; pixels of the type that they have."""
    resized: Tensor = v2.functional.resize(pixels, list(size), antialias=True)
    return resized


def _resampled(
    pixels: Shaped[Tensor, "*batch C H W"], size: Size, top: float, left: float
) -> Shaped[Tensor, "*batch C height width"]:
    """All but a margin of pixels, resampled plane by plane in floats; by PIL, which alone takes parts of a pixel."""
    levels = 255 if pixels.dtype == torch.uint8 else 1
    height, width = pixels.shape[-2:]
    box = (left, top, width - left, height - top)
    planes = pixels.flatten(0, -3).to("cpu", torch.float64) / levels
    found = np.stack(
        [
            np.asarray(
                Image.fromarray(plane.numpy().astype(np.float32)).resize(
                    (size[1], size[0]), Image.Resampling.BILINEAR, box=box
                )
            )
            for plane in planes
        ]
    )
    resampled: Tensor = torch.from_numpy(found).clamp(0, 1).unflatten(0, pixels.shape[:-2]).to(pixels.device)
    return resampled
