"""Random numbers as a function of the seed, what they are for, and where in the run they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count

__all__ = ["Purpose", "Randomness", "generator_for", "seed_dropout"]


class Purpose(IntEnum):
    """What random numbers are drawn for; streams of different purposes are independent.

    Weights are drawn first of all, from PyTorch's global generator with the seed itself.
    """

    ORDER = 1
    AUGMENTATION = 2
    LABELS = 3
    NUISANCE = 4
    DROPOUT = 5


@dataclass(frozen=True)
class Randomness:
    """The generators of one step of a run, by what they are for.

    Attributes:
        seed: of the run, below ``2**32``.
        position: epoch and step, both from 0.
        rank: number of this process, from 0.
    """

    seed: int
    position: tuple[int, int] = (0, 0)
    rank: int = 0

    def generator(self, purpose: Purpose) -> torch.Generator:
        """A new generator that is the same on every process: for what is drawn for the whole batch."""
        return generator_for(self.seed, purpose, *self.position)

    def own(self, purpose: Purpose) -> torch.Generator:
        """A new generator of this process alone: for what each process draws for its share of the batch."""
        return generator_for(self.seed, purpose, *self.position, self.rank)


def generator_for(seed: int, purpose: Purpose, *position: int) -> torch.Generator:
    """A generator on the CPU that depends on its arguments alone.

    A run that is resumed at a step draws what it would have drawn there, with no state to be kept, and every process
    of a run can draw what all of them share.

    Args:
        seed: of the run, below ``2**32``.
        purpose: what is drawn.
        position: where, for instance the epoch and the step; always as many numbers for one purpose.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a number is negative.
    """
    check_arguments(generator_for, locals())
    return torch.Generator().manual_seed(_derived(seed, purpose, position))


def seed_dropout(seed: int, *position: int) -> None:
    """Puts PyTorch's global generators, of all devices, where the position has them: networks draw from no other.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a number is negative.
    """
    check_arguments(seed_dropout, locals())
    torch.manual_seed(_derived(seed, Purpose.DROPOUT, position))


def _derived(seed: int, purpose: Purpose, position: tuple[int, ...]) -> int:
    """A seed of 64 bits."""
    for name, value in (("seed", seed), *(("position", number) for number in position)):
        check_count(name, value, 0, bits=64)
    high, low = np.random.SeedSequence((seed, int(purpose), *position)).generate_state(2, np.uint32)
    return int(high) << 32 | int(low)
