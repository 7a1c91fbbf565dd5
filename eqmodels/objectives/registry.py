"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.checks import check_count
from eqmodels.objectives.objective import Objective
from eqmodels.options import Option, check_options, options_of
from eqmodels.registry import Registry

__all__ = ["OBJECTIVES", "check_given", "create_objective", "objective_options", "register_objective"]

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
        TypeError: if an argument is of another type.
        ValueError: if a name is none, or something else has it.
    """
    check_arguments(register_objective, locals())
    return OBJECTIVES.register(*names)


def objective_options(name: str) -> dict[str, Option]:
    """The options of an objective by name: the keyword arguments of its class beside `backbone` and `num_classes`.

    Raises:
        TypeError: if the name is no string.
        UnknownNameError: if there is no such objective; gives the nearest names.
    """
    return options_of(OBJECTIVES.find(name), without=GIVEN)


def check_given(target: type[Objective], values: Mapping[str, Any]) -> None:
    """Refuses arguments of an objective's class that are of other types, or break a rule of its own.

    Args:
        target: the class.
        values: of its arguments, by name: ``locals()`` at the start of its `__init__`.

    Raises:
        TypeError: if one is of another type.
        ValueError: if one breaks its rule.
    """
    check_arguments(target, {"backbone": values["backbone"]})
    check_count("num_classes", values["num_classes"], 0)
    known = options_of(target, without=GIVEN)
    given = {name: values[name] for name in known}
    target.check_options(check_options(known, given, subject=f"the objective {target.__name__}"))


def create_objective(name: str, backbone: Backbone | PointBackbone, num_classes: int = 0, **options: Any) -> Objective:  # noqa: ANN401
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
    check_arguments(create_objective, {"backbone": backbone})
    check_count("num_classes", num_classes, 0)
    target = OBJECTIVES.find(name)
    checked = check_options(target, options, subject=f"objective {name!r}", without=GIVEN)
    return target(backbone, num_classes, **checked)
