"""The optimiser of a config, and the learning rate of every step."""

from __future__ import annotations

import math
from typing import Any

import torch

from eqmodels.training.optimisers import OPTIMISERS
from eqmodels.training.parts import OptimisationConfig

__all__ = ["create_optimiser", "learning_rate_at"]

MILESTONES, DECAY = (30, 60, 80), 0.2
"""Per cent of the steps: epochs 60, 120 and 160 of 200, Wang et al. 2024, arXiv 2411.06508."""


def create_optimiser(config: OptimisationConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser of a config; `learning_rate_at` sets its rate before every step."""
    make = OPTIMISERS.find(config.optimiser)
    return make(groups, learning_rate=config.learning_rate, weight_decay=config.weight_decay, **config.options)


def learning_rate_at(config: OptimisationConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, a pure function of its number.

    With ``W`` steps of warm-up and ``T`` in all, it is ``learning_rate (step + 1) / W`` before step W. After it,
    ``"cosine"`` is half a wave from `learning_rate` at W to `final_learning_rate` at T, one step after the last;
    ``"multistep"`` has `learning_rate` times 0.2 for each of 30, 60 and 80% of T that is reached.

    Args:
        config: names the schedule.
        step: number of the step, from 0, over all epochs.
        steps_per_epoch: steps of one epoch.
    """
    total, warmup = config.epochs * steps_per_epoch, config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * min((step + 1) / warmup, 1.0)
    if config.schedule == "multistep":
        return config.learning_rate * DECAY ** sum(100 * step >= percent * total for percent in MILESTONES)
    progress = (step - warmup) / max(total - warmup, 1)
    amplitude = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + amplitude * (1 + math.cos(math.pi * progress)) / 2
