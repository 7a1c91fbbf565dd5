"""Every picture of a data set read once, none kept: the bad files, the one size, and the statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eqmodels._shapes import Float, Shaped
from eqmodels.data.decoding import Decoding
from eqmodels.data.levels import from_levels
from eqmodels.data.pictures import BadFile
from eqmodels.data.pixel_statistics import ChannelSums, Statistics
from eqmodels.data.places import Place
from eqmodels.data.source import images_of_a_part

__all__ = ["FirstReading", "as_pixels", "check_one_size", "read_once"]


@dataclass(frozen=True)
class FirstReading:
    """What one reading of all files found.

    Attributes:
        shapes: channels, height and width of the pictures; several if their sizes differ, none if all are bad.
        statistics: of the channels of all that can be read; None unless there is one shape.
        bad: the number of each file that cannot be read, and why.
    """

    shapes: tuple[tuple[int, int, int], ...]
    statistics: Statistics | None
    bad: tuple[tuple[int, str], ...]

    def good(self, total: int) -> list[int]:
        """The numbers of the files that can be read."""
        bad = {number for number, _ in self.bad}
        return [number for number in range(total) if number not in bad]

    def bad_files(self, places: Sequence[Place]) -> list[BadFile]:
        """The files that cannot be read."""
        return [BadFile(places[number].path, reason) for number, reason in self.bad]


def read_once(
    places: Sequence[Place], decoding: Decoding, take: Callable[[Float[Tensor, "B C H W"]], None] | None = None
) -> FirstReading:
    """Decodes all pictures, and hands the images on, in parts; a part is all that is kept of them.

    Args:
        places: of the pictures.
        decoding: from places to pixels.
        take: what is done with the images of a part, in their order; after a second size was seen it is not called.
    """
    shapes: dict[tuple[int, int, int], None] = {}
    bad: list[tuple[int, str]] = []
    part: list[Tensor] = []
    sums: ChannelSums | None = None

    def hand_on() -> None:
        assert sums is not None
        images = torch.stack(part)
        part.clear()
        sums.add(images)
        if take is not None:
            take(images)

    for number, found in enumerate(decoding(places)):
        if isinstance(found, BadFile):
            bad.append((number, found.reason))
            continue
        channels, height, width = found.shape
        shapes[channels, height, width] = None
        if len(shapes) > 1:
            continue
        sums = sums or ChannelSums(channels)
        part.append(as_pixels(found))
        # The parts in which any source is read, so that sums agree to the last bit.
        if len(part) == images_of_a_part((channels, height, width)):
            hand_on()
    if part and len(shapes) == 1:
        hand_on()
    return FirstReading(tuple(shapes), sums.moments() if sums and len(shapes) == 1 else None, tuple(bad))


def as_pixels(found: Shaped[Tensor, "C H W"]) -> Float[Tensor, "C H W"]:
    """A decoded picture as float32 in [0, 1]."""
    return from_levels(found) if found.dtype == torch.uint8 else found


def check_one_size(root: Path, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuses images of several sizes.

    Raises:
        ValueError: if there are several.
    """
    if len(shapes) > 1:
        raise ValueError(
            f"images of {root} must have one size; got {len(shapes)}, such as {sorted(shapes)[:2]}. "
            "Pass size=, for instance 64 (--size 64)."
        )
