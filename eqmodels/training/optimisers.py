"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from eqmodels.arguments import check_arguments
from eqmodels.options import Option, options_of
from eqmodels.registry import Registry

__all__ = ["OPTIMISERS", "optimiser_options", "register_optimiser"]

_F = TypeVar("_F", bound=Callable[..., torch.optim.Optimizer])

Groups = list[dict[str, Any]]
"""What an optimiser trains: each group has its ``params``, and may have options of its own."""

OPTIMISERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimiser")
"""Functions ``(groups, *, learning_rate, weight_decay, ...) -> optimiser``, by name."""

GIVEN = ("groups", "learning_rate", "weight_decay")
"""Arguments that every optimiser is given; what it has beside them are its options."""


def register_optimiser(*names: str) -> Callable[[_F], _F]:
    """Registers a function ``(groups, *, learning_rate, weight_decay, ...) -> optimiser``, and gives it back unchanged.

    Args:
        *names: lower-case words.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is none, or something else has it.
    """
    check_arguments(register_optimiser, locals())
    return OPTIMISERS.register(*names)


def optimiser_options(name: str) -> dict[str, Option]:
    """The options of an optimiser, beside its learning rate and decay, by name.

    Raises:
        UnknownNameError: if there is no such optimiser; gives the nearest names.
    """
    return options_of(OPTIMISERS.find(name), without=GIVEN)


@register_optimiser("sgd")
def sgd(
    groups: Groups, *, learning_rate: float, weight_decay: float, momentum: float = 0.9, nesterov: bool = True
) -> torch.optim.Optimizer:
    """Stochastic gradient descent.

    Args:
        groups: what it trains.
        learning_rate: the largest.
        weight_decay: L2 penalty.
        momentum: part of the last step that is taken again.
        nesterov: look ahead by the momentum.
    """
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


@register_optimiser("adamw")
def adamw(
    groups: Groups, *, learning_rate: float, weight_decay: float, beta1: float = 0.9, beta2: float = 0.999
) -> torch.optim.Optimizer:
    """Adam with decoupled decay.

    Args:
        groups: what it trains.
        learning_rate: the largest.
        weight_decay: decoupled decay.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
    """
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, betas=(beta1, beta2))
