"""Writes what was measured into docs/adapt.md: ``python -m benchmarks.adapt.tables``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks._sections import write_section
from benchmarks.adapt.measure import BASE, GROUPS, RESULTS
from benchmarks.adapt.ways import WAYS
from benchmarks.speed._harness import rows_of
from eqmodels.reports import Table, percent

DOCUMENT = Path(__file__).parents[2] / "docs" / "adapt.md"
SETS = ("stamps", "clip_art")
TIME = "time"
ALIKE = {"c4_resnet18_w32": "distilled, c4"}
"""What costs as much as another does, by the beginnings of names."""


def tables(name: str, content: Mapping[str, Any], times: Mapping[str, str]) -> Iterator[str]:
    """The accuracies on a set of pictures, and the differences from the base."""
    _, testing = content["pictures"]
    rows = dict(sorted(content["rows"].items(), key=lambda row: _place(row[0])))
    columns = ["upright", "turned", "mirrored", "all angles", "worst angle", "changed", "seen upright", "time"]
    of_set = f"{name.replace('_', ' ')} ({testing} test pictures a split, {content['classes']} classes)"
    yield f"Accuracy on {of_set}, in %, means over 3 splits; the share of predictions"
    yield "that a quarter turn changes, and of upright test pictures that are seen as upright, in %; and the time for a"
    yield "picture, the base's being 1:"
    yield ""
    body = []
    for row, found in rows.items():
        figures = [_accuracy(found["accuracy"], group) for group in GROUPS]
        figures += [min(_curve(found["accuracy"])), fmean(found["changed"])]
        known = found.get("notes", {}).get("seen upright")
        pose = percent(None if known is None else fmean(known))
        body.append([row, *map(percent, figures), pose, time_of(row, times)])
    yield Table(["way", *columns], body).markdown(as_it_is=True)
    yield ""
    yield "Minus the base, in points, 95% intervals over the test pictures, each of which counts once, paired:"
    yield ""
    body = [
        [row, *(_difference(found["minus base"][group]) for group in GROUPS)]
        for row, found in rows.items()
        if row != BASE
    ]
    yield Table(["way", *GROUPS], body).markdown(as_it_is=True)
    yield ""


def _place(row: str) -> int:
    """The number of the way whose kind it is, the one with the longest name."""
    fitting = [name for name in WAYS if row == name or row.startswith(f"{name}, ")]
    return list(WAYS).index(max(fitting, key=len))


def _accuracy(accuracy: Mapping[str, list[float]], group: str) -> float:
    return fmean(fmean(accuracy[str(view)]) for view in GROUPS[group])


def _curve(accuracy: Mapping[str, list[float]]) -> list[float]:
    return [fmean(accuracy[str(view)]) for view in GROUPS["all angles"]]


def _difference(values: list[float]) -> str:
    return "{:+.1f} ({:+.1f} .. {:+.1f})".format(*(100 * value for value in values))


def time_of(row: str, times: Mapping[str, str]) -> str:
    """The time of the network with the longest name that a row's begins with, or that costs as much."""
    known = next((row.replace(own, other) for own, other in ALIKE.items() if row.startswith(own)), row)
    fitting = [name for name in times if known.startswith(name)]
    return times[max(fitting, key=len)] if fitting else "-"


def section() -> str:
    """The tables of all sets that were measured."""
    times = {contender: f"{row.ratio:.2f}" for (_, contender), row in rows_of(TIME, RESULTS).items()}
    files = [RESULTS / f"{name}.json" for name in SETS]
    found = [(file.stem, json.loads(file.read_text())) for file in files if file.exists()]
    return "\n".join(line for name, content in found for line in tables(name, content, times)).strip()


def main() -> None:
    """Writes the section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_section(DOCUMENT, "adapt", section())


if __name__ == "__main__":
    main()
