"""Writes what came out into docs/dense.md: ``python -m benchmarks.segmentation.tables``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks._sections import write_section
from benchmarks.segmentation import train
from benchmarks.segmentation.networks import NETWORKS
from benchmarks.segmentation.train import MOTIONS, SIZES, experiment
from eqmodels.measures import estimate
from eqmodels.reports import Table

DOCUMENT = Path(__file__).parents[2] / "docs" / "dense.md"


def section() -> str:
    """A table a number of training pictures: means over the seeds that are there, with 95% intervals."""
    cells = list(experiment(train.cells()).results().values())
    lines: list[str] = []
    for count in SIZES:
        own = [cell for cell in cells if cell["pictures"] == count]
        if own:
            lines += [f"{count} training pictures, {own[0]['steps']} steps of training:", "", _table(own), ""]
    return "\n".join(lines).strip() or "Nothing has been measured yet."


def _table(cells: list[dict[str, Any]]) -> str:
    rows = []
    for name in NETWORKS:
        if own := [cell for cell in cells if cell["network"] == name]:
            found = [estimate([cell[words] for cell in own]).as_percent() for words in MOTIONS]
            rows.append([name, f"{own[0]['MFLOPs']:.0f}", f"{own[0]['parameters']:.1f}M", f"{len(own)}", *found])
    return Table(["network", "MFLOPs", "parameters", "seeds", *MOTIONS], rows).markdown(as_it_is=True)


def main() -> None:
    """Writes the section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_section(DOCUMENT, "segmentation", section())


if __name__ == "__main__":
    main()
