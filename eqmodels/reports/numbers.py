"""Fractions in per cent."""

from __future__ import annotations

import math

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count

__all__ = ["percent", "percent_range"]


def percent(fraction: float | None, *, digits: int = 1, signed: bool = False, missing: str = "-") -> str:
    """A fraction in per cent, without the sign of it.

    Args:
        fraction: 0.848 is 84.8 per cent; None or NaN is what was not measured.
        digits: behind the point.
        signed: whether a plus stands before what is not negative, as before differences.
        missing: what stands for what was not measured.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are less than 0 digits or more than 31.

    Example:
        >>> percent(0.8481), percent(0.021, signed=True), percent(None)
        ('84.8', '+2.1', '-')
    """
    check_arguments(percent, locals())
    check_count("digits", digits, 0, bits=5)
    if fraction is None or math.isnan(fraction):
        return missing
    return f"{100 * fraction:{'+' if signed else ''}.{digits}f}"


def percent_range(low: float, high: float, *, digits: int = 1, signed: bool = False) -> str:
    """The ends of an interval in per cent, in brackets.

    Args:
        low: a fraction.
        high: a fraction.
        digits: behind the point.
        signed: whether a plus stands before what is not negative.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are less than 0 digits or more than 31.

    Example:
        >>> percent_range(0.842, 0.854), percent_range(-0.01, 0.02, signed=True)
        ('(84.2 .. 85.4)', '(-1.0 .. +2.0)')
    """
    low_end, high_end = (percent(end, digits=digits, signed=signed, missing="nan") for end in (low, high))
    return f"({low_end} .. {high_end})"
