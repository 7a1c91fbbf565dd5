"""Where square views of images are, upright and turned by any angle; and views pasted into each other."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int

__all__ = ["crop_boxes", "paste_masks", "previous_chosen"]


def crop_boxes(
    uniforms: Float[Tensor, "B 3"], degrees: Float[Tensor, " B"], smallest_area: float, size: tuple[int, int]
) -> Float[Tensor, "B 3"]:
    """Side, and horizontal and vertical position of the centre, of random square crops, in pixels.

    A crop's area is uniform from `smallest_area` to 1 of the largest square of the image. One that is turned about its
    centre stays within the image, so that no corner tells its angle: its side is at most that square's divided by
    ``|cos| + |sin|``.

    Args:
        uniforms: uniform in [0, 1): area, horizontal and vertical position.
        degrees: by which each crop is turned.
        smallest_area: above 0 and at most 1.
        size: height and width of the images.
    """
    height, width = size
    angle = torch.deg2rad(degrees)
    reach = angle.cos().abs() + angle.sin().abs()
    side = (smallest_area + uniforms[:, 0] * (1 - smallest_area)).sqrt()
    side = torch.minimum(side, 1 / reach) * min(size)
    x, y = (side * reach / 2 + uniforms[:, i] * (free - side * reach) for i, free in ((1, width), (2, height)))
    return torch.stack([side, x, y], 1)


def paste_masks(uniforms: Float[Tensor, "B 3"], size: int) -> Bool[Tensor, "B 1 {size} {size}"]:
    """Random squares within views, where another view is pasted in: an area uniform from 0 to a half.

    Source: CutMix, Yun et al. 2019, arXiv 1905.04899.

    Args:
        uniforms: uniform in [0, 1): area, vertical and horizontal position.
        size: side of the views in pixels.
    """
    side = (uniforms[:, 0] / 2).sqrt() * size
    top, left = (uniforms[:, i] * (size - side) for i in (1, 2))
    centres = torch.arange(size) + 0.5
    rows, columns = ((centres >= low[:, None]) & (centres < (low + side)[:, None]) for low in (top, left))
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def previous_chosen(chosen: Bool[Tensor, " B"]) -> Int[Tensor, " B"]:
    """For each chosen row the number of the chosen row before it, in a circle; for every other its own."""
    numbers = torch.arange(len(chosen))
    numbers[chosen] = numbers[chosen].roll(1)
    return numbers
