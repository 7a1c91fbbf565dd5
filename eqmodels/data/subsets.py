"""Some images of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.permutation import KeyedPermutation
from eqmodels.data.source import Source, is_labelled, numbers_of, targets_of
from eqmodels.data.view import View
from eqmodels.errors import shown

__all__ = ["Subset", "at_most", "balanced_numbers", "balanced_subset", "subset"]

LARGE = 2**24
"""Images from which on a random choice is made without a list of all of them."""


@dataclass(frozen=True, eq=False)
class Subset(View):
    """Some images of a source, read from it when they are asked for.

    Args:
        source: of all images.
        numbers: ``(N,)``, int64, those of the chosen images in the order that they have here.
    """

    numbers: Int[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64; all -1 where nobody labelled them."""
        return self.source.labels[self.numbers]

    @property
    def targets(self) -> Float[Tensor, "N K"]:
        """The numbers to predict of each image, float64; ``(N, 0)`` if there are none."""
        return targets_of(self.source)[self.numbers]

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, of this subset, or of a slice, as float32 in [0, 1]."""
        return self.source.pixels(self.numbers[indices])


def subset(source: Source, indices: Sequence[int] | Tensor) -> Subset:
    """The chosen images, in the given order.

    Args:
        source: of all images.
        indices: their numbers, of which negative ones count from the end, or True and False for each image.

    Raises:
        TypeError: if the indices are no numbers.
        ValueError: if none is chosen.
        IndexError: if there is no image of such a number.
    """
    check_arguments(subset, {"source": source})
    try:
        chosen = torch.as_tensor(indices)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"indices must be integers, or True and False for each image; got {shown(indices)}. Pass, say, [0, 1]."
        ) from error
    numbers = numbers_of(chosen, len(source)) if chosen.numel() else chosen.long()  # an empty list has no type
    if not len(numbers):
        raise ValueError(f"a subset needs at least one image; got none of {source.name}. Choose some.")
    return Subset(source, numbers)


def balanced_subset(source: Source, count: int, *, seed: int = 0) -> Subset:
    """A random subset with equally many images of every class (one more of the first classes, if need be).

    A class that has fewer gives all that it has, and the others make up for it; all images if there are no more. Where
    nobody labelled the images, all are drawn alike. They keep their order.

    Args:
        source: of all images.
        count: number of images.
        seed: of the choice.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `count` is below 1.
    """
    check_arguments(balanced_subset, locals())
    return Subset(source, balanced_numbers(source, count, seed=seed))


def at_most(source: Source, count: int | None, *, seed: int = 0) -> Source:
    """All images, if there are no more than `count` or it is None; else a balanced subset.

    Args:
        source: of all images.
        count: number of images, or None.
        seed: of the choice.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `count` is below 1.
    """
    check_arguments(at_most, locals())
    return source if count is None or count >= len(source) else balanced_subset(source, count, seed=seed)


def balanced_numbers(source: Source, count: int, *, seed: int = 0) -> Int[Tensor, " N"]:
    """The numbers of the images of `balanced_subset`, in rising order.

    Args:
        source: of all images.
        count: number of images.
        seed: of the choice.

    Raises:
        ValueError: if `count` is below 1.
    """
    names = source.classes or ("images",)
    if count < 1:
        raise ValueError(f"a subset needs at least one image; got count={count}. Ask for, say, {len(names)}.")
    generator = torch.Generator().manual_seed(seed)
    if not is_labelled(source):  # of very many images no list is made
        return _drawn(len(source), min(count, len(source)), generator).sort().values
    labels = source.labels
    members = [(labels == label).nonzero()[:, 0] for label in range(len(names))]
    chosen = [
        one[_drawn(len(one), wanted, generator)]
        for one, wanted in zip(members, _shares([len(one) for one in members], count), strict=True)
    ]
    return torch.cat(chosen).sort().values


def _drawn(number: int, count: int, generator: torch.Generator) -> Int[Tensor, " N"]:
    """So many of so many numbers, in random order."""
    if number > LARGE:
        return KeyedPermutation(number, generator)(torch.arange(count))
    # Numbers of 32 bits are the same, in half the memory.
    return torch.randperm(number, generator=generator, dtype=torch.int32)[:count].long()


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """How many of each class make up a number, or all that there are, as equally as can be."""
    shares = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        having = [number for number, size in enumerate(sizes) if shares[number] < size]
        each = left // len(having)
        for number in having if each else having[:left]:
            shares[number] += (more := min(each or 1, sizes[number] - shares[number]))
            left -= more
    return shares
