"""Runs a study of synergy, cell by cell, and reads what it found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data import at_most, load_data
from eqmodels.evaluation.observing import check_classes
from eqmodels.experiments import Experiment, shown_progress
from eqmodels.measures import Estimate
from eqmodels.registry import without_imports
from eqmodels.storage import StorageError, prepare_folder, printable, read_regular, reason_of, write_atomically
from eqmodels.studies.calibration import Calibration, calibrate
from eqmodels.studies.measure import StudyData, measure_cell
from eqmodels.studies.plan import Cell, SynergyPlan
from eqmodels.studies.results import RESULT, CellResult, check_result
from eqmodels.training import Run, pretrain

__all__ = ["SynergyStudy", "load_study_data", "read_study", "run_study"]

PLAN, CALIBRATION = "plan.json", "calibration.json"


@dataclass(frozen=True)
class SynergyStudy:
    """A study: what was to be done, and what was found so far.

    Attributes:
        plan: what was to be done.
        cells: what was found, by cell; those that are not done are missing.
        calibration: estimates beside the truth, on exact models; empty if it is not done.
    """

    plan: SynergyPlan
    cells: dict[Cell, CellResult]
    calibration: tuple[Calibration, ...]


def load_study_data(plan: SynergyPlan, root: str | Path | None = None) -> StudyData:
    """The images of a plan; information is measured on a balanced subset of the held-out ones.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the data set is unknown, or its held-out images have no classes, or too few of one.
        FileNotFoundError: if its files are nowhere.
    """
    check_arguments(load_study_data, locals())
    train, test = (load_data(plan.data, split, root=root, **plan.data_options) for split in ("train", "test"))
    seen = at_most(test, plan.test_limit)
    check_classes(seen)
    return StudyData(at_most(train, plan.limit), test, seen)


def run_study(
    plan: SynergyPlan,
    folder: str | Path,
    *,
    root: str | Path | None = None,
    quiet: bool = False,
) -> SynergyStudy:
    """Runs what is not done yet; stopped at any moment, the same call goes on where it was.

    Args:
        plan: what is to be done.
        folder: of the study; each cell has its own in it.
        root: the folder of the data, see `load_data`.
        quiet: whether to leave the progress bar out.

    Raises:
        TypeError: if an argument is of another type.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        StorageError: if the folder holds another study, or a file cannot be read or written.
        TrainingError: if a training fails.
        ValueError: if the data does not suit the plan.
    """
    check_arguments(run_study, locals())
    folder = Path(folder)
    prepare_folder(folder)
    _claim(plan, folder)
    data = load_study_data(plan, root)
    # Building a network draws from PyTorch's global generator.
    with torch.random.fork_rng(devices=[]):
        _calibrated(plan, folder)
        with shown_progress(quiet=quiet) as tell:
            _experiment(plan, folder).run(partial(_measured, plan, folder, data), tell=tell)
    return read_study(folder)


def _experiment(plan: SynergyPlan, folder: Path) -> Experiment[Cell, CellResult]:
    """The cells of a plan, and where their results are."""
    return Experiment(folder, plan.cells(), check_result, RESULT)


def _measured(
    plan: SynergyPlan, folder: Path, data: StudyData, cell: Cell, report: Callable[[str], None]
) -> dict[str, Any]:
    """What is measured of one cell."""
    classifier = _classifier(plan, cell, folder, data)
    return measure_cell(cell, folder, data, classifier=classifier, folds=plan.folds, report=report).to_dict()


def read_study(folder: str | Path) -> SynergyStudy:
    """What the folder of a study holds so far.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if there is no study, or a file cannot be read.
    """
    check_arguments(read_study, locals())
    folder = Path(folder)
    try:
        with without_imports():
            plan = SynergyPlan.from_dict(json.loads(read_regular(folder / PLAN)))
            plan.cells()
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(
            f"{printable(str(folder))} holds no study of synergy ({reason_of(error)}). Run one into it: eqmodels "
            "synergy --folder FOLDER."
        ) from None
    return SynergyStudy(plan, _experiment(plan, folder).results(), _read_calibration(folder))


def _claim(plan: SynergyPlan, folder: Path) -> None:
    """Writes the plan, or makes sure that the folder's is the same."""
    file = folder / PLAN
    if not file.exists():
        write_atomically(file, json.dumps(plan.to_dict(), indent=1) + "\n")
    elif (other := read_study(folder).plan) != plan:
        own, others = plan.to_dict(), other.to_dict()
        name = next(name for name in own if own[name] != others[name])
        raise StorageError(
            f"{folder} holds another study: its {name} is {others[name]!r}, not {own[name]!r}. Choose another "
            "--folder, or its options."
        )


def _classifier(plan: SynergyPlan, cell: Cell, folder: Path, data: StudyData) -> Run | None:
    """The classifier for a cell: at once, or trained again where its weights were not kept."""
    if cell.kind == "classifier":
        return None
    name = plan.classifier_of(cell)
    config = next(other.config for other in plan.cells() if other.name == name)
    return pretrain(config, folder / name, data=data.of(config)[0], quiet=True)


def _calibrated(plan: SynergyPlan, folder: Path) -> None:
    if not (folder / CALIBRATION).exists():
        found = [asdict(calibration) for calibration in calibrate(plan.samples, folds=plan.folds)]
        write_atomically(folder / CALIBRATION, json.dumps(found, indent=1) + "\n")


def _read_calibration(folder: Path) -> tuple[Calibration, ...]:
    file = folder / CALIBRATION
    if not file.exists():
        return ()
    content = json.loads(read_regular(file))
    return tuple(Calibration(**entry | {"estimate": Estimate.from_dict(entry["estimate"])}) for entry in content)
