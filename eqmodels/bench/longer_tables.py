"""Tables of what takes longer: angles, growth, supervised training, scaling, and the ways in which networks are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from eqmodels.bench.angles import Angles
from eqmodels.bench.cells import BenchCell
from eqmodels.bench.engines import HOWS
from eqmodels.bench.exponents import fit_exponent
from eqmodels.bench.forms import Forms
from eqmodels.bench.growth import Growth
from eqmodels.bench.scaling import Scaling
from eqmodels.bench.supervised import Supervised
from eqmodels.bench.throughput import Speed
from eqmodels.measures.intervals import estimate
from eqmodels.reports import Table

__all__ = ["longer_csv", "longer_tables"]

Found = Mapping[BenchCell, Any]
"""What was measured, by cell."""


def longer_tables(found: Found) -> tuple[Table, ...]:
    """A table of each kind, for people."""
    return (
        _forms(found),
        _angles(found),
        _supervised(found),
        _rotated(found),
        _growth(found),
        _ways(found),
        _scaling(found),
        _capacity(found),
    )


def longer_csv(found: Found) -> dict[str, Table]:
    """Every figure of them, by the name of its file."""
    return {
        "forms.csv": _all_forms(found),
        "angles.csv": _all_angles(found),
        "supervised.csv": _all_supervised(found),
        "rotated.csv": _all_rotated(found),
        "growth.csv": _all_growth(found),
        "throughput.csv": _all_speeds(found),
        "scaling.csv": _all_scaling(found),
        "capacity.csv": _all_capacity(found),
    }


def _of(found: Found, kind: type, name: str | None = None) -> Iterable[tuple[dict[str, Any], Any]]:
    """The settings and the result of every cell of a kind of result, and of cells."""
    return [(cell.values, one) for cell, one in found.items() if isinstance(one, kind) and name in (None, cell.kind)]


def _percent(values: Iterable[float]) -> str:
    return estimate(list(values)).as_percent()


def _forms(found: Found) -> Table:
    every = _of(found, Forms)
    names = list(dict.fromkeys(form for _, one in every for form in one.errors))
    cells = []
    for settings, one in every:
        worst = [one.worst(form) for form in names]
        cells.append(
            [settings["model"], settings["data"], *("-" if error is None else f"{error:.1e}" for error in worst)]
        )
    return Table(
        ["network", "images", *names], cells, "Forms: largest error over own moves, float32 and 8 bits", left=2
    )


def _angles(found: Found) -> Table:
    rows: dict[tuple[str, str], list[Angles]] = {}
    for settings, one in _of(found, Angles):
        rows.setdefault((settings["model"], settings["data"]), []).append(one)
    reads: list[Callable[[Angles], float]] = [
        lambda one: one.accuracy[0],
        lambda one: one.mean,
        lambda one: one.worst,
        lambda one: sum(one.changed) / len(one.changed),
    ]
    header = ["network", "images", "seeds", "upright", "all angles", "worst angle", "changed"]
    cells = [[*names, str(len(own)), *(_percent(map(read, own)) for read in reads)] for names, own in rows.items()]
    return Table(header, cells, "Angles: accuracy of frozen features in a circle, %", left=2)


def _supervised(found: Found) -> Table:
    rows: dict[tuple[str, str, str], dict[float, list[Supervised]]] = {}
    for settings, one in _of(found, Supervised, "supervised"):
        key = settings["model"], one.how, settings["data"]
        rows.setdefault(key, {}).setdefault(settings["fraction"], []).append(one)
    fractions = sorted({fraction for own in rows.values() for fraction in own})
    header = ["network", "training", "images", "steps"]
    for fraction in fractions:
        header += [f"{100 * fraction:g}% of the labels", "turned"]
    cells = []
    for names, own in rows.items():
        steps = sorted({one.steps for some in own.values() for one in some})
        row = [*names, " .. ".join(map(str, dict.fromkeys((steps[0], steps[-1]))))]
        for fraction in fractions:
            some = own.get(fraction, [])
            row += [_percent(one.upright for one in some), _percent(one.turned for one in some)] if some else ["-", "-"]
        cells.append(row)
    return Table(header, cells, "Supervised: accuracy after training, %", left=3)


def _rotated(found: Found) -> Table:
    rows: dict[tuple[str, str], list[Supervised]] = {}
    for settings, one in _of(found, Supervised, "rotated"):
        words = "turned anew in every step" if settings["augmented"] else "as they are"
        rows.setdefault((settings["model"], words), []).append(one)
    cells = [
        [*names, str(len(own)), f"{own[0].images:,}", _percent(one.upright for one in own)]
        for names, own in rows.items()
    ]
    header = ["network", "training images", "seeds", "how many", "accuracy"]
    return Table(header, cells, "Rotated: accuracy on images at all angles, learned from such, %", left=2)


def _growth(found: Found) -> Table:
    rows: dict[tuple[str, str], list[Growth]] = {}
    for settings, one in _of(found, Growth):
        rows.setdefault((settings["model"], settings["data"]), []).append(one)
    cells = []
    for names, own in rows.items():
        first, last = own[0].counts[0], own[0].counts[-1]
        errors = [_percent(one.errors[place] for one in own) for place in (0, -1)]
        exponents = sorted((one.exponent for one in own), key=lambda one: one.value)
        cells.append([*names, str(len(own)), f"{first:,} .. {last:,}", *errors, str(exponents[len(own) // 2])])
    header = ["network", "images", "seeds", "training images", "error, fewest", "error, most", "exponent"]
    return Table(header, cells, "Growth: error of a linear probe, %, and its exponent over training images", left=2)


def _ways(found: Found) -> Table:
    speeds = {(name, speed.batch, speed.how): speed for name, speed in _speeds(found)}
    settings = sorted({(how, batch) for _, batch, how in speeds}, key=lambda one: ([*HOWS].index(one[0]), one[1]))
    names = dict.fromkeys(name for name, *_ in speeds)
    cells = []
    for name in names:
        own = [speeds.get((name, batch, how)) for how, batch in settings]
        cells.append([name, *("-" if one is None else _ratio(one) for one in own)])
    header = ["network", *(f"{how}, batch {batch}" for how, batch in settings)]
    # What is measured in one way alone stands in the table of costs.
    return Table(header, cells if len({how for how, _ in settings}) > 1 else [], "Ways to run: time of a step, ratio")


def _ratio(speed: Speed) -> str:
    low, high = speed.timing.ratio_quartiles
    return f"{speed.timing.ratio:.2f} ({low:.2f} .. {high:.2f})"


def _speeds(found: Found) -> list[tuple[str, Speed]]:
    return [pair for one in found.values() if isinstance(one, dict) for pair in one.items()]


def _scaling(found: Found) -> Table:
    cells = [
        [settings["family"], one.axis, f"{one.values[0]} .. {one.values[-1]}", str(one.exponent)]
        for settings, one in _of(found, Scaling)
    ]
    title = "Scaling: exponent of the time of a forward pass; multiply-adds have 2"
    return Table(["family", "grows", "from .. to", "exponent"], cells, title, left=2)


def _capacity(found: Found) -> Table:
    rows: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for settings, one in _of(found, Supervised, "capacity"):
        own = rows.setdefault((settings["family"], settings["data"], settings["axis"]), {})
        own.setdefault(settings["value"], []).append(1 - one.upright)
    cells = []
    for names, own in rows.items():
        values = sorted(own)
        ends = [_percent(own[value]) for value in (values[0], values[-1])]
        points = [(value, error) for value in values for error in own[value] if error > 0]
        fitted = fit_exponent(*zip(*points, strict=True)) if len({value for value, _ in points}) > 1 else "-"
        cells.append([*names, str(len(own[values[0]])), f"{values[0]} .. {values[-1]}", *ends, str(fitted)])
    header = ["family", "images", "grows", "seeds", "from .. to", "error, smallest", "error, largest", "exponent"]
    return Table(header, cells, "Capacity: error of training from scratch, %, and its exponent over all seeds", left=3)


def _all_forms(found: Found) -> Table:
    rows = [
        [settings["model"], settings["data"], form, element, f"{error:.3e}", str(element in one.own)]
        for settings, one in _of(found, Forms)
        for form, errors in one.errors.items()
        for element, error in errors.items()
    ]
    return Table(["model", "data", "form", "element", "error", "own"], rows)


def _all_angles(found: Found) -> Table:
    rows = [
        [settings["model"], settings["data"], str(settings["seed"]), f"{degrees:g}", f"{right:.6g}", f"{other:.6g}"]
        for settings, one in _of(found, Angles)
        for degrees, right, other in zip(one.degrees, one.accuracy, one.changed, strict=True)
    ]
    return Table(["model", "data", "seed", "degrees", "accuracy", "changed"], rows)


def _all_supervised(found: Found) -> Table:
    figures = ("upright", "turned", "mirrored", "changed_turned", "loss")
    rows = []
    for settings, one in _of(found, Supervised, "supervised"):
        about = [settings["model"], one.how, settings.get("features", ""), settings["data"], settings["seed"]]
        rows.append([*map(str, (*about, one.images, one.steps)), *(f"{getattr(one, name):.6g}" for name in figures)])
    return Table(["model", "training", "features", "data", "seed", "train_images", "steps", *figures], rows)


def _all_rotated(found: Found) -> Table:
    rows = []
    for settings, one in _of(found, Supervised, "rotated"):
        about = [settings["model"], settings["augmented"], settings["data"], settings["seed"], one.images]
        figures = [f"{one.upright:.6g}", f"{one.loss:.6g}"]
        rows.append([*map(str, (*about, settings["test"], one.steps)), *figures])
    header = ["model", "augmented", "data", "seed", "train_images", "test_images", "steps", "accuracy", "loss"]
    return Table(header, rows)


def _all_growth(found: Found) -> Table:
    rows = [
        [settings["model"], settings["data"], str(settings["seed"]), str(count), f"{error:.6g}"]
        + [f"{value:.6g}" for value in (one.exponent.value, one.exponent.low, one.exponent.high)]
        for settings, one in _of(found, Growth)
        for count, error in zip(one.counts, one.errors, strict=True)
    ]
    header = ["model", "data", "seed", "train_images", "error", "exponent", "exponent_low", "exponent_high"]
    return Table(header, rows)


def _all_speeds(found: Found) -> Table:
    rows = []
    for name, speed in _speeds(found):
        timing = speed.timing
        figures = [speed.images_per_second, 1e3 * timing.median, timing.ratio, *timing.ratio_quartiles]
        about = [name, speed.how, str(speed.batch), str(max(speed.size))]
        rows.append([*about, *(f"{value:.6g}" for value in figures), str(speed.rounds), speed.reference])
    header = ["model", "how", "batch_size", "img_size", "samples_per_sec", "step_time", "ratio", "ratio_low"]
    return Table([*header, "ratio_high", "rounds", "reference"], rows)


def _all_scaling(found: Found) -> Table:
    rows = [
        [settings["family"], one.axis, str(value), f"{seconds:.6g}"]
        + [f"{end:.6g}" for end in (one.exponent.value, one.exponent.low, one.exponent.high)]
        for settings, one in _of(found, Scaling)
        for value, seconds in zip(one.values, one.seconds, strict=True)
    ]
    header = ["family", "axis", "value", "seconds", "exponent", "exponent_low", "exponent_high"]
    return Table(header, rows)


def _all_capacity(found: Found) -> Table:
    rows = []
    for settings, one in _of(found, Supervised, "capacity"):
        about = [settings[name] for name in ("family", "axis", "value", "data", "seed")]
        rows.append([*map(str, (*about, one.images, one.steps)), f"{1 - one.upright:.6g}", f"{one.loss:.6g}"])
    header = ["family", "axis", "value", "data", "seed", "train_images", "steps", "error", "loss"]
    return Table(header, rows)
