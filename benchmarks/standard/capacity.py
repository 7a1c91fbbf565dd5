"""What docs/results.md says of the error over the width of a network and the size of its images."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.standard.figures import WORDS, over_seeds, rows
from eqmodels.bench.exponents import Exponent, fit_exponent
from eqmodels.reports import Table

__all__ = ["section"]

KEY = ("family", "data", "axis", "value")


def section() -> Iterator[str]:
    """The table and what to conclude; nothing where it was not measured."""
    errors = over_seeds("capacity", KEY, lambda row: float(row["error"]))
    if not errors:
        return
    steps, seeds = rows("capacity")[0]["steps"], max(one.count for one in errors.values())
    yield (
        "Error of training from scratch over the width, and over the size of the images at width 16, in %; "
        f"{steps} steps of 64 images, {seeds} seeds. The exponent is that of all seeds together, with its 95% interval:"
    )
    groups = dict.fromkeys(key[:3] for key in errors)
    fitted = {group: _exponent(group) for group in groups}
    cells = []
    for family, data, axis in groups:
        own = [(value, one) for (*group, value), one in errors.items() if tuple(group) == (family, data, axis)]
        shown = "; ".join(f"{value}: {one.as_percent()}" for value, one in own)
        cells.append([f"`{family}`", WORDS[data], axis, shown, str(fitted[family, data, axis])])
    yield Table(["family", "images", "over", "error", "exponent"], cells, left=4).markdown(as_it_is=True)
    said = [_effect(family, axis, fit) for (family, _, axis), fit in fitted.items()]
    yield (
        f"To conclude: {'; '.join(said)}. Time grows by less than the multiply-adds, see above: the first use of a "
        "larger machine is the axis whose error falls most for its time."
    )


def _effect(family: str, axis: str, fit: Exponent) -> str:
    """What twice as much does, in words; nothing that its interval does not tell from 0."""
    if fit.low <= 0 <= fit.high:
        return f"the {axis} makes no difference to `{family}` that the seeds show"
    return (
        f"twice the {axis} makes the error of `{family}` {100 * abs(1 - 2**fit.value):.0f}% "
        f"{'smaller' if fit.value < 0 else 'larger'}"
    )


def _exponent(group: tuple[str, ...]) -> Exponent:
    """That of a family, over all of its seeds."""
    points = [
        (float(row["value"]), float(row["error"]))
        for row in rows("capacity")
        if tuple(row[name] for name in KEY[:3]) == group
    ]
    return fit_exponent(*zip(*points, strict=True))
