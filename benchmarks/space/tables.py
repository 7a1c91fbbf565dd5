"""Writes what came out into docs/space.md: ``python -m benchmarks.space.tables``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from benchmarks._sections import write_section
from benchmarks.space.measure import BINS, NAMES, POINTS, RESULTS
from eqmodels.evaluation import CloudEvaluation
from eqmodels.measures import estimate
from eqmodels.reports import Table, percent

ZOO = Path(__file__).parents[2] / "zoo"
DOCUMENT = Path(__file__).parents[2] / "docs" / "space.md"

WORDS = {
    "none": "`so3_vectors_small`, random weights",
    "strict": "`so3_vectors_small`, strict head",
    "turns": "`so3_vectors_small`, classifier of 24 turns",
    "pointnet": "`pointnet`, classifier of 24 turns",
    "dgcnn": "`dgcnn`, classifier of 24 turns",
}
FORMER = "neighbours alone"
"""What is said of the equivariant encoder as it was before its layers knew the mean over the cloud."""
FORMER_PARAMETERS = 34704

COLUMNS = ("probe upright", "probe SO3", "knn upright", "knn SO3")


def section() -> str:
    """Tables of accuracies and of degrees, means over the seeds that are there."""
    cells = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    if not cells:
        return "Nothing has been measured yet."
    first = cells[0]
    lines = [
        f"{first['train']:,} training and {first['test']} test parts of {first['classes']} families; accuracies in "
        "percent.",
        "",
    ]
    header = ["encoder, what it learned", "features", "points", "seconds", "seeds"]
    header += ["probe, upright", "probe, SO(3)", "kNN, upright", "kNN, SO(3)"]
    table = Table(header, [row for own in _groups(cells) for row in _rows(own)], left=2)
    return "\n".join([*lines, table.markdown(as_it_is=True), "", *_degrees(cells), "", *_zoo()]).strip()


def _zoo() -> list[str]:
    """What `eqmodels evaluate` found of the networks of the zoo, one seed of each."""
    rows = []
    for file in sorted(ZOO.glob("*.frame_kicad/results.json")):
        found = CloudEvaluation.from_dict(json.loads(file.read_text()))
        kinds = {one.kind: one for one in found.kinds}
        shown = [kinds["invariant"], kinds["canonical"]]
        scores = [percent(score) for one in shown for score in (one.turned, one.knn_turned)]
        degrees = [f"{found.up:.1f}", f"{found.frame:.1f}"]
        rows.append([f"`{file.parent.name}`", f"{found.parameters:,}", *degrees, *scores])
    header = ["network", "parameters", "up", "whole frame", "invariant: probe", "kNN", "canonical: probe", "kNN"]
    words = (
        "The networks of the zoo, one seed each, on test parts of 512 points in random poses (`eqmodels evaluate NAME "
        "--points 512`):"
    )
    return [words, "", Table(header, rows).markdown(as_it_is=True)]


def _groups(cells: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The seeds of each encoder that was trained for each time and asked of so many points, in this order."""
    for seconds, points in sorted({(cell["asked_seconds"], points_of(cell)) for cell in cells}):
        for name, former in product(NAMES, (True, False)):
            key = (name, seconds, points, former)
            own = [
                cell for cell in cells if (cell["name"], cell["asked_seconds"], points_of(cell), is_former(cell)) == key
            ]
            if own:
                yield own


def is_former(cell: dict[str, Any]) -> bool:
    """Whether layers of the equivariant encoder knew neighbours alone."""
    return bool(cell["parameters"] == FORMER_PARAMETERS)


def words_of(cell: dict[str, Any]) -> str:
    """What a row says of the encoder."""
    return f"{WORDS[cell['name']]} ({FORMER})" if is_former(cell) else WORDS[cell["name"]]


def points_of(cell: dict[str, Any]) -> int:
    """Of a part, when it was measured."""
    return int(cell.get("points", POINTS))


def _rows(cells: list[dict[str, Any]]) -> list[list[str]]:
    """A row of each kind of features, and one of probes that learned from turned parts where there are such."""
    seconds = sum(cell["processor_seconds"] for cell in cells) / len(cells)
    rows = []
    for kind, scores in cells[0]["features"].items():
        for words in ("", "SO3 to ") if "probe SO3 to SO3" in scores else ("",):
            found = [
                estimate([cell["features"][kind][column.replace(" ", f" {words}", 1)] for cell in cells]).as_percent()
                for column in COLUMNS
            ]
            label = f"{kind}, probes of turned parts" if words else kind
            rows.append(
                [words_of(cells[0]), label, str(points_of(cells[0])), f"{seconds:,.0f}", str(len(cells)), *found]
            )
    return rows


def in_degrees(medians: list[float]) -> str:
    """The mean of such figures of seeds, with half of its interval if there are several."""
    found = estimate(medians)
    return f"{found.mean:.1f}" if found.count == 1 else f"{found.mean:.1f} ± {found.high - found.mean:.1f}"


def _degrees(cells: list[dict[str, Any]]) -> list[str]:
    """How far predicted frames are from the truth."""
    rows = []
    for group in _groups(cells):
        if own := [cell["degrees"] for cell in group if "degrees" in cell]:
            seconds = sum(cell["processor_seconds"] for cell in group) / len(group)
            below, none = (100 * sum(one[key] for one in own) / len(own) for key in ("up below 15", "degenerate"))
            degrees = [in_degrees([one[key] for one in own]) for key in ("up", "frame")]
            points = str(points_of(group[0]))
            start = [words_of(group[0]), points, f"{seconds:,.0f}", str(len(own))]
            rows.append([*start, *degrees, f"{below:.0f}%", f"{none:.0f}%"])
    table = Table(["encoder", "points", "seconds", "seeds", "up", "whole frame", "up below 15", "no frame"], rows)
    words = (
        "Degrees between the predicted and the true pose of test parts in random poses: the median of each seed, and "
        "of these the mean ± half of the 95% interval:"
    )
    lines = [words, "", table.markdown(as_it_is=True)]
    longest = max((cell["asked_seconds"], points_of(cell)) for cell in cells)
    strict = [
        cell["degrees"]["histogram of up"]
        for cell in cells
        if (cell["name"], cell["asked_seconds"], points_of(cell)) == ("strict", *longest)
    ]
    if strict:
        counts = [str(sum(column)) for column in zip(*strict, strict=True)]
        table = Table([f"{low}-{high}" for low, high in pairwise(BINS)], [counts], left=0)
        words = "Errors of up of the strict head that was trained longest, test parts by degrees, of all seeds:"
        lines += ["", words, "", table.markdown(as_it_is=True)]
    return lines


def main() -> None:
    """Writes the section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_section(DOCUMENT, "kicad", section())


if __name__ == "__main__":
    main()
