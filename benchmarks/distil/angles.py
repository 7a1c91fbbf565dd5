"""How well a distilled network tells the angle of a picture: ``python -m benchmarks.distil.angles FOLDER``.

Of the head of the angle, asked about pictures that did not teach it, upright and at every 15 degrees through a circle:
the median error in degrees. Writes ``angle.json`` of each set beside its probes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.distil.measure import RESULTS, TESTED, ProbeCell, some_numbers, taken
from benchmarks.distil.networks import ANGLES, encoded
from benchmarks.distil.sets import SETS
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.orbits import UPRIGHT
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.heads import AngleHead
from eqmodels.training import Run, load_run

ALL = "all angles in a circle"


def experiment(cells: list[ProbeCell], folder: Path = RESULTS) -> Experiment[ProbeCell, dict[str, Any] | None]:
    """Some sets, and where their results are."""
    return Experiment(folder, cells, _read, "angle.json")


def _read(cell: ProbeCell, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a set; None if it is of other weights."""
    return None if cell.sha256 not in (None, content["sha256"]) else dict(content)


def measure(run: Run, cell: ProbeCell, _: Callable[[str], None]) -> dict[str, Any]:
    """The median error by view, and that over all angles."""
    train, test = SETS[cell.set]()
    data = train if test is None else test
    data = taken(data, some_numbers(len(data), TESTED))
    errors = {}
    for view in (UPRIGHT, *ANGLES):
        found = AngleHead.degrees(run.outputs(encoded(Subject.of(run), data, view))["angle"])
        errors[str(view)] = ((found - view.motion.degrees + 180) % 360 - 180).abs()
    medians = {view: round(float(error.median()), 2) for view, error in errors.items()}
    circular = torch.cat([errors[str(view)] for view in ANGLES])
    return {"sha256": cell.sha256, "degrees": medians | {ALL: round(float(circular.median()), 2)}}


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    arguments = parser.parse_args()
    run = load_run(arguments.folder)
    cells = [ProbeCell(arguments.folder.name, name, run.sha256) for name in SETS]
    with shown_progress(quiet=False) as tell:
        experiment(cells).run(partial(measure, run), command=command_line("benchmarks.distil.angles"), tell=tell)


if __name__ == "__main__":
    main()
