"""The task of shuffled tiles."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.tasks.registry import Preset, register_task
from eqmodels.tasks.task import Task

__all__ = ["PERMUTATIONS", "Jigsaw"]

PERMUTATIONS: tuple[tuple[int, ...], ...] = tuple(permutations(range(4)))
"""The 24 permutations in lexicographic order: tile i (row-major) of the result is tile ``PERMUTATIONS[a][i]``."""

_DEFAULT_GAP = 4  # cells a gap
_SMALLEST_GAP = 2  # pixels: below, tiles could not be moved by a pixel to either side


class Jigsaw(Task):
    """In which of 24 orders are the image's 2 x 2 tiles? Label ``a`` puts tile ``PERMUTATIONS[a][i]`` at place ``i``.

    Halves that touch can be matched by continuing their edges over the seam, without knowing what the image shows. So a
    tile is by default smaller than its quarter of the image: it is cut out of the quarter at a random place, of its own
    for each image and tile, and put in the middle of its new quarter, with zeros around. All labels alike, so the
    identity shows the seams too.

    Args:
        gap: pixels between two tiles, half of it at the border (an odd one rounded down at the top and left); 0 for
            plain quarters, as in the paper. None for a quarter of a tile's cell, and at least 2.
        jitter: a tile's place in its cell is uniform over ``jitter + 1`` offsets along each axis, centred; at most the
            gap. None for the gap, which is the whole cell.

    Raises:
        TypeError: if `gap` or `jitter` is neither an integer nor None.
        ValueError: if one is negative, or the jitter larger than the gap; of images, if the size is odd or too small.

    Source: Noroozi and Favaro 2016, arXiv 1603.09246, for gaps and jitter.
    """

    name = "jigsaw"
    num_labels = len(PERMUTATIONS)

    def __init__(self, *, gap: int | None = None, jitter: int | None = None) -> None:
        for argument, pixels in (("gap", gap), ("jitter", jitter)):
            if pixels is None:
                continue
            if isinstance(pixels, bool) or not isinstance(pixels, int):
                raise TypeError(f"{argument} must be a number of pixels or None; got {shown(pixels)}. Pass, say, 4.")
            if pixels < 0:
                raise ValueError(f"{argument} must be at least 0 pixels; got {shown(pixels)}. Pass, say, 4, or None.")
            check_count(argument, pixels, 0)  # no more than a size can be
        if gap is not None and jitter is not None and jitter > gap:
            raise ValueError(
                f"jitter moves a tile within its cell, so it must be at most the gap of {gap} pixels; got {jitter}. "
                f"Pass gap={jitter} or jitter={gap}."
            )
        self.gap, self.jitter = gap, jitter

    def spacing(self, height: int, width: int) -> tuple[int, int]:
        """The gap and the jitter, in pixels, for images of such a size."""
        gap = self.gap
        if gap is None:
            gap = max(min(height, width) // 2 // _DEFAULT_GAP, _SMALLEST_GAP, self.jitter or 0)
        return gap, gap if self.jitter is None else self.jitter

    def check(self, images: Float[Tensor, "B C H W"]) -> None:
        """Raises a `ValueError` if the sides are odd, or too small for a tile of one pixel beside the gap."""
        height, width = images.shape[-2:]
        smallest = 2 * (self.spacing(height, width)[0] + 1)
        nearest = tuple(max(side + side % 2, smallest) for side in (height, width))
        if nearest != (height, width):
            raise ValueError(
                f"jigsaw cuts images into 2 x 2 tiles, so both sides must be even and at least {smallest} pixels; got "
                f"{height} x {width}. Nearest valid size: {nearest[0]} x {nearest[1]}; pad or resize them to it."
            )

    def apply(
        self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Every image cut as its label says; offsets are drawn on the CPU for all images, whatever their labels."""
        self.check_labels(images, labels)
        self.check(images)
        batch, _, height, width = images.shape
        gap, jitter = self.spacing(height, width)
        offsets = torch.zeros(batch, 2, 4, dtype=torch.long, device="cpu")
        if jitter:
            offsets = torch.randint(jitter + 1, offsets.shape, generator=generator, device="cpu")
        tiles = torch.tensor(PERMUTATIONS, device="cpu")[labels.cpu()]
        # The first row and column, in the image, of the tile that comes to each of the four positions.
        quarter = torch.stack([tiles // 2 * (height // 2), tiles % 2 * (width // 2)])
        top, left = (quarter + (gap - jitter) // 2 + offsets.transpose(0, 1)).to(images.device)
        below, row, in_rows = _along(height, gap, images.device)
        right, column, in_columns = _along(width, gap, images.device)
        position = 2 * below[:, None] + right
        source = (top[:, position] + row[:, None]) * width + left[:, position] + column
        outside = ~(in_rows[:, None] & in_columns)
        source = source.masked_fill(outside, 0).flatten(1)[:, None].expand(-1, images.shape[1], -1)
        return images.flatten(2).gather(2, source).view_as(images).masked_fill(outside, 0)

    def transform(
        self, images: Float[Tensor, "B C H W"], label: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B C H W"]:
        """All images cut and put together in one order."""
        return self.apply(images, torch.full((len(images),), label, device="cpu"), generator)


@register_task("jigsaw")
def preset_jigsaw(*, preset: Preset = "fixed") -> Jigsaw:
    """The jigsaw of a preset.

    Args:
        preset: ``"fixed"`` for tiles with gaps and jitter, ``"paper"`` for tiles that touch.
    """
    return Jigsaw(gap=0) if preset == "paper" else Jigsaw()


def _along(
    side: int, gap: int, device: torch.device
) -> tuple[Int[Tensor, " {side}"], Int[Tensor, " {side}"], Bool[Tensor, " {side}"]]:
    """Of every pixel along one side of the result: the half it lies in, its place in the tile, whether it is in it."""
    pixels, half = torch.arange(side, device=device), side // 2
    place = pixels % half - gap // 2
    return pixels // half, place, (place >= 0) & (place < half - gap)
