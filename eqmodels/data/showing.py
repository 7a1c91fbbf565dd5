"""Pictures as people see them on sheets and pages, whatever their channels and their range are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from torch import Tensor

from eqmodels.data.pictures import Picture

__all__ = ["as_seen", "planes_as_seen"]


def as_seen(picture: Picture, side: int) -> Image.Image:
    """A picture upright, in RGB, on white, in a square that it touches.

    Of pixels of more than two channels the first three are shown, of fewer the first one. Numbers of any range, and of
    16 bits, become 8 bits, the smallest black and the largest white.

    Args:
        picture: as `open_picture` gives it.
        side: of the square, in pixels.
    """
    upright = planes_as_seen(picture) if isinstance(picture, Tensor) else ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = Image.fromarray(_levels(np.asarray(upright, dtype=np.float64)))
    laid = Image.new("RGBA", upright.size, "white")
    laid.alpha_composite(upright.convert("RGBA"))
    return ImageOps.contain(laid.convert("RGB"), (side, side))


def planes_as_seen(pixels: Tensor) -> Image.Image:
    """Pixels ``(C, H, W)`` of any range: the first three channels as red, green and blue, or the first one as grey."""
    planes = pixels.numpy()[:3] if len(pixels) > 2 else pixels.numpy()[:1]
    levels = _levels(np.nan_to_num(np.moveaxis(planes, 0, -1), posinf=1, neginf=0))
    return Image.fromarray(levels[..., 0] if len(planes) == 1 else levels)


def _levels(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Numbers of any range as 8 bits, the smallest black and the largest white."""
    values = values.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-12) * 255).round().astype(np.uint8)
