"""What the table and the charts of a page show: a row a network and set of images, from a benchmark's results."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eqmodels.bench import BenchResults, Contender
from eqmodels.bench.counting import Counted
from eqmodels.bench.quality import Quality
from eqmodels.bench.symmetry import Symmetry
from eqmodels.bench.throughput import Speed
from eqmodels.measures.intervals import Estimate, estimate

__all__ = ["MEASURES", "BenchRow", "anchor", "bench_rows", "on_front"]

MEASURES: dict[str, Callable[[Quality], float]] = {
    "upright": lambda one: one.upright,
    "turned": lambda one: one.turned,
    "mirrored": lambda one: one.mirrored,
    "kNN, upright": lambda one: one.knn,
    "kNN, turned": lambda one: one.knn_turned,
}
"""Accuracies, by their names: of the linear probe, and of a vote of neighbours."""


@dataclass(frozen=True)
class BenchRow:
    """One network on one set of images.

    Attributes:
        model: its name.
        data: the name of the images.
        group: its own, such as ``"c4"``; empty where its symmetry was not measured.
        is_random: whether its weights are as they were initialised.
        qualities: over the seeds.
        counted: what is counted of its cost; None if it was not.
        build_seconds: to build it; None if that was not measured.
        speeds: by batch.
        symmetry: its errors; None if they were not measured.
    """

    model: str
    data: str
    group: str
    is_random: bool
    qualities: tuple[Quality, ...]
    counted: Counted | None
    build_seconds: float | None
    speeds: dict[int, Speed]
    symmetry: Symmetry | None

    def measured(self, read: Callable[[Quality], float]) -> Estimate:
        """The mean over the seeds of one figure, with its interval."""
        return estimate(read(one) for one in self.qualities)

    def few(self, count: int) -> Estimate:
        """The accuracy of probes of so many labels a class, over the seeds."""
        return estimate(one.labels[str(count)] for one in self.qualities)

    @property
    def labels(self) -> tuple[int, ...]:
        """The numbers of few labels a class that probes of all seeds were trained with."""
        common = set.intersection(*(set(one.labels) for one in self.qualities))
        return tuple(sorted(map(int, common)))

    @property
    def speed(self) -> Speed | None:
        """At the largest batch; None if none was timed."""
        return self.speeds[max(self.speeds)] if self.speeds else None

    def error(self, precision: str, *, own: bool) -> float | None:
        """The largest error over the moves that are the network's own, or over the others; None without any."""
        return None if self.symmetry is None else self.symmetry.worst(precision, own=own)


def bench_rows(results: BenchResults) -> tuple[BenchRow, ...]:
    """The rows of a benchmark, in the order in which it measured quality."""
    symmetries, costs, speeds = results.symmetries(), results.costs(), results.speeds()
    rows = []
    for (model, data), qualities in results.qualities().items():
        symmetry, (counted, seconds) = symmetries.get(model), costs.get(model, (None, None))
        own = {batch: speed for (name, batch), speed in speeds.items() if name == model}
        group = "" if symmetry is None else symmetry.group
        is_random = Contender(model).is_random
        rows.append(BenchRow(model, data, group, is_random, tuple(qualities), counted, seconds, own, symmetry))
    return tuple(rows)


def on_front(points: Sequence[tuple[float, float]]) -> tuple[bool, ...]:
    """Whether each point is on the Pareto front: no other one is at least as good in both, and better in one.

    Args:
        points: pairs of numbers of which more is better.

    Example:
        >>> on_front([(1.0, 0.9), (2.0, 0.8), (1.5, 0.7)])
        (True, True, False)
    """
    return tuple(
        not any(other != one and all(a >= b for a, b in zip(other, one, strict=True)) for other in points)
        for one in points
    )


def anchor(model: str, models: Sequence[str]) -> str:
    """Where the page tells of a network: the name of a place that addresses can have, another for each of `models`."""
    return f"network-{models.index(model)}-{re.sub('[^A-Za-z0-9]+', '-', model)}"
