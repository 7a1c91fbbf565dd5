"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from eqmodels.backbones import Backbone
from eqmodels.objectives.objective import Objective
from eqmodels.options import Option, check_options, options_of
from eqmodels.registry import Registry

__all__ = ["OBJECTIVES", "create_objective", "objective_options", "register_objective"]

_O = TypeVar("_O", bound=type[Objective])

OBJECTIVES: Registry[type[Objective]] = Registry("objective")
"""The classes of objectives, by name."""

GIVEN = ("backbone", "num_classes")
"""Arguments of an objective that the run gives, not the config."""


def register_objective(*names: str) -> Callable[[_O], _O]:
    """Registers a subclass of `Objective` under a name, as a decorator that gives it back unchanged.

    Args:
        *names: lower-case words.

    Raises:
        ValueError: if a name is none, or something else has it.
    """
    return OBJECTIVES.register(*names)


def objective_options(name: str) -> dict[str, Option]:
    """The options of an objective by name: the keyword arguments of its class beside `backbone` and `num_classes`.

    Raises:
        UnknownNameError: if there is no such objective; gives the nearest names.
    """
    return options_of(OBJECTIVES.find(name), without=GIVEN)


def create_objective(name: str, backbone: Backbone, num_classes: int = 0, **options: Any) -> Objective:  # noqa: ANN401
    """The objective of a name for a backbone, its modules with random weights.

    Args:
        name: of the objective.
        backbone: the encoder that is to be pretrained; it is asked for its group and its width.
        num_classes: number of classes that the images are labelled with; 0 if they are not.
        **options: of the objective.

    Raises:
        UnknownNameError: if there is no such objective; gives the nearest names.
        TypeError: if it has no such option, or a value is of another type.
        ValueError: if a value breaks its rule.
    """
    target = OBJECTIVES.find(name)
    checked = check_options(target, options, subject=f"objective {name!r}", without=GIVEN)
    return target(backbone, num_classes, **checked)
