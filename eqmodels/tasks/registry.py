"""Where tasks are registered, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar, get_args

from eqmodels.arguments import check_arguments
from eqmodels.registry import Registry
from eqmodels.tasks.task import Task

__all__ = ["PRESETS", "TASKS", "Preset", "register_task"]

_T = TypeVar("_T", bound=Callable[..., Task])

Preset = Literal["fixed", "paper"]
PRESETS: tuple[str, ...] = get_args(Preset)
"""``"fixed"``: labels that can be told, and only by understanding the image; ``"paper"``: as published.

Of ``"paper"``, the labels are those of the paper's text (24 orders of 2 x 2 tiles; no blur, and kernels of 5, 9 and 15
pixels); what the text leaves open is as in its public code (tiles without a gap; a blur's sigma at random).
"""

TASKS: Registry[Callable[..., Task]] = Registry("task")
"""Classes and functions that make tasks, by name."""


def register_task(*names: str) -> Callable[[_T], _T]:
    """Registers a class or a function that makes a task, as a decorator that gives it back unchanged.

    It may have the keyword arguments ``preset`` (see `PRESETS`) and ``to_rgb`` (whether a grey channel is repeated),
    which it is given, and ``number``: a number behind the name, as in ``rotation12``. No other may lack a default.

    Args:
        *names: lower-case words.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is none, or something else has it.

    Example:
        >>> from eqmodels.tasks import TASKS, NoTask, register_task
        >>> @register_task("doctest_nothing")
        ... class Nothing(NoTask):
        ...     name = "doctest_nothing"
        >>> TASKS.find("doctest_nothing")().num_labels
        1
    """
    check_arguments(register_task, locals())
    return TASKS.register(*names)
