"""What pictures with transparency are laid on: white, a colour, or a part of another picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Background", "Canvas", "behind", "composited", "levels", "numbers_of_name"]

Background = Literal["white", "colours", "pictures"]

Canvas = npt.NDArray[np.float32]
"""RGB in 0 .. 255, ``(H, W, 3)``."""

SMALLEST_PART = 0.4
"""The side of a part of another picture, of the whole."""


def composited(picture: npt.NDArray[np.uint8] | Canvas, canvas: Canvas | np.float32) -> Canvas:
    """A picture on a canvas of its size.

    Args:
        picture: ``(H, W, 4)`` in 0 .. 255, RGB multiplied by the opacity.
        canvas: what shows through, or a level of grey.
    """
    laid = picture.astype(np.float32, copy=False)
    found = laid[..., :3] + canvas * (1 - laid[..., 3:] / 255)
    return found.astype(np.float32, copy=False)


def levels(canvas: Canvas) -> npt.NDArray[np.uint8]:
    """A canvas as images are stored: 8 bits, channels first."""
    return canvas.clip(0, 255).round().astype(np.uint8).transpose(2, 0, 1)


def numbers_of_name(name: str) -> np.random.Generator:
    """A stream of random numbers that a name alone decides: the same in every split and order."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def behind(
    kind: Background,
    side: int,
    numbers: np.random.Generator,
    pictures: Sequence[npt.NDArray[np.uint8]] = (),
    own: int = 0,
) -> Canvas:
    """A canvas ``(side, side, 3)`` for one picture.

    Args:
        kind: ``"white"``; ``"colours"``, any one; or ``"pictures"``, a square part of another picture, which lies on
            a colour, or this colour alone if there is no other one.
        side: in pixels.
        numbers: what is random comes from it.
        pictures: to choose from, each ``(side, side, 4)``, RGB multiplied by the opacity.
        own: the place among them of the picture that is to be laid on the canvas.
    """
    if kind == "white":
        return np.full((side, side, 3), 255, np.float32)
    canvas = np.broadcast_to(numbers.uniform(0, 255, 3).astype(np.float32), (side, side, 3)).copy()
    if kind == "colours" or len(pictures) < 2:
        return canvas
    drawn = int(numbers.integers(len(pictures) - 1))
    chosen = pictures[drawn + (drawn >= own)]
    part = max(1, round(side * numbers.uniform(SMALLEST_PART, 1)))
    top, left = (int(place) for place in numbers.integers(side - part + 1, size=2))
    square = Image.fromarray(np.ascontiguousarray(chosen), "RGBa")
    box = (left, top, left + part, top + part)
    return composited(np.asarray(square.resize((side, side), Image.Resampling.BILINEAR, box=box)), canvas)
