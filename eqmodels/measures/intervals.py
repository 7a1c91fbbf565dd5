"""Intervals: what several seeds, or a finite number of test images, leave open about an accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev, variance
from typing import Any

# Not `from scipy import stats`: half a second, loaded when it is first used.
import scipy

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.reports import percent

__all__ = ["Estimate", "estimate", "proportion_interval", "t_quantile"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval.

    Attributes:
        mean: in the unit of the values; of accuracies from 0 to 1.
        low: the lower end of the interval; NaN if it is unknown.
        high: the upper end.
        count: the number of values; of a proportion, of trials.
        values: of the seeds or subsets; none of a proportion.
    """

    mean: float
    low: float
    high: float
    count: int
    values: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Estimate:
        """What `dataclasses.asdict` made of one, also after a way through JSON.

        Raises:
            TypeError: if names are missing or unknown.
        """
        return cls(**dict(content) | {"values": tuple(content.get("values", ()))})

    def __str__(self) -> str:
        half = max(self.high - self.mean, self.mean - self.low)
        return f"{self.mean:.3f}" if math.isnan(half) else f"{self.mean:.3f} ± {half:.3f}"

    def as_percent(self) -> str:
        """Such as ``84.8 ± 0.6``, or ``84.8`` if the interval is unknown; of an asymmetric one, the longer side."""
        half = max(self.high - self.mean, self.mean - self.low)
        return percent(self.mean) if math.isnan(half) else f"{percent(self.mean)} ± {percent(half)}"

    def overlaps(self, other: Estimate) -> bool:
        """Whether the intervals have a point in common. If not, the means differ; if so, they still may.

        Raises:
            ValueError: if one of the intervals is unknown.
        """
        for one in (self, other):
            if math.isnan(one.low) or math.isnan(one.high):
                raise ValueError(f"overlaps needs two known intervals; that of {one.mean:.4g} is of {one.count} value.")
        return self.low <= other.high and other.low <= self.high

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two means and its 95% interval by Welch's t, for independent, normal values.

        ``m1 - m2 ± t(0.975, d) sqrt(v1 / n1 + v2 / n2)`` with ``d = (v1 / n1 + v2 / n2)^2 / ((v1 / n1)^2 / (n1 - 1) +
        (v2 / n2)^2 / (n2 - 1))``, rounded down, so that the interval is rather too wide. Of a single value it is NaN.

        Example:
            >>> str(estimate([3.0, 4.0, 5.0]).minus(estimate([1.0, 2.0, 3.0])))
            '2.000 ± 2.267'

        Source: Welch 1947, *The generalization of "Student's" problem when several different population variances are
        involved*.

        Raises:
            ValueError: if one of them has no values, as a proportion has none.
        """
        for one in (self, other):
            if not one.values:
                raise ValueError(
                    f"minus needs the values of both; {one.mean:.4g} has none. Use estimate() of one value a seed."
                )
        mean, half = self.mean - other.mean, math.nan
        if min(len(self.values), len(other.values)) > 1:
            parts = [variance(one.values) / len(one.values) for one in (self, other)]
            weights = [part**2 / (len(one.values) - 1) for part, one in zip(parts, (self, other), strict=True)]
            degrees = math.floor(sum(parts) ** 2 / sum(weights) + 1e-9) if sum(weights) else 1
            half = t_quantile(0.975, degrees) * math.sqrt(sum(parts))
        return Estimate(mean, mean - half, mean + half, min(self.count, other.count))


def estimate(values: Iterable[float]) -> Estimate:
    """The mean and its 95% interval by Student's t: ``mean ± t(0.975, n - 1) * deviation / sqrt(n)``.

    It holds for independent, normal values: seeds, or random subsets. Of one value the interval is NaN.

    Example:
        >>> print(estimate([0.842, 0.848, 0.854]).as_percent())
        84.8 ± 1.5

    Raises:
        TypeError: if one is no number.
        ValueError: if there is no value, or one is not finite.
    """
    try:
        values = tuple(map(float, values))
    except (TypeError, ValueError) as error:
        raise TypeError(f"values must be numbers, one a seed; got {shown(values)}. Pass, say, [0.84, 0.85].") from error
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"values must be finite numbers, at least one; got {values}. Leave out runs that failed.")
    mean, count = fmean(values), len(values)
    half = t_quantile(0.975, count - 1) * stdev(values) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(mean, mean - half, mean + half, count, values)


def proportion_interval(correct: int, total: int) -> Estimate:
    """An accuracy of `total` test images and its 95% interval by Wilson's score, which stays within 0 and 1.

    ``(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``: what the choice of the test images leaves
    open. It says nothing about the seeds.

    Example:
        >>> print(proportion_interval(8480, 10000).as_percent())
        84.8 ± 0.7

    Source: Wilson 1927, *Probable inference, the law of succession, and statistical inference*.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if not ``0 <= correct <= total`` with a positive total.
    """
    check_arguments(proportion_interval, locals())
    if not 0 <= correct <= total or total == 0:
        raise ValueError(f"correct must be from 0 to total, and total positive; got {correct} of {total}. Pass counts.")
    p = correct / total
    interval = scipy.stats.binomtest(correct, total).proportion_ci(0.95, method="wilson")
    # At 0 and 1 the ends are exact, but for rounding.
    return Estimate(p, min(float(interval.low), p), max(float(interval.high), p), total)


def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t with so many degrees of freedom.

    Example:
        >>> [round(t_quantile(0.975, degrees), 3) for degrees in (1, 2, 10)]
        [12.706, 4.303, 2.228]

    Raises:
        ValueError: if `probability` is not between 0 and 1, or `degrees` is below 1.
    """
    if not 0 < probability < 1 or degrees < 1:
        raise ValueError(
            f"probability must be between 0 and 1 and degrees at least 1; got {probability} and {degrees}. Two values "
            "have one degree of freedom."
        )
    return float(scipy.special.stdtrit(degrees, probability))
