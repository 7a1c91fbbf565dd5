"""Mean and deviation of every channel of a source, in one pass over its images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.data.levels import from_levels, to_levels
from eqmodels.data.source import Source, in_parts

__all__ = ["ChannelSums", "Statistics", "statistics"]

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel."""


def statistics(source: Source) -> Statistics:
    """Mean and standard deviation of each channel, of all pixels in [0, 1]; a deviation of 0 becomes 1.

    Images are read once, in parts. Sums of images of 8 bits are exact, whatever the parts and the number of pixels;
    those of others are of 64 bits. A source that read all of its images already, such as a cache of decoded ones, says
    what it found (its attribute `known_statistics`), and nothing is read.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(statistics, locals())
    known: Statistics | None = getattr(source, "known_statistics", None)
    if known is not None:
        return known
    sums = ChannelSums(source.channels)
    for _, part in in_parts(source):
        sums.add(part)
    return sums.moments()


class ChannelSums:
    """What is summed up of images for the statistics of their channels, part by part.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        self._channels = [_Sums() for _ in range(channels)]

    def add(self, part: Float[Tensor, "B C H W"]) -> None:
        """Counts images in; the parts are to be those of `in_parts` where sums are to agree to the last bit."""
        for sums, values in zip(self._channels, part.unbind(1), strict=True):
            sums.add(values)

    def moments(self) -> Statistics:
        """Mean and standard deviation of each channel."""
        means, deviations = zip(*(sums.moments() for sums in self._channels), strict=True)
        return means, deviations


class _Sums:
    """Number, sum and sum of squares of the values of one channel: of levels as integers, of others as they are."""

    def __init__(self) -> None:
        self.number = self.total = self.squares = 0
        self.others = 0
        self.of_others: list[tuple[float, float]] = []
        self.range: tuple[float, float] = (math.inf, -math.inf)

    def add(self, values: Float[Tensor, "B H W"]) -> None:
        """Counts the values in, in as few passes over them as will do: a source may hold gigabytes."""
        levels = to_levels(values)
        if bool((from_levels(levels) == values).all()):
            # Integers, so that sums are exact, and a constant channel's deviation is 0.
            counts = torch.bincount(levels.flatten(), minlength=256)
            present = from_levels(counts.nonzero())
            for level, count in enumerate(counts.tolist()):
                self.number += count
                self.total += count * level
                self.squares += count * level**2
        else:
            present, exact = values, values.double()
            self.others += values.numel()
            self.of_others.append((float(exact.sum()), float(exact.square().sum())))
        least, most = present.aminmax()
        self.range = min(self.range[0], float(least)), max(self.range[1], float(most))

    def moments(self) -> tuple[float, float]:
        """Mean and deviation."""
        if not self.others:
            mean = self.total / self.number / 255
            return mean, math.sqrt(self.number * self.squares - self.total**2) / self.number / 255 or 1.0
        number = self.number + self.others
        mean = math.fsum([self.total / 255, *(total for total, _ in self.of_others)]) / number
        squares = math.fsum([self.squares / 255**2, *(squares for _, squares in self.of_others)]) / number
        is_constant = self.range[0] == self.range[1]
        return mean, 1.0 if is_constant else math.sqrt(max(squares - mean**2, 0.0)) or 1.0
