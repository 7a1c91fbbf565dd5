"""A random order of any number of images that is computed where it is asked for, and so takes no memory.

It is a Feistel network (Luby & Rackoff 1988, doi 10.1137/0217022) over pairs of numbers below the root of the count, in
the generalised form of Black & Rogaway 2002, "Ciphers with arbitrary finite domains" (doi 10.1007/3-540-45760-7_9),
which also have the walk along the cycle by which numbers that are no image's are left out. What is added in a round is
the key and half a pair, mixed by the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi 10.1145/2660193.2660195):
to shuffle images, not to hide anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eqmodels._shapes import Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count

__all__ = ["KeyedPermutation"]

ROUNDS = 8
"""Four make a Feistel network look random to whoever may ask for both directions; twice as many cost little."""


@dataclass(frozen=True, eq=False)
class KeyedPermutation:
    """A bijection of ``0 .. count - 1``, one of very many: which one, a generator says.

    Args:
        count: of what is permuted, below 2**62.
        generator: of the keys; eight numbers are drawn from it.

    Attributes:
        keys: one a round.
        side: numbers are pairs of two below it; it is the smallest whose square is no less than the count.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the count is below 1, or 2**62 and more.

    Example:
        >>> order = KeyedPermutation(5, torch.Generator().manual_seed(0))
        >>> sorted(order(torch.arange(5)).tolist())
        [0, 1, 2, 3, 4]
    """

    count: int
    generator: torch.Generator
    keys: npt.NDArray[np.uint64] = field(init=False)
    side: int = field(init=False)

    def __post_init__(self) -> None:
        check_arguments(KeyedPermutation, {"count": self.count, "generator": self.generator})
        check_count("count", self.count, bits=62)
        keys = torch.randint(-(2**63), 2**63 - 1, (ROUNDS,), generator=self.generator)
        object.__setattr__(self, "keys", keys.numpy().view(np.uint64))
        object.__setattr__(self, "side", math.isqrt(self.count - 1) + 1)

    def __call__(self, positions: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The numbers at positions of the order, int64.

        Args:
            positions: int64, from 0 to the count, which it is below.
        """
        found = self._of_pairs(positions.numpy().astype(np.uint64))
        # Out of the pairs that are no image's, of which there are about twice the side at most, the cycle that they
        # are on leads back: it comes through the position itself, at the latest.
        while len(outside := np.flatnonzero(found >= self.count)):
            found[outside] = self._of_pairs(found[outside])
        return torch.from_numpy(found.astype(np.int64))

    def _of_pairs(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The same bijection of all numbers that are pairs."""
        side = np.uint64(self.side)
        left, right = np.divmod(numbers, side)
        for key in self.keys:
            left, right = right, (left + _mixed(right + key) % side) % side
        return left * side + right


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64, modulo 2**64, as integers of numpy's arrays are."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
