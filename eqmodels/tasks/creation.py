"""From the name of a task to the task."""

from __future__ import annotations

import re

from eqmodels.arguments import check_arguments
from eqmodels.options import options_of
from eqmodels.registry import UnknownNameError, could_be_registered
from eqmodels.tasks.multivariate import MultivariateTask
from eqmodels.tasks.registry import PRESETS, TASKS, Preset
from eqmodels.tasks.task import Task

__all__ = ["create_task", "list_tasks"]

_NUMBERED = re.compile(r"(?P<word>.*[^0-9])(?P<number>[0-9]{1,9})")


def list_tasks() -> tuple[str, ...]:
    """The names of all tasks, sorted; beside them there are ``rotation<N>`` and sums, see `create_task`."""
    return tuple(TASKS.names())


def create_task(name: str, *, preset: Preset = "fixed", to_rgb: bool = False) -> Task:
    """The task of a name.

    Args:
        name: one of `list_tasks`; ``rotation<N>`` for `FineRotation` by multiples of 360 / N degrees; or several, all
            at once, joined by ``+``, for a `MultivariateTask`.
        preset: how jigsaw and blur are done, see `PRESETS`; the others are the same in both. ``"fixed"``: tiles with
            gaps and jitter, and one sigma a label; ``"paper"``: tiles that touch, and random sigmas for kernels of
            three sizes.
        to_rgb: repeat a grey channel three times, in tasks about colour; of no effect in the others.

    Raises:
        TypeError: if an argument is of another type.
        UnknownNameError: if the name is one that no task has.
        ValueError: if it could be none's, the preset is unknown, N is not in 2 .. 36, or tasks do not go together.

    Example:
        >>> create_task("rotation").num_labels
        4
        >>> create_task("rotation12+jigsaw").sizes
        (12, 24)
    """
    check_arguments(create_task, locals())
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}. Use 'fixed'.")
    if "+" in name:
        return MultivariateTask(tuple(create_task(part, preset=preset, to_rgb=to_rgb) for part in name.split("+")))
    given: dict[str, object] = {"preset": preset, "to_rgb": to_rgb}
    numbered = _NUMBERED.fullmatch(name)
    if name not in TASKS and numbered and numbered["word"] in TASKS:
        target = TASKS.find(numbered["word"])
        if "number" in options_of(target):
            name, given["number"] = numbered["word"], int(numbered["number"])
    if name not in TASKS:
        # A file may name a task of somebody's own, and still not what none could be called.
        kind = UnknownNameError if could_be_registered(name) else ValueError
        raise kind(
            f"task must be one of {', '.join(list_tasks())}, rotation<N>, or several joined by '+'; got {name!r}. "
            f"Use {' or '.join(map(repr, TASKS.nearest(name)))}, or import the file that registers it (--import FILE)."
        )
    target = TASKS.find(name)
    return target(**{option: given[option] for option in options_of(target) if option in given})
