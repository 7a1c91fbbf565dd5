"""Writes the tables of distilled networks into docs/results.md: ``python -m benchmarks.distil.tables``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks._sections import write_section
from benchmarks.distil.measure import GROUPS, PROBES, RESULTS, ProbeCell, experiment
from eqmodels.reports import Table, percent, percent_range

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
ORDER = ("stamps", "icons", "clothes", "clip art", "tiles", "letters")
"""Of the sets in the document."""
SCALARS = ("kNN", "5 labels a class", "20 labels a class")
REFERENCE = "student, canonical"


def tables(name: str, content: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A table a set of pictures, and one of the differences."""
    for data, rows in content.items():
        columns = [*GROUPS, *SCALARS]
        yield f"`{name}` on {data}, in %, means over 5 splits:\n"
        cells = [[row, *(percent(_group(found["accuracy"], one)) for one in columns)] for row, found in rows.items()]
        yield Table(["features", *columns], cells).markdown(as_it_is=True)
        yield ""
        groups = [group for group in GROUPS if group != "worst angle"]
        yield f"Canonical features of the student minus others, in points, 95% intervals over the pictures of {data}:\n"
        minus = {row: found["student, canonical minus it"] for row, found in rows.items() if row != REFERENCE}
        cells = [[row, *(_difference(found.get(group)) for group in groups)] for row, found in minus.items()]
        yield Table(["minus", *groups], cells).markdown(as_it_is=True)
        yield ""


def _group(accuracy: Mapping[str, list[float]], column: str) -> float | None:
    if column == "worst angle":
        curve = [fmean(values) for view, values in accuracy.items() if "in a circle" in view and "flip" not in view]
        return min(curve) if len(curve) > 2 else None
    views = GROUPS.get(column, [column])
    return fmean(fmean(accuracy[view]) for view in views) if all(view in accuracy for view in views) else None


def _difference(values: list[float] | None) -> str:
    if values is None:
        return "-"
    mean, low, high = values
    return f"{percent(mean, signed=True)} {percent_range(low, high, signed=True)}"


def found() -> dict[str, dict[str, Mapping[str, Any]]]:
    """The rows of all sets that were measured, by network and set."""
    names = sorted({file.parents[1].name for file in RESULTS.glob(f"*/*/{PROBES}")})
    measured = experiment([ProbeCell(name, data) for name in names for data in ORDER]).results()
    content: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in names}
    for cell, result in measured.items():
        if result is not None:
            content[cell.run][cell.set] = result["rows"]
    return content


def section() -> str:
    """The tables of all networks that were measured."""
    return "\n".join(line for name, content in found().items() for line in tables(name, content)).strip()


def main() -> None:
    """Writes the section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_section(DOCUMENT, "distil", section())


if __name__ == "__main__":
    main()
