"""Random numbers as a function of the seed, what they are for, and where in the run they are drawn."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch

__all__ = ["Purpose", "generator_for"]


class Purpose(IntEnum):
    """What random numbers are drawn for; streams of different purposes are independent."""

    WEIGHTS = 0
    ORDER = 1
    AUGMENTATION = 2
    LABELS = 3
    NUISANCE = 4


def generator_for(seed: int, purpose: Purpose, *position: int) -> torch.Generator:
    """A generator on the CPU that depends on its arguments alone.

    A run that is resumed at a step draws what it would have drawn there, with no state to be kept, and every process
    of a run can draw what all of them share.

    Args:
        seed: of the run.
        purpose: what is drawn.
        position: where, for instance the epoch and the step.
    """
    state = np.random.SeedSequence((seed, int(purpose), *position)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))
