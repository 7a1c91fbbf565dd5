"""Your own task: to how many levels are the image's values rounded?

eqmodels pretrain --import examples/own_task.py --task posterise --head mlp
eqmodels pretrain --import examples/own_task.py --task rotation+posterise --head mlp
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels.tasks import Task, register_task

LEVELS = (256, 8, 4, 2)


@register_task("posterise")
class Posterise(Task):
    """Label ``a`` rounds all values to ``LEVELS[a]`` levels between 0 and 1; label 0 changes no 8-bit image."""

    name = "posterise"
    num_labels = len(LEVELS)

    def transform(self, images: Tensor, label: int, generator: torch.Generator | None) -> Tensor:  # noqa: ARG002
        """The rounded images."""
        steps = LEVELS[label] - 1
        return (images * steps).round() / steps
