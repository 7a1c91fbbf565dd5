"""The tables of a study, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.measures import Estimate
from eqmodels.storage import for_markdown
from eqmodels.studies.findings import GridPoint, correlations, grid_points
from eqmodels.studies.study import SynergyStudy

__all__ = ["StudyTable", "markdown_table", "study_tables"]

Row = Sequence[str]


@dataclass(frozen=True)
class StudyTable:
    """A table: its title, the names of its columns, and its rows as text."""

    title: str
    header: Row
    rows: Sequence[Row]

    def markdown(self) -> str:
        """The table in Markdown, without its title."""
        return markdown_table(self.header, [[for_markdown(cell) for cell in row] for row in self.rows])


def markdown_table(header: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown: the first column to the left, the others to the right.

    Raises:
        TypeError: if header or rows are not words.
    """
    check_arguments(markdown_table, locals())
    rows = list(rows)
    for row in rows:
        if not isinstance(row, list | tuple) or not all(isinstance(word, str) for word in row):
            raise TypeError(f"rows must be lists of words; got {shown(row)}. Pass the text of every cell.")
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def study_tables(study: SynergyStudy) -> tuple[StudyTable, ...]:
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


def _calibration(study: SynergyStudy) -> StudyTable:
    rows = []
    for entry in study.calibration:
        covered = "yes" if entry.estimate.low <= entry.truth <= entry.estimate.high else "no"
        rows.append([entry.model, entry.quantity, f"{entry.truth:.4f}", interval(entry.estimate), covered])
    header = ["exact model", "quantity", "truth", "estimate", "covered"]
    return StudyTable("Estimates beside the truth, nats", header, rows)


def _grid(points: Sequence[GridPoint]) -> StudyTable:
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
                f"{100 * point.pretrained.probe:.1f}",
                f"{100 * point.gain:+.1f}",
            ]
        )
    return StudyTable("Tasks, augmentations and backbones", header, rows)


def _correlations(points: tuple[GridPoint, ...]) -> StudyTable:
    found = correlations(points) if len(points) > 2 else {}
    rows = [[name, f"{r.mean:.2f}", f"{r.low:.2f} .. {r.high:.2f}", str(r.count)] for name, r in found.items()]
    header = ["predictor", "rank correlation", "95% interval, over tasks", "cells"]
    return StudyTable("What predicts the gain of the probe", header, rows)


def _groups(study: SynergyStudy, points: Sequence[GridPoint]) -> StudyTable:
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
                    f"{100 * point.pretrained.task_accuracy:.1f}",
                    f"{100 * point.pretrained.probe:.1f}",
                    f"{100 * point.gain:+.1f}",
                ]
            )
    header = ["backbone", "augmentation", "known", "synergy", "by the class", "rotation, %", "probe, %", "gain"]
    return StudyTable("Groups at equal cost: rotation", header, rows)


def _doses(study: SynergyStudy) -> StudyTable:
    rows = []
    for cell, result in study.cells.items():
        if cell.kind == "dose":
            terms = result.terms[0]
            rows.append(
                [
                    f"{cell.class_weight:g}",
                    f"{100 * result.task_training_accuracy:.1f}",
                    f"{100 * result.task_accuracy:.1f}",
                    f"{100 * result.class_accuracy:.1f}",
                    f"{100 * result.probe:.1f}",
                    *(interval(value) for value in (terms.known, terms.unlocked, terms.class_known)),
                ]
            )
    header = ["dose", "rotation, training, %", "rotation, held-out, %", "class head, %", "probe, %"]
    header += ["known", "synergy", "class known"]
    return StudyTable("Class information, added and eliminated", header, rows)


def _families(study: SynergyStudy) -> StudyTable:
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
    return StudyTable(f"Two families of predictors: {study.plan.models[0]} as it is initialised", header, rows)


def _epochs(study: SynergyStudy) -> StudyTable:
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
    return StudyTable("Over the epochs", header, rows)


def interval(value: Estimate) -> str:
    """Such as ``0.187 ± 0.012``, in nats."""
    return f"{value.mean:.3f} ± {max(value.high - value.mean, value.mean - value.low):.3f}"
