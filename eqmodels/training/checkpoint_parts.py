"""What a checkpoint must hold: every part, each of its type, and numbers that go together.

A part that is missing or odd would otherwise be made up (an epoch of 0 on weights that are trained), or stop the run
somewhere inside of PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from eqmodels.errors import shown

__all__ = ["check_optimiser", "check_parts"]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_table(value: object, of: Callable[[object], bool]) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and of(one) for name, one in value.items())


def _is_log(value: object) -> bool:
    return isinstance(value, list) and all(_is_table(row, _is_number) for row in value)


def _is_optimiser(value: object) -> bool:
    if not (isinstance(value, Mapping) and value.keys() == {"state", "param_groups"}):
        return False
    groups, states = value["param_groups"], value["state"]
    are_groups = isinstance(groups, list) and all(isinstance(group, Mapping) for group in groups)
    return are_groups and isinstance(states, Mapping) and all(isinstance(state, Mapping) for state in states.values())


Rules = Mapping[str, tuple[str, Callable[[Any], bool]]]
_COUNT = ("a whole number of at least 0", _is_count)
_NUMBER = ("a finite number", _is_number)
_NUMBERS = ("finite numbers by name", lambda value: _is_table(value, _is_number))
_LOG = ("a list of rows of finite numbers", _is_log)
_TENSORS = ("tensors by name", lambda value: _is_table(value, lambda one: isinstance(one, Tensor)))

_OF_EVERY: Rules = {
    "model": _TENSORS,
    "optimiser": ("the state and the groups of an optimiser", _is_optimiser),
    "random_state": ("a tensor of bytes", lambda value: isinstance(value, Tensor)),
    "progress": ("values by name", lambda value: isinstance(value, Mapping)),
}
_OPTIONAL: Rules = {
    "images": ("values by name", lambda value: isinstance(value, Mapping)),
    "average": _TENSORS,
    "teachers": ("tensors by name, by place", lambda value: _is_table(value, _TENSORS[1])),
}
_PROGRESS: Rules = {"epoch": _COUNT, "step": _COUNT, "seconds": _NUMBER, "log": _LOG}
_COUNTS: Rules = {"seen": _COUNT, "losses": _NUMBERS, "correct": ("counts by name", lambda v: _is_table(v, _is_count))}
_FIRST: Rules = {
    "seen": _COUNT,
    "loss": _NUMBER,
    "correct": ("a list of counts", lambda value: isinstance(value, list) and all(map(_is_count, value))),
}
"""Of the progress of the first format."""


def check_parts(content: Mapping[str, Any]) -> None:
    """Refuses the content of a checkpoint in which a part is missing, of another type, or contradicts another.

    Raises:
        ValueError: if one is; names it, what it must be, and what is there.
    """
    _check(content, _OF_EVERY)
    _check(content, {name: rule for name, rule in _OPTIONAL.items() if name in content})
    progress = content["progress"]
    _check(progress, _PROGRESS, "progress.")
    if content["format"] == 1:
        _check(progress, _FIRST, "progress.")
    else:
        _check(progress, {"counts": ("values by name", lambda value: isinstance(value, Mapping))}, "progress.")
        _check(progress["counts"], _COUNTS, "progress.counts.")
    if len(progress["log"]) != progress["epoch"]:
        raise ValueError(
            f"its progress.log must have a row for each of {progress['epoch']} epochs; it has {len(progress['log'])}."
        )


def _check(content: Mapping[str, Any], rules: Rules, place: str = "") -> None:
    for name, (words, is_right) in rules.items():
        if name not in content:
            raise ValueError(f"it has no {place}{name}, which must be {words}.")
        if not is_right(content[name]):
            raise ValueError(f"its {place}{name} must be {words}; it is {shown(content[name])}.")


def check_optimiser(state: Mapping[str, Any], parameters: list[nn.Parameter]) -> None:
    """Refuses the state of an optimiser of other parameters: a buffer of another shape would fail in the next step.

    Args:
        state: as `torch.optim.Optimizer.state_dict` gives it.
        parameters: in the order of its groups.

    Raises:
        ValueError: if it is of another number of parameters, or a buffer of another shape.
    """
    numbers = [number for group in state["param_groups"] for number in group.get("params", ())]
    if numbers != list(range(len(parameters))):
        raise ValueError(f"its optimiser is of {len(numbers)} parameters, and the network has {len(parameters)}.")
    for number, buffers in state["state"].items():
        if number not in numbers:
            raise ValueError(f"its optimiser has a state of the parameter {shown(number)}, which the network has not.")
        shape = parameters[number].shape
        for name, buffer in buffers.items():
            if isinstance(buffer, Tensor) and buffer.dim() > 0 and buffer.shape != shape:
                raise ValueError(f"its optimiser's {name} of parameter {number} has not the parameter's shape.")
