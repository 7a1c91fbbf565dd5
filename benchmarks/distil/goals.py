"""How near a distilled network is to what was asked of it, set by set: a table from its probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.distil.measure import PAIR, REGULAR, TWIN, group_mean
from benchmarks.distil.networks import IN_A_CIRCLE, UPRIGHT_FIRST
from eqmodels.evaluation.orbits import UPRIGHT
from eqmodels.reports import Table, percent, percent_range

STUDENT, TEACHER = "student, canonical", "teacher"
RAW, RANDOM = "raw 16x16 pixels", "random, regular"
UNKNOWN = "-"
Rows = Mapping[str, Mapping[str, Any]]


def goals(sets: Mapping[str, Rows], words: str = "C4") -> str:
    """A line a goal, a column a set of pictures; differences in points, with 95% intervals where they are paired.

    Args:
        sets: the rows of each.
        words: whose they are.
    """
    lines = [[words, *(found(rows) for rows in sets.values())] for words, found in GOALS.items()]
    return Table([f"{words}, and what was asked", *sets], lines).markdown(as_it_is=True)


def _minus(other: str, group: str) -> Callable[[Rows], str]:
    """Canonical features minus others."""

    def found(rows: Rows) -> str:
        return _words(rows.get(other, {}).get(f"{STUDENT} minus it", {}).get(group))

    return found


def _words(difference: Sequence[float] | None) -> str:
    if difference is None:
        return UNKNOWN
    mean, low, high = difference
    return f"{percent(mean, signed=True)} {percent_range(low, high, signed=True)}"


def _upright(rows: Rows, row: str) -> float | None:
    """Accuracy upright; None of what was not measured."""
    return group_mean(rows[row]["accuracy"], str(UPRIGHT)) if row in rows else None


def _way(rows: Rows) -> str:
    """How much of the way from random weights to the teacher regular features have gone, if there is one."""
    low, own, high = (_upright(rows, row) for row in (RANDOM, REGULAR, TEACHER))
    if low is None or own is None or high is None:
        return UNKNOWN
    return f"{100 * (own - low) / (high - low):.0f}%" if high > low else UNKNOWN


def _beside_twin(rows: Rows) -> str:
    """Regular features of both, upright."""
    if (found := rows.get(REGULAR, {}).get(PAIR)) is not None:
        return _words(found["upright"])
    own, twin = (_upright(rows, row) for row in (REGULAR, TWIN))
    return UNKNOWN if own is None or twin is None else percent(own - twin, signed=True)


def _falls(row: str) -> Callable[[Rows], str]:
    """What features lose at the worst of all angles, seen through the circle; at least what they do at 45 degrees."""

    def found(rows: Rows) -> str:
        accuracy = rows[row]["accuracy"] if row in rows else {}
        whole, worst, diagonal = (group_mean(accuracy, one) for one in (str(IN_A_CIRCLE), "worst angle", "45 degrees"))
        if whole is None or diagonal is None:
            return UNKNOWN
        return f"{percent(whole - diagonal)} or more" if worst is None else percent(whole - worst)

    return found


GOALS: Mapping[str, Callable[[Rows], str]] = {
    "ahead of raw pixels, upright": _minus(RAW, "upright"),
    "ahead of random weights, upright": _minus(RANDOM, "upright"),
    "80% of the way from random weights to the teacher, regular features": _way,
    "not behind the teacher, turned by quarters": _minus(TEACHER, "turned"),
    "ahead of the teacher, at 45 degrees": _minus(TEACHER, "45 degrees"),
    "level with the twin upright, regular features": _beside_twin,
    "10 points ahead of the twin, turned by quarters": _minus(TWIN, "turned"),
    "at most 5 points lost at the worst of all angles": _falls(STUDENT),
    "the same, turned upright by its own head (two passes)": _falls(f"{UPRIGHT_FIRST}, canonical"),
}
