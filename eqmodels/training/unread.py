"""What steps came to, left on the device until several of them are read back at once: a read waits for the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.objectives import Term
from eqmodels.training.errors import TrainingError
from eqmodels.training.terms import Counts, measured

__all__ = ["Unread", "read_every"]


@dataclass(frozen=True, eq=False)
class _Step:
    """What is known of a step without asking the device."""

    epoch: int
    step: int
    rate: float
    parts: Sequence[dict[str, Term]]
    numbers: Float[Tensor, " N"]


class Unread:
    """The steps that were not read yet.

    Their numbers are added in the order of the steps, each as if it had been read at once: the log does not depend on
    how many are read together.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def add(
        self, epoch: int, step: int, rate: float, parts: Sequence[dict[str, Term]], norms: Sequence[Tensor]
    ) -> None:
        """Keeps what a step came to; nothing is read.

        Args:
            epoch: of the step, from 0.
            step: within the epoch, from 0.
            rate: the learning rate.
            parts: the terms of each part of the step, detached.
            norms: of the gradient of each group of parameters.
        """
        numbers = [measured(terms) for terms in parts]
        together = torch.cat([*numbers, torch.stack([norm.to(numbers[0]) for norm in norms])])
        self._steps.append(_Step(epoch, step, rate, parts, together))

    def count_into(self, counts: Counts, images: int) -> None:
        """Reads all steps back at once, and counts them.

        Args:
            counts: of the epoch so far; changed.
            images: of every part of a step.

        Raises:
            TrainingError: if the loss or its gradient was no finite number; names the first step of which it was not.
        """
        steps, self._steps = self._steps, []
        read = torch.cat([step.numbers for step in steps]).tolist() if steps else []
        for step in steps:
            own, read = read[: len(step.numbers)], read[len(step.numbers) :]
            for terms in step.parts:
                own = own[counts.add(terms, own, images) :]
            loss, norm = sum(counts.losses.values()), math.hypot(*own)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingError(
                    f"in epoch {step.epoch + 1}, step {step.step + 1}, at the learning rate {step.rate:g}, the loss "
                    f"({loss:g} over the epoch) or its gradient (norm {norm:g}) became no finite number; the last "
                    "checkpoint is from before. Start again in another folder with a lower learning_rate, with "
                    "clip_norm=1 or with precision='float32'."
                )


def read_every(device: torch.device) -> int:
    """After how many steps those that are unread are read: at once where that costs nothing, as on the CPU."""
    return 1 if device.type == "cpu" else 16
