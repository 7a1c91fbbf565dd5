"""Splits that leave no near-duplicate across: what is of one series is in one split, whatever classes it has."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from eqmodels.arguments import check_arguments

__all__ = ["joined", "series_for_testing"]

LEAST, MOST = 0.15, 0.35
"""For testing, of the things of a class: so many are looked for, and more than that there never are."""


def series_for_testing(things: Sequence[tuple[str, str]]) -> set[str]:
    """The series that are for testing.

    In the order of a hash of their names, series are taken where one of their classes has less than 15% of its things
    for testing, and none would have more than 35%. A class of few things may have none for testing.

    Args:
        things: the class and the series of each.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(series_for_testing, locals())
    every: Counter[str] = Counter(name for name, _ in things)
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for name, series in things:
        classes[series][name] += 1
    taken: Counter[str] = Counter()
    found = set()
    for series in sorted(classes, key=lambda own: hashlib.sha256(own.encode()).digest()):
        own = classes[series]
        wanted = any(taken[name] < LEAST * every[name] for name in own)
        if wanted and all(taken[name] + count <= MOST * every[name] for name, count in own.items()):
            found.add(series)
            taken += own
    return found


def joined(marks: Sequence[Iterable[str]]) -> list[str]:
    """The series of things that are one if they share a mark, with others or by way of others.

    Args:
        marks: of each thing, at least one.

    Returns:
        Of each thing the least of all marks of its series.

    Raises:
        TypeError: if an argument is of another type.

    Example:
        >>> joined([["oak", "table"], ["desk"], ["table"], ["oak"]])
        ['oak', 'desk', 'oak', 'oak']
    """
    check_arguments(joined, locals())
    leaders: dict[str, str] = {}

    def leader(mark: str) -> str:
        while leaders.setdefault(mark, mark) != mark:
            mark = leaders[mark]
        return mark

    for own in marks:
        first, *rest = sorted({leader(mark) for mark in own})
        for other in rest:
            leaders[other] = first
    return [leader(next(iter(own))) for own in marks]
