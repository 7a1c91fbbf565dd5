"""The tables of a study, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eqmodels.arguments import check_arguments
from eqmodels.measures import Estimate
from eqmodels.reports import Table, percent
from eqmodels.studies.findings import GridPoint, correlations, grid_points
from eqmodels.studies.study import SynergyStudy

__all__ = ["interval", "study_tables"]


def study_tables(study: SynergyStudy) -> tuple[Table, ...]:
    """All tables of a study; those without any cell yet are left out.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(study_tables, locals())
    points = grid_points(study)
    tables = (
        _calibration(study),
        _grid(points),
        _correlations(points),
        _groups(study, points),
        _doses(study),
        _families(study),
        _epochs(study),
    )
    return tuple(table for table in tables if table.rows)


def _calibration(study: SynergyStudy) -> Table:
    rows = []
    for entry in study.calibration:
        covered = "yes" if entry.estimate.low <= entry.truth <= entry.estimate.high else "no"
        rows.append([entry.model, entry.quantity, f"{entry.truth:.4f}", interval(entry.estimate), covered])
    header = ["exact model", "quantity", "truth", "estimate", "covered"]
    return Table(header, rows, "Estimates beside the truth, nats")


def _grid(points: Sequence[GridPoint]) -> Table:
    header = ["backbone", "augmentation", "task", "log A", "known", "synergy", "irreducible"]
    header += ["null", "usable", "by the class", "random", "probe, %", "gain"]
    rows = []
    for point in points:
        cell, terms, random = point.cell, point.pretrained.terms[0], point.random.terms[0]
        rows.append(
            [
                cell.model,
                cell.augment,
                cell.task,
                f"{math.log(terms.num_labels):.3f}",
                *(interval(value) for value in (terms.known, terms.unlocked, terms.irreducible)),
                interval(terms.permuted_classes),
                "-" if terms.usable is None else interval(terms.usable),
                interval(terms.class_unlocked),
                interval(random.unlocked),
                percent(point.pretrained.probe),
                percent(point.gain, signed=True),
            ]
        )
    return Table(header, rows, "Tasks, augmentations and backbones")


def _correlations(points: tuple[GridPoint, ...]) -> Table:
    found = correlations(points) if len(points) > 2 else {}
    rows = [[name, f"{r.mean:.2f}", f"{r.low:.2f} .. {r.high:.2f}", str(r.count)] for name, r in found.items()]
    header = ["predictor", "rank correlation", "95% interval, over tasks", "cells"]
    return Table(header, rows, "What predicts the gain of the probe")


def _groups(study: SynergyStudy, points: Sequence[GridPoint]) -> Table:
    models = {*study.plan.models, *study.plan.groups}
    rows = []
    for point in points:
        cell, terms = point.cell, point.pretrained.terms[0]
        if cell.task == "rotation" and cell.model in models:
            rows.append(
                [
                    cell.model,
                    cell.augment,
                    *(interval(value) for value in (terms.known, terms.unlocked, terms.class_unlocked)),
                    percent(point.pretrained.task_accuracy),
                    percent(point.pretrained.probe),
                    percent(point.gain, signed=True),
                ]
            )
    header = ["backbone", "augmentation", "known", "synergy", "by the class", "rotation, %", "probe, %", "gain"]
    return Table(header, rows, "Groups at equal cost: rotation")


def _doses(study: SynergyStudy) -> Table:
    rows = []
    for cell, result in study.cells.items():
        if cell.kind == "dose":
            terms = result.terms[0]
            rows.append(
                [
                    f"{cell.class_weight:g}",
                    percent(result.task_training_accuracy),
                    percent(result.task_accuracy),
                    percent(result.class_accuracy),
                    percent(result.probe),
                    *(interval(value) for value in (terms.known, terms.unlocked, terms.class_known)),
                ]
            )
    header = ["dose", "rotation, training, %", "rotation, held-out, %", "class head, %", "probe, %"]
    header += ["known", "synergy", "class known"]
    return Table(header, rows, "Class information, added and eliminated")


def _families(study: SynergyStudy) -> Table:
    """The same networks by both families of predictors."""
    results = {cell.name: result for cell, result in study.cells.items()}
    rows = []
    for cell, richer in study.cells.items():
        source = results.get(study.plan.source_of(cell))
        if cell.kind != "film" or source is None:
            continue
        for result in (source, richer):
            terms = result.terms[0]
            rows.append(
                [
                    cell.task,
                    terms.family,
                    *(interval(value) for value in (terms.known, terms.unlocked, terms.class_unlocked)),
                    interval(terms.permuted_classes),
                    "-" if terms.usable is None else interval(terms.usable),
                ]
            )
    header = ["task", "family", "known", "synergy", "by the class", "null", "usable"]
    return Table(header, rows, f"Two families of predictors: {study.plan.models[0]} as it is initialised")


def _epochs(study: SynergyStudy) -> Table:
    rows = [
        [
            cell.model,
            str(epoch),
            *(interval(value) for value in (terms.known, terms.unlocked, terms.irreducible)),
            *(interval(value) for value in (terms.class_known, terms.class_unlocked)),
        ]
        for cell, result in study.cells.items()
        if cell.kind == "epochs"
        for epoch, terms in enumerate(result.terms)
    ]
    header = ["backbone", "epoch", "known", "synergy", "irreducible", "class known", "by the class"]
    return Table(header, rows, "Over the epochs")


def interval(value: Estimate) -> str:
    """Such as ``0.187 ± 0.012``, in nats."""
    return f"{value.mean:.3f} ± {max(value.high - value.mean, value.mean - value.low):.3f}"
