"""Interleaved timing: every round runs every contender once, so that a drift of the machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.errors import shown

__all__ = ["Timing", "interleaved", "summarise"]


@dataclass(frozen=True)
class Timing:
    """One contender over the rounds, and beside the reference.

    Attributes:
        median: seconds (or the unit of the values).
        minimum: of all rounds.
        maximum: of all rounds.
        ratio: the median over rounds of the quotient with the reference within a round.
        ratio_quartiles: of that quotient.
    """

    median: float
    minimum: float
    maximum: float
    ratio: float
    ratio_quartiles: tuple[float, float]


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    each_round: Callable[[int], object] = lambda _: None,
) -> dict[str, list[float]]:
    """The seconds of every contender, round by round, in an order that rotates.

    Args:
        contenders: by name, at least one.
        rounds: that count.
        warmup: rounds before them.
        clock: in seconds.
        each_round: called with the number of each round before it, from ``-warmup``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no contender, or no round.
    """
    check_arguments(interleaved, locals())
    check_count("rounds", rounds)
    check_count("warmup", warmup, 0)
    if not contenders:
        raise ValueError(f"contenders must be at least one; got {shown(contenders)}. Name what is timed.")
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warmup, rounds):
        each_round(number)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            start = clock()
            contenders[name]()
            if number >= 0:
                seconds[name].append(clock() - start)
    return seconds


def summarise(values: Mapping[str, Sequence[float]], *, reference: str) -> dict[str, Timing]:
    """Medians, ranges and ratios of values that were measured round by round.

    Args:
        values: of each contender, one a round.
        reference: the contender with which the others are compared.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the reference is none of the contenders, or they have other numbers of rounds, or none.
    """
    check_arguments(summarise, locals())
    if reference not in values:
        raise ValueError(
            f"reference must be one of {', '.join(values) or 'nothing'}; got {shown(reference)}. Name one."
        )
    if len({len(series) for series in values.values()}) > 1 or not values[reference]:
        counts = ", ".join(f"{len(series)} of {name}" for name, series in values.items())
        raise ValueError(f"values must have one number a round, of all contenders; got {counts}. Time them together.")
    found = {}
    for name, series in values.items():
        quotients = [value / base for value, base in zip(series, values[reference], strict=True)]
        low, middle, high = statistics.quantiles(quotients, n=4) if len(quotients) > 1 else quotients * 3
        found[name] = Timing(statistics.median(series), min(series), max(series), middle, (low, high))
    return found
