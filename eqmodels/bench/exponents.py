"""Power laws: the exponent by which one quantity grows with another, with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown

__all__ = ["Exponent", "fit_exponent"]


@dataclass(frozen=True)
class Exponent:
    """Of ``y = c x^a``, fitted to logarithms by least squares.

    Attributes:
        value: ``a``: twice the ``x``, and ``y`` is ``2^a`` times as large.
        low: the lower end of its 95% interval (Student's t, of the scatter about the line); NaN of two points.
        high: the upper end.
        points: that it was fitted to.
    """

    value: float
    low: float
    high: float
    points: int

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Exponent:
        """What `to_dict` made of one.

        Raises:
            TypeError: if names are missing or unknown.
        """
        ends = {name: math.nan if content[name] is None else content[name] for name in ("low", "high")}
        return cls(**{**content, **ends})

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON, which has no NaN."""
        low, high = (None if math.isnan(end) else end for end in (self.low, self.high))
        return {"value": self.value, "low": low, "high": high, "points": self.points}

    def __str__(self) -> str:
        return f"{self.value:.2f}" if math.isnan(self.low) else f"{self.value:.2f} ({self.low:.2f} .. {self.high:.2f})"


def fit_exponent(x: Sequence[float], y: Sequence[float]) -> Exponent:
    """The exponent of a power law through points.

    Args:
        x: positive, at least two that differ.
        y: positive, one for each.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are less than two points, or one is not positive.

    Example:
        >>> fit_exponent([1, 2, 4, 8], [3, 12, 48, 192]).value
        2.0
    """
    check_arguments(fit_exponent, locals())
    if len(x) != len(y) or len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(
            "x and y must be positive and equally many, at least two of x different; got "
            f"{shown(list(x))} and {shown(list(y))}. Leave out what is 0."
        )
    line = stats.linregress(np.log(x), np.log(y))
    margin = float(stats.t.ppf(0.975, len(x) - 2) * line.stderr) if len(x) > 2 else math.nan
    slope = float(line.slope)
    return Exponent(round(slope, 12), slope - margin, slope + margin, len(x))
