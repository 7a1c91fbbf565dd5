"""Trains the network of one cell, if it is to be trained, and measures it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from eqmodels.data import Source
from eqmodels.evaluation import encode, head_scores, observe
from eqmodels.measures import FilmFamily, SynergyTerms, fit_linear_probe, measure_synergy
from eqmodels.storage import prepare_folder, read_regular, write_atomically
from eqmodels.studies.plan import Cell
from eqmodels.studies.results import CellResult
from eqmodels.training import PretrainConfig, Pretraining, Run, prepared_images, pretrain, snapshot, untrained

__all__ = ["StudyData", "measure_cell"]

TERMS = "terms.json"
"""In the folder of a cell of epochs: the terms after those epochs that are done."""


@dataclass(frozen=True)
class StudyData:
    """The images of a study.

    Attributes:
        train: for pretraining and probes, not coloured yet.
        test: for probes.
        seen: the part of `test` on which information and heads are measured.
    """

    train: Source
    test: Source
    seen: Source

    def of(self, config: PretrainConfig) -> tuple[Source, Source, Source]:
        """The three with the colours of a config."""
        return (
            prepared_images(config, self.train),
            prepared_images(config, self.test, "test"),
            prepared_images(config, self.seen, "test"),
        )


def measure_cell(
    cell: Cell,
    folder: Path,
    data: StudyData,
    *,
    classifier: Run | None,
    folds: int,
    report: Callable[[str], None] = lambda _: None,
) -> CellResult:
    """Trains and measures one network.

    Stopped at any moment, it goes on from its last checkpoint.

    Args:
        cell: which.
        folder: of the study.
        data: images.
        classifier: that sees the class in images transformed by the cell's task; None for a classifier itself.
        folds: of the cross-fitting.
        report: called with a word on what is being done.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        TrainingError: if the training fails.
        ValueError: if the images do not suit the cell.
    """
    started = time.monotonic()
    train, test, seen = data.of(cell.config)
    own = folder / cell.name
    family = FilmFamily() if cell.kind == "film" else None

    def terms_of(run: Run) -> SynergyTerms:
        observations = observe(run, seen, classifier=classifier)
        return measure_synergy(observations, family, folds=folds, report=report)

    report("training")
    terms: tuple[SynergyTerms, ...] = ()
    if cell.kind == "epochs":
        run, terms = _followed(cell.config, own, train, terms_of)
    elif cell.kind in ("random", "film"):
        run = untrained(cell.config, train)
    else:
        run = pretrain(cell.config, own, data=train, quiet=True)
    if cell.kind not in ("classifier", "epochs"):
        terms = (terms_of(run),)
    report("probe")
    # Every label of every image is asked, with and without augmentation: of all images this would take longest.
    tasks, classes = head_scores(run, seen)
    return CellResult(
        name=cell.name,
        config=cell.config.to_dict(),
        terms=terms,
        probe=_probe(run, train, test),
        task_accuracy=tasks[0].accuracy,
        task_training_accuracy=tasks[0].training_accuracy,
        class_accuracy=math.nan if classes is None else classes.accuracy,
        seconds=round(time.monotonic() - started, 1),
    )


def _probe(run: Run, train: Source, test: Source) -> float:
    """Accuracy of the linear probe of regular features on upright images."""
    features = [encode(run, images.pixels, len(images)) for images in (train, test)]
    return fit_linear_probe(features[0], train.labels, validation_fraction=0.2).accuracy(features[1], test.labels)


def _followed(
    config: PretrainConfig, folder: Path, train: Source, terms_of: Callable[[Run], SynergyTerms]
) -> tuple[Run, tuple[SynergyTerms, ...]]:
    """Trains a network and measures it before the first epoch and after each."""
    prepare_folder(folder)
    found = _read_terms(folder / TERMS)
    with torch.random.fork_rng(devices=[]):
        training = Pretraining(config, train)
        if not training.resume(folder):
            training.save(folder)
        while True:
            run = snapshot(training)
            # It was measured already if the study was stopped right after.
            if len(found) == training.progress.epoch:
                found.append(terms_of(run))
                write_atomically(folder / TERMS, json.dumps([terms.to_dict() for terms in found], indent=1) + "\n")
            if training.progress.epoch == config.optimisation.epochs:
                return run, tuple(found)
            training.epoch()
            training.save(folder)


def _read_terms(file: Path) -> list[SynergyTerms]:
    return [SynergyTerms.from_dict(content) for content in json.loads(read_regular(file))] if file.exists() else []
