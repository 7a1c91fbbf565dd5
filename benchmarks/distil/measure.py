"""Measures a distilled network on pictures that it has not seen: ``python -m benchmarks.distil.measure FOLDER``.

Linear probes on frozen features, trained on upright pictures alone; 5 splits, or 5 draws of the training pictures where
the test split is given. Turned pictures and mirrored ones are whole; those at other angles are seen through a circle,
and so are the training pictures of their probes. Compared with raw pixels, the same network with random weights, the
rotation-pretrained zoo and the teacher, at 96 and at 224 pixels, alone and averaged over its orbit.

Writes ``probes.json`` of each set below ``benchmarks/results/distil/<folder>``: accuracies by network and view, one
number a split, and the difference from the canonical features of the student with a 95% interval over the test
pictures, paired. ``--twin FOLDER`` measures the standard network of the same training beside it; ``--networks`` asks
for some networks alone. A set is done once all that are asked for are there: what is missing is measured with the
student, and its rows take their places among the others'.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.distil.networks import ANGLES, DIAGONAL, IN_A_CIRCLE, NETWORKS, encoders
from benchmarks.distil.sets import SETS, SIDE
from eqmodels.data import LabelledImages
from eqmodels.evaluation import knn_accuracy
from eqmodels.evaluation.orbits import QUARTERS, UPRIGHT, Motion, View
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.measures import LinearProbe, estimate, fit_linear_probe
from eqmodels.processes.world import joined_world
from eqmodels.remote.locating import FOLDERS
from eqmodels.storage import CONFIG
from eqmodels.training import Run, load_run
from eqmodels.training.log import LOG

RESULTS = Path(__file__).parents[1] / "results" / "distil"
PROBES = "probes.json"
SEEDS = range(5)
TRAINING = 2 / 3
MOST, POOL, TESTED = 1000, 1500, 600
"""Where there is a test split: training pictures of a draw, those that are drawn from, and test pictures."""
STRENGTHS = (1.0, 0.1, 0.01, 1e-3, 1e-4)
FEW = (5, 20)
"""Labels of a class."""
MIRRORED = View(Motion(reflected=True))
REGULAR, TWIN = "student, regular", "standard twin, regular"
PAIR = f"minus {TWIN}"
"""Of `REGULAR`: what both know upright, with all of their features."""


@dataclass
class Row:
    """What is known of one kind of features: correctness of every test picture, by view, for each split."""

    correct: dict[str, list[Tensor]] = field(default_factory=dict)
    scalars: dict[str, list[float]] = field(default_factory=dict)


def splits(train: LabelledImages, test: LabelledImages | None) -> list[tuple[Tensor, Tensor]]:
    """Numbers of training and of test pictures for each seed; those of a test split follow those of training."""
    found = []
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        if test is not None:
            pool, tested = (some_numbers(len(data), count) for data, count in ((train, POOL), (test, TESTED)))
            chosen = pool[torch.randperm(len(pool), generator=generator)[:MOST]]
            found.append((chosen, len(train) + tested))
            continue
        parts: list[list[Tensor]] = [[], []]
        for label in range(len(train.classes)):
            own = (train.labels == label).nonzero()[:, 0]
            own = own[torch.randperm(len(own), generator=generator)]
            cut = round(TRAINING * len(own))
            parts[0].append(own[:cut])
            parts[1].append(own[cut:])
        found.append((torch.cat(parts[0]), torch.cat(parts[1])))
    return found


def some_numbers(number: int, count: int) -> Tensor:
    """So many of so many numbers, the same for every seed."""
    return torch.randperm(number, generator=torch.Generator().manual_seed(0))[:count]


def measured(run: Run, name: str, twin: Run | None = None, networks: Sequence[str] = NETWORKS) -> dict[str, Row]:
    """Every kind of features of some networks on one set."""
    train, test = SETS[name]()
    data = (
        train
        if test is None
        else LabelledImages(
            name, torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels]), train.classes
        )
    )
    parts = splits(train, test)
    rows: dict[str, Row] = {}
    for network, features, circular in encoders(run, twin, networks):
        # Training pictures are needed upright, whole and in a circle; of a set with a test split the rest is not.
        needed = torch.cat([torch.cat(pair) for pair in parts]).unique()
        held_out = torch.cat([pair[1] for pair in parts]).unique()
        for whole, views in ((UPRIGHT, (*QUARTERS, MIRRORED)), (IN_A_CIRCLE, circular)):
            if not views:
                continue
            probes: dict[tuple[str, int], LinearProbe] = {}
            for view in dict.fromkeys((whole, *views)):
                chosen = needed if view == whole else held_out
                found = features(taken(data, chosen), view)
                place = torch.full((len(data),), -1)
                place[chosen] = torch.arange(len(chosen))
                for kind, values in found.items():
                    row = rows.setdefault(f"{network}{', ' if kind else ''}{kind}", Row())
                    for seed, (training, testing) in enumerate(parts):
                        if view == whole:
                            known, asked = ((values[place[part]], data.labels[part]) for part in (training, testing))
                            probes[kind, seed] = _fit(row, known, asked, view, seed)
                        predicted = probes[kind, seed].predict(values[place[testing]])
                        right = torch.full((len(data),), torch.nan)
                        right[testing] = (predicted == data.labels[testing]).float()
                        row.correct.setdefault(str(view), []).append(right)
        print(
            name,
            network,
            {kind: _mean(row, "0°") for kind, row in rows.items() if kind.startswith(network)},
            flush=True,
        )
    return rows


def taken(data: LabelledImages, chosen: Tensor) -> LabelledImages:
    """Some of the pictures, by their numbers."""
    return LabelledImages(data.name, data.images[chosen], data.labels[chosen], data.classes)


def _fit(row: Row, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], view: View, seed: int) -> LinearProbe:
    """The probe of one split, of features and labels; of whole pictures also neighbours and few labels."""
    (features, labels), classes = train, int(max(train[1].max(), test[1].max())) + 1
    # The strength of the first split is that of all.
    known = row.scalars.get(f"strength, {view}")
    strengths = STRENGTHS if known is None else (known[0],)
    probe = fit_linear_probe(features, labels, num_classes=classes, strengths=strengths, seed=seed)
    row.scalars.setdefault(f"strength, {view}", []).append(probe.strength)
    if view == UPRIGHT:
        row.scalars.setdefault("kNN", []).append(knn_accuracy(features, labels, *test, k=min(20, len(features))))
        for few in FEW:
            drawn = torch.cat([(labels == label).nonzero()[:few, 0] for label in range(classes)])
            small = fit_linear_probe(features[drawn], labels[drawn], num_classes=classes, strengths=(0.1,))
            row.scalars.setdefault(f"{few} labels a class", []).append(small.accuracy(*test))
    return probe


def _mean(row: Row, view: str) -> float:
    return round(float(torch.stack(row.correct[view]).nanmean()), 4)


GROUPS = {
    "upright": [str(UPRIGHT)],
    "turned": [str(view) for view in QUARTERS[1:]],
    "mirrored": [str(MIRRORED)],
    "45 degrees": [str(DIAGONAL)],
    "worst angle": [],
}
"""Views that a column is the mean of; the worst of all angles is asked of `group_mean`."""


def group_mean(accuracy: Mapping[str, list[float]], group: str) -> float | None:
    """Accuracy in one of `GROUPS`, or in a view or scalar by its name; None where it was not measured."""
    if group == "worst angle":
        curve = [fmean(accuracy[str(view)]) for view in ANGLES if str(view) in accuracy]
        return min(curve) if len(curve) == len(ANGLES) else None
    views = GROUPS.get(group, [group])
    return fmean(fmean(accuracy[view]) for view in views) if all(view in accuracy for view in views) else None


def summary(rows: dict[str, Row]) -> dict[str, dict[str, object]]:
    """Accuracies and paired differences, ready for JSON; also how regular features stand to the twin's."""
    content: dict[str, dict[str, object]] = {}
    reference = rows.get("student, canonical")
    for name, row in rows.items():
        own: dict[str, object] = {
            view: [round(float(one.nanmean()), 4) for one in row.correct[view]] for view in row.correct
        }
        own |= {
            key: [round(value, 4) for value in values] for key, values in row.scalars.items() if "strength" not in key
        }
        differences = differences_of(reference, row) if reference and row is not reference else {}
        content[name] = {"accuracy": own, "student, canonical minus it": differences}
        if name == REGULAR and TWIN in rows:
            content[name][PAIR] = differences_of(row, rows[TWIN])
    return content


def differences_of(one: Row, other: Row) -> dict[str, list[float]]:
    """One minus the other in each of `GROUPS`, with a 95% interval over the test pictures, which are paired."""
    found = {}
    for group, views in GROUPS.items():
        if views and all(view in row.correct for view in views for row in (one, other)):
            pairs = [one.correct[view][seed] - other.correct[view][seed] for view in views for seed in SEEDS]
            by_picture = np.nanmean(torch.stack(pairs).numpy(), 0)
            score = estimate(by_picture[~np.isnan(by_picture)].tolist())
            found[group] = [round(score.mean, 4), round(score.low, 4), round(score.high, 4)]
    return found


def merged(there: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a set, of which some were measured anew, in the order of `NETWORKS`.

    Raises:
        ValueError: if the student was measured anew to other figures, so that the others' differences are not from it.
    """
    for name in new:
        own, other = (rows.get(name, new[name])["accuracy"] for rows in (there, new))
        if name.startswith("student") and any(other.get(view) != values for view, values in own.items()):
            raise ValueError(f"{name} has other figures than those that are there: measure all networks anew.")
    # What a row has of others that were not measured now stays.
    found = {**there, **{name: {**there.get(name, {}), **row} for name, row in new.items()}}
    order = {name: number for number, name in enumerate(NETWORKS)}
    return dict(sorted(found.items(), key=lambda row: order[network_of(row[0])]))


def network_of(row: str) -> str:
    """The network of a row, which may be followed by the kind of its features."""
    return row if row in NETWORKS else row.rpartition(", ")[0]


@dataclass(frozen=True)
class ProbeCell:
    """All networks on one set.

    Attributes:
        run: the folder's name of the student.
        set: of pictures.
        sha256: of the student's weights; None for whatever is there.
        twin: of the standard network's weights, if it is measured.
        networks: without which the cell is not done.
    """

    run: str
    set: str
    sha256: str | None = None
    twin: str | None = None
    networks: tuple[str, ...] = ()
    seed: int = 0

    @property
    def name(self) -> str:
        """Its folder within `RESULTS`."""
        return f"{self.run}/{self.set.replace(' ', '_')}"


def experiment(cells: Sequence[ProbeCell], folder: Path = RESULTS) -> Experiment[ProbeCell, dict[str, Any] | None]:
    """Some sets, and where their results are."""
    return Experiment(folder, cells, _read, PROBES)


def _read(cell: ProbeCell, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a set; None if it is of other weights, or if a network that is asked for is missing."""
    pairs = ((cell.sha256, content["sha256"]), (cell.twin, content.get("twin")))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return None
    return dict(content) if {*cell.networks} <= _complete(content["rows"]) else None


def _complete(rows: Mapping[str, Any]) -> set[str]:
    """The networks of which everything is there: of the twin also how regular features stand to it."""
    there = {network_of(row) for row in rows}
    return there if PAIR in rows.get(REGULAR, {PAIR: None}) else there - {network_of(TWIN)}


def measure(
    run: Run, twin: Run | None, cell: ProbeCell, report: Callable[[str], None], folder: Path = RESULTS
) -> dict[str, Any]:
    """The rows of one set: those that are there, and those of the networks that are missing."""
    any_networks = replace(cell, networks=())
    there = experiment([any_networks], folder).result(any_networks) or {"rows": {}}
    done = _complete(there["rows"])
    missing = [name for name in cell.networks if name not in {*done, "student"}]
    report(", ".join(missing))
    rows = summary(measured(run, cell.set, twin, ["student", *missing]))
    of_twin = cell.twin or there.get("twin")
    about = {"sha256": cell.sha256} | ({"twin": of_twin} if of_twin else {})
    return {**about, "rows": merged(there["rows"], rows)}


def keep_origin(folder: Path, results: Path) -> None:
    """Keeps config and log of a run with what is measured of it; the zoo has those of its networks."""
    if folder.resolve() == results.resolve() or folder.parent.resolve() == FOLDERS[0].resolve():
        return
    results.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, LOG):
        shutil.copyfile(folder / name, results / name)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), help="default: all")
    parser.add_argument("--twin", type=Path, help="the run of the standard network of the same training")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="default: all")
    arguments = parser.parse_args()
    run = load_run(arguments.folder)
    twin = load_run(arguments.twin) if arguments.twin else None
    assert run.preprocessing.size == (SIDE, SIDE)
    wanted = tuple(name for name in arguments.networks if twin is not None or name != "standard twin")
    weights = run.sha256, twin.sha256 if twin else None
    cells = [ProbeCell(arguments.folder.name, name, *weights, wanted) for name in arguments.sets]
    with joined_world() as world, world.together(), shown_progress(quiet=not world.is_writer) as tell:
        command = command_line("benchmarks.distil.measure")
        experiment(cells).run(partial(measure, run, twin), command=command, tell=tell, world=world)
        if world.is_writer:
            for one in filter(None, (arguments.folder, arguments.twin)):
                keep_origin(one, RESULTS / one.name)


if __name__ == "__main__":
    main()
