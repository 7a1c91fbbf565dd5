"""The task of doing nothing: the baseline of all others."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.tasks.registry import register_task
from eqmodels.tasks.task import Task

__all__ = ["NoTask", "Unasked"]


@register_task("none")
class NoTask(Task):
    """One label, the images as they are: there is nothing to predict, and ``log(num_labels)`` is 0."""

    name = "none"
    num_labels = 1

    def transform(
        self,
        images: Float[Tensor, "B C H W"],
        label: int,  # noqa: ARG002
        generator: torch.Generator | None,  # noqa: ARG002
    ) -> Float[Tensor, "B C H W"]:
        """The images themselves."""
        return images


class Unasked(NoTask):
    """No task at all: that of a network that was pretrained for another objective, and has no head for any."""

    @property
    def components(self) -> tuple[Task, ...]:
        """None."""
        return ()
