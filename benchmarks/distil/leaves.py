"""Pictures of dead leaves, which show nothing: shapes of one colour each, that fall on each other.

A control of what teaches: they have edges, corners, occlusion and the statistics of natural images, and no things.
Source: Lee, Mumford and Huang 2001 (the model); Baradad et al. 2021, arXiv 2106.05963 (learning to see by it).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from benchmarks.distil.bank import SIDE

SMALLEST, LARGEST = 4.0, 72.0
"""Radii in pixels; their density falls as the third power, by which pictures look the same at every scale."""
SHAPES = 600
"""Of a picture: more than cover it."""


def dead_leaves(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Pictures ``(count, 3, 144, 144)``: discs, triangles and quadrangles of one colour, at any angle."""
    numbers = np.random.default_rng(seed)
    return np.stack([_picture(numbers) for _ in range(count)])


def _picture(numbers: np.random.Generator) -> npt.NDArray[np.uint8]:
    picture = Image.new("RGB", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    # The inverse of the distribution function of a density ~ r^-3 between the two radii.
    uniform = numbers.random(SHAPES)
    radii = (SMALLEST**-2 - uniform * (SMALLEST**-2 - LARGEST**-2)) ** -0.5
    centres = numbers.uniform(0, SIDE, (SHAPES, 2))
    corners, turns = numbers.integers(2, 5, SHAPES), numbers.uniform(0, 360, SHAPES)
    colours = numbers.integers(0, 256, (SHAPES, 3))
    for radius, (x, y), sides, turn, colour in zip(radii, centres, corners, turns, colours, strict=True):
        fill = (int(colour[0]), int(colour[1]), int(colour[2]))
        if sides == 2:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        else:
            draw.regular_polygon((x, y, radius), int(sides), rotation=float(turn), fill=fill)
    return np.asarray(picture).transpose(2, 0, 1)
