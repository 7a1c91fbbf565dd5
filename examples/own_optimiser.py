"""Your own optimiser: Adam with Nesterov's momentum, and an option of its own.

eqmodels pretrain --import examples/own_optimiser.py --optimiser nadam --learning-rate 0.002 --momentum-decay 0.01
"""

from __future__ import annotations

from typing import Any

import torch

from eqmodels.training import register_optimiser


@register_optimiser("nadam")
def nadam(
    groups: list[dict[str, Any]], *, learning_rate: float, weight_decay: float, momentum_decay: float = 0.004
) -> torch.optim.Optimizer:
    """Adam with Nesterov's momentum (Dozat 2016) and decoupled decay.

    Args:
        groups: what it trains.
        learning_rate: the largest; the schedule sets it before every step.
        weight_decay: decoupled decay.
        momentum_decay: how fast the momentum grows to its largest.
    """
    return torch.optim.NAdam(
        groups, lr=learning_rate, weight_decay=weight_decay, momentum_decay=momentum_decay, decoupled_weight_decay=True
    )
