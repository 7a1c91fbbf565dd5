"""How much of what the teacher sees a student knows: ``python -m benchmarks.distil.reach FOLDER ...``.

A linear map from the student's regular features to the teacher's, layer-normed as the objective has them, both of
upright pictures on white. It is fitted on half of the clip art that taught, and asked of the other half, of clip art
that did not teach, and of other pictures that did not: the share of the teacher's variance that it explains,

    ``R2 = 1 - mean |W f(x) + b - t(x)|^2 / mean |t(x) - t_mean|^2``,

with the means over the pictures that are asked, so that 0 is to know their mean. What is the same on pictures that
taught and on those that did not has not been learned by heart; pictures that taught are more like each other, so that
the gap is to be compared with that of random weights. The same is asked of the head of the pose: how often it knows
that a picture is upright. Writes ``reach.json`` beside the results of each run, for the student and for the same
network with random weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.distil.measure import RESULTS, some_numbers, taken
from benchmarks.distil.networks import encoders, of_teacher
from benchmarks.distil.sets import SETS
from eqmodels.data import LabelledImages
from eqmodels.evaluation.orbits import UPRIGHT
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.measures import estimate
from eqmodels.objectives import create_teacher
from eqmodels.training import Run, load_run

FITTED, ASKED = 2600, 1000
"""Pictures that the map is fitted on, and most that it is asked about."""
CHOOSING = 5
"""One part in so many of those that it is fitted on chooses how strong its penalty is."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the squared weights, in parts of the mean variance of a feature."""
TAUGHT, NEW = "clip art that taught", "clip art that did not"
OTHERS = ("stamps", "icons", "tiles")
"""Sets of other pictures, none of which taught."""
ASKED_SETS = (TAUGHT, NEW, *OTHERS)
"""The columns of the table."""


@dataclass(frozen=True)
class ReachCell:
    """One student.

    Attributes:
        run: the folder's name.
        sha256: of its weights; None for whatever is there.
    """

    run: str
    sha256: str | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """Its folder within the results."""
        return self.run


def experiment(cells: list[ReachCell], folder: Path = RESULTS) -> Experiment[ReachCell, dict[str, Any] | None]:
    """Some students, and where their results are."""
    return Experiment(folder, cells, _read, "reach.json")


def _read(cell: ReachCell, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a student; None if it is of other weights."""
    return None if cell.sha256 not in (None, content["sha256"]) else dict(content)


@cache
def asked() -> dict[str, LabelledImages]:
    """The pictures that the map is fitted on, under an empty name, and those that it is asked about."""
    train, test = SETS["clip art"]()
    assert test is not None
    mixed = some_numbers(len(train), len(train))
    found = {"": taken(train, mixed[:FITTED]), TAUGHT: taken(train, mixed[FITTED : FITTED + ASKED])}
    for name, data in ((NEW, test), *((name, SETS[name]()[0]) for name in OTHERS)):
        found[name] = taken(data, some_numbers(len(data), ASKED))
    return found


@cache
def _seen_by_teacher() -> dict[str, Tensor]:
    """The teacher's features, layer-normed."""
    teacher = create_teacher("lite0")
    found = {name: of_teacher(teacher, data, UPRIGHT)[""] for name, data in asked().items()}
    return {name: F.layer_norm(one, one.shape[1:]) for name, one in found.items()}


@dataclass(frozen=True)
class LinearMap:
    """From features to features."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """The features that it predicts."""
        return (features.double() - self.mean) / self.scale @ self.weight + self.bias


def fit_map(features: Tensor, targets: Tensor) -> LinearMap:
    """Ridge regression; a part of the pictures chooses the penalty, and then all of them fit the map."""
    cut = len(features) // CHOOSING
    held = features[:cut], targets[:cut]
    known = features[cut:], targets[cut:]
    best = max(PENALTIES, key=lambda penalty: explained(_ridge(*known, penalty), *held).mean().item())
    return _ridge(features, targets, best)


def _ridge(features: Tensor, targets: Tensor, penalty: float) -> LinearMap:
    features, targets = features.double(), targets.double()
    mean, scale, bias = features.mean(0), features.std(0).clamp_min(1e-6), targets.mean(0)
    standard = (features - mean) / scale
    gram = standard.T @ standard / len(standard) + penalty * torch.eye(standard.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(gram, standard.T @ (targets - bias) / len(standard))
    return LinearMap(mean, scale, weight, bias)


def explained(found: LinearMap, features: Tensor, targets: Tensor) -> Tensor:
    """Of each picture, so that the mean over the pictures is R2."""
    targets = targets.double()
    whole = (targets - targets.mean(0)).square().sum(1).mean()
    return 1 - (found(features) - targets).square().sum(1) / whole


def measure(run: Run, _cell: ReachCell, _: Callable[[str], None]) -> dict[str, Any]:
    """R2 by network and set, and how often the student's head knows that a picture is upright; 95% intervals."""
    teacher, students = _seen_by_teacher(), dict(_students(run))
    about = {"sha256": run.sha256, "rows": {name: _reached(one, teacher) for name, one in students.items()}}
    return about | ({"pose": _knows_up(run.pose, students["student"])} if run.pose is not None else {})


def _students(run: Run) -> Iterator[tuple[str, dict[str, Tensor]]]:
    for name, features, _ in encoders(run, None, ["random", "student"]):
        yield name, {of: features(data, UPRIGHT)["regular"] for of, data in asked().items()}


def _reached(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> dict[str, list[float]]:
    found = fit_map(student[""], teacher[""])
    return {name: _interval(explained(found, student[name], teacher[name])) for name in ASKED_SETS}


def _knows_up(pose: torch.nn.Module, student: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """As logits turn with the picture, what holds for upright ones holds for turned ones."""
    with torch.no_grad():
        return {name: _interval((pose(student[name]).argmax(1) == 0).double()) for name in ASKED_SETS}


def _interval(values: Tensor) -> list[float]:
    score = estimate(values.tolist())
    return [round(score.mean, 4), round(score.low, 4), round(score.high, 4)]


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="of the runs")
    with shown_progress(quiet=False) as tell:
        for folder in parser.parse_args().folders:
            run = load_run(folder)
            cell = ReachCell(folder.name, run.sha256)
            experiment([cell]).run(partial(measure, run), command=command_line("benchmarks.distil.reach"), tell=tell)


if __name__ == "__main__":
    main()
