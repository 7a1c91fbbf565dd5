"""What the tables of E-SSL read of the runs' results: a row is one network over its seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from benchmarks.essl.grid import GRID, SEEDS, STANDARD
from benchmarks.essl.run import EsslCell, experiment
from eqmodels.evaluation import EncoderEvaluation, Estimate, SeedSummary, estimate, over_seeds
from eqmodels.reports import percent, percent_range

__all__ = [
    "ABSENT",
    "MISSING",
    "ahead",
    "cell",
    "evaluation",
    "feature",
    "information",
    "is_planned",
    "parameters",
    "reference_of",
    "summary",
    "task",
    "width_of",
]

MISSING, ABSENT = "…", "\N{EN DASH}"
"""Cells of what is not trained yet, and of what a network does not have."""

Read = Callable[[SeedSummary], Estimate | None]
"""What a cell shows of a row."""


@cache
def summary(row: str) -> SeedSummary | None:
    """A row over its seeds, as far as they are there; None without any."""
    measured = [evaluation(f"{row}/seed{seed}") for seed in SEEDS]
    found = [one for one in measured if one is not None]
    return over_seeds(found) if found else None


def evaluation(name: str) -> EncoderEvaluation | None:
    """What was measured of one run; None if it is not done."""
    return experiment([]).result(EsslCell(name))


def cell(row: str, read: Read, shown: Callable[[Estimate], str] = Estimate.as_percent) -> str:
    """A value of a row, in per cent, if the network has it; seeds are counted if some are missing."""
    found = summary(row)
    if found is None:
        return MISSING
    if (value := read(found)) is None:
        return ABSENT
    return shown(value) + ("" if found.seeds == len(SEEDS) else f" ({found.seeds} of {len(SEEDS)} seeds)")


def feature(name: str, score: str = "accuracy") -> Read:
    """Reads a score of one kind of features; None if the row does not have the kind."""

    def read(found: SeedSummary) -> Estimate | None:
        value: Estimate | None = next((getattr(one, score) for one in found.kinds if one.kind == name), None)
        return value

    return read


def task(score: str) -> Read:
    """Reads a score of the first task."""

    def read(found: SeedSummary) -> Estimate | None:
        value: Estimate | None = getattr(found.tasks[0], score)
        return value

    return read


def information(found: SeedSummary) -> Estimate:
    """The lower bound of I(A; Z) in nats."""
    entropy = math.log(found.tasks[0].num_labels)
    return estimate(entropy - loss for loss in found.tasks[0].loss.values)


def parameters(row: str) -> str:
    """Parameters of the backbone, in thousands."""
    found = summary(row)
    return MISSING if found is None else f"{found.parameters / 1e3:,.0f}k"


def width_of(row: str, kind: str) -> str:
    """How many features there are of a kind."""
    found = summary(row)
    if found is None:
        return MISSING
    return next((f"{one.width}" for one in found.kinds if one.kind == kind), ABSENT)


def is_planned(row: str) -> bool:
    """Whether the grid has the row."""
    return f"{row}/seed{SEEDS[0]}" in GRID


def reference_of(row: str) -> str:
    """The row of the ResNet of equal FLOPs that was trained in the same way."""
    model, head = STANDARD[0]
    return f"{row.rpartition('/')[0]}/{model}.{head}"


def ahead(row: str, other: str, read: Read) -> str:
    """By how many points a row is ahead of another, with the 95% interval of the difference (Welch)."""
    if row == other:
        return ABSENT
    found = [summary(name) for name in (row, other)]
    if None in found:
        return MISSING
    ours, theirs = (read(one) for one in found if one is not None)
    if ours is None or theirs is None:
        return ABSENT
    difference = ours.minus(theirs)
    mean = percent(difference.mean, signed=True)
    if math.isnan(difference.low):
        return mean
    return f"{mean} {percent_range(difference.low, difference.high, signed=True)}"
