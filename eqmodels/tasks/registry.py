"""Tasks by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Literal, get_args

from eqmodels.tasks.blur import BLUR_BY_KERNEL, BLUR_BY_SIGMA, Blur
from eqmodels.tasks.colour import ColourInversion, Grayscale
from eqmodels.tasks.geometric import FineRotation, GroupTask, horizontal_flip, rotation, vertical_flip
from eqmodels.tasks.jigsaw import Jigsaw
from eqmodels.tasks.multivariate import MultivariateTask
from eqmodels.tasks.none import NoTask
from eqmodels.tasks.task import Task

__all__ = ["PRESETS", "Preset", "create_task", "list_tasks"]

Preset = Literal["fixed", "paper"]
PRESETS: tuple[str, ...] = get_args(Preset)
"""``"fixed"``: labels that can be told, and only by understanding the image; ``"paper"``: as published.

Of ``"paper"``, the labels are those of the paper's text (24 orders of 2 x 2 tiles; no blur, and kernels of 5, 9 and 15
pixels); what the text leaves open is as in its public code (tiles without a gap; a blur's sigma at random).
"""

_FINE_ROTATION = re.compile(r"rotation([0-9]+)")

# From the preset, and whether grey channels are repeated, to the task.
_TASKS: dict[str, Callable[[Preset, bool], Task]] = {
    "horizontal_flip": lambda _preset, _to_rgb: horizontal_flip(),
    "vertical_flip": lambda _preset, _to_rgb: vertical_flip(),
    "rotation": lambda _preset, _to_rgb: rotation(),
    "dihedral": lambda _preset, _to_rgb: GroupTask("dihedral", "d4"),
    "grayscale": lambda _preset, to_rgb: Grayscale(to_rgb=to_rgb),
    "colour_inversion": lambda _preset, to_rgb: ColourInversion(to_rgb=to_rgb),
    "jigsaw": lambda preset, _to_rgb: Jigsaw(gap=0) if preset == "paper" else Jigsaw(),
    "blur": lambda preset, _to_rgb: Blur(BLUR_BY_KERNEL if preset == "paper" else BLUR_BY_SIGMA),
    "none": lambda _preset, _to_rgb: NoTask(),
}


def list_tasks() -> tuple[str, ...]:
    """The names of all tasks; beside them there are ``rotation<N>`` and sums, see `create_task`."""
    return tuple(_TASKS)


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
        ValueError: if the name or the preset is unknown, N is not in 2 .. 36, or tasks do not go together.

    Example:
        >>> create_task("rotation").num_labels
        4
        >>> create_task("rotation12+jigsaw").sizes
        (12, 24)
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}. Use 'fixed'.")
    if "+" in name:
        return MultivariateTask(tuple(create_task(part, preset=preset, to_rgb=to_rgb) for part in name.split("+")))
    fine = _FINE_ROTATION.fullmatch(name)
    if fine:
        return FineRotation(int(fine[1]))
    if name not in _TASKS:
        nearest = get_close_matches(name, _TASKS, n=3) or ["rotation"]
        raise ValueError(
            f"task must be one of {', '.join(_TASKS)}, rotation<N>, or several joined by '+'; got {name!r}. "
            f"Use {' or '.join(map(repr, nearest))}."
        )
    return _TASKS[name](preset, to_rgb)
