"""Squares of images as views, turned by any angle, by one sampling."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float

__all__ = ["cut"]


def cut(
    images: Float[Tensor, "B C H W"], boxes: Float[Tensor, "B 3"], degrees: Float[Tensor, " B"], size: int
) -> Float[Tensor, "B C {size} {size}"]:
    """Squares of the images as views of `size` pixels, turned about their centres, sampled bilinearly.

    Args:
        images: floating point.
        boxes: side, and horizontal and vertical position of the centre of each square, in pixels.
        degrees: by which the content is turned, counter-clockwise on the screen.
        size: side of the views in pixels.
    """
    height, width = images.shape[-2:]
    side, x, y = boxes.double().unbind(1)
    angle = torch.deg2rad(degrees.double())
    cos, sin = side * angle.cos(), side * angle.sin()
    # Rows count downwards: a counter-clockwise turn looks its source up clockwise. Coordinates are -1 .. 1.
    rows = ((cos / width, -sin / width, 2 * x / width - 1), (sin / height, cos / height, 2 * y / height - 1))
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1).to(images.device, images.dtype)
    grid = F.affine_grid(theta, [len(images), images.shape[1], size, size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
