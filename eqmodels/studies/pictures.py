"""The pictures of a study; needs matplotlib, the extra ``report``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from eqmodels.reports.figures import new_figure
from eqmodels.storage import for_picture
from eqmodels.studies.findings import GridPoint, grid_points
from eqmodels.studies.results import CellResult
from eqmodels.studies.study import SynergyStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["study_pictures"]

COLOURS = {"known": "#4477aa", "unlocked": "#ee7733", "irreducible": "#bbbbbb"}
WORDS = {"known": "known from Z", "unlocked": "unlocked by the class", "irreducible": "irreducible"}
MARKERS = "osD^vP*X"


def study_pictures(study: SynergyStudy) -> dict[str, Figure]:
    """From the title of every picture to the picture; those without any cell yet are left out.

    Raises:
        ModuleNotFoundError: if matplotlib is not installed.
    """
    points = grid_points(study)
    doses = any(cell.kind == "dose" for cell in study.cells)
    epochs = any(cell.kind == "epochs" for cell in study.cells)
    makers: dict[str, tuple[bool, Callable[[], Figure]]] = {
        "Estimates beside the truth": (bool(study.calibration), lambda: _calibration(study)),
        "What is known of the transformation": (bool(points), lambda: _bars(points)),
        "Synergy and the gain of the probe": (len(points) > 2, lambda: _scatter(points)),
        "Over the epochs": (epochs, lambda: _epochs(study)),
        "Class information, added and eliminated": (doses, lambda: _doses(study)),
    }
    return {title: make() for title, (possible, make) in makers.items() if possible}


def _calibration(study: SynergyStudy) -> Figure:
    figure = new_figure(6.0, 5.0)
    axes = figure.subplots()
    models = list(dict.fromkeys(entry.model for entry in study.calibration))
    for model, marker in zip(models, MARKERS, strict=False):
        entries = [entry for entry in study.calibration if entry.model == model]
        means = [entry.estimate.mean for entry in entries]
        errors = np.array([(e.estimate.mean - e.estimate.low, e.estimate.high - e.estimate.mean) for e in entries]).T
        label = for_picture(model)
        axes.errorbar([e.truth for e in entries], means, errors, fmt=marker, capsize=2, markersize=4, label=label)
    limit = max(entry.truth for entry in study.calibration) * 1.05
    axes.plot([0, limit], [0, limit], color="grey", linewidth=0.8, zorder=0)
    axes.set(xlabel="truth by enumeration, nats", ylabel="estimate from samples, nats")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _bars(points: tuple[GridPoint, ...]) -> Figure:
    """One panel a backbone, one bar a task and augmentation, the same of random initialisation beside it."""
    backbones = list(dict.fromkeys(point.cell.model for point in points))
    rows = {name: [point for point in points if point.cell.model == name] for name in backbones}
    figure = new_figure(9.0, 0.9 + sum(0.35 * len(found) + 0.8 for found in rows.values()))
    heights = [len(found) + 1.5 for found in rows.values()]
    panels = figure.subplots(len(backbones), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for axes, (backbone, found) in zip(panels, rows.items(), strict=True):
        for row, point in enumerate(found):
            for shift, terms, alpha in ((-0.19, point.pretrained.terms[0], 1.0), (0.19, point.random.terms[0], 0.45)):
                left = 0.0
                for term, colour in COLOURS.items():
                    width = terms.normalised(term)
                    label = WORDS[term] if row == 0 and alpha == 1 else None
                    axes.barh(row + shift, width, 0.36, left=left, color=colour, alpha=alpha, label=label)
                    left += width
        names = [f"{point.cell.task}, {point.cell.augment}" for point in found]
        axes.set_yticks(range(len(found)), names, fontsize=7)
        axes.invert_yaxis()
        axes.set_title(f"{backbone} (below, pale: as initialised)", fontsize=9)
    panels[-1].set_xlabel("part of log|A|")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _scatter(points: tuple[GridPoint, ...]) -> Figure:
    """The synergy before a long training against the gain of it: with the class, and with one that is predicted."""
    figure = new_figure(10.0, 7.0)
    panels = figure.subplots(2, 2, sharey=True)
    tasks = list(dict.fromkeys(point.cell.task for point in points))
    augments = list(dict.fromkeys(point.cell.augment for point in points))
    terms = {"unlocked": "the class", "usable": "a predicted class"}
    moments = {"random": "as initialised", "brief": "after one epoch"}
    for row, (term, words) in zip(panels, terms.items(), strict=True):
        for axes, (moment, when) in zip(row, moments.items(), strict=True):
            for point in points:
                measured: CellResult = getattr(point, moment)
                axes.scatter(
                    measured.terms[0].normalised(term),
                    100 * point.gain,
                    marker=MARKERS[augments.index(point.cell.augment) % len(MARKERS)],
                    color=f"C{tasks.index(point.cell.task)}",
                    s=22,
                )
            axes.axhline(0, color="grey", linewidth=0.8, zorder=0)
            axes.set_xlabel(f"synergy with {words}, {when}, part of log|A|", fontsize=9)
    figure.supylabel("gain of the probe over random initialisation, percentage points", fontsize=9)
    last = panels[-1, -1]
    for index, task in enumerate(tasks):
        last.scatter([], [], color=f"C{index}", label=task, s=22)
    for index, augment in enumerate(augments):
        label = f"augmentation {augment}"
        last.scatter([], [], color="black", marker=MARKERS[index % len(MARKERS)], label=label, s=22)
    figure.legend(*last.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    return figure


def _epochs(study: SynergyStudy) -> Figure:
    found = {cell: result for cell, result in study.cells.items() if cell.kind == "epochs"}
    figure = new_figure(4.5 * len(found), 3.6)
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    styles = {**COLOURS, "class_known": "#228833", "class_unlocked": "#aa3377"}
    words = {**WORDS, "class_known": "class known from Z", "class_unlocked": "class unlocked by the task"}
    for axes, (cell, result) in zip(panels, found.items(), strict=True):
        for term, colour in styles.items():
            values = [getattr(terms, term) for terms in result.terms]
            axes.plot([value.mean for value in values], color=colour, label=words[term])
            low, high = [value.low for value in values], [value.high for value in values]
            axes.fill_between(range(len(values)), low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="epoch", title=f"{cell.model}, rotation, {cell.augment}")
    panels[0].set_ylabel("nats")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    return figure


def _doses(study: SynergyStudy) -> Figure:
    found = sorted(
        ((cell.class_weight, result) for cell, result in study.cells.items() if cell.kind == "dose"),
        key=lambda pair: pair[0],
    )
    figure = new_figure(6.0, 4.0)
    axes = figure.subplots()
    positions = range(len(found))
    curves: dict[str, Callable[[int], float]] = {
        "rotation, training": lambda i: found[i][1].task_training_accuracy,
        "rotation, held-out": lambda i: found[i][1].task_accuracy,
        "class head, held-out": lambda i: found[i][1].class_accuracy,
        "class, fresh probe": lambda i: found[i][1].probe,
    }
    for (label, value), marker in zip(curves.items(), MARKERS, strict=False):
        axes.plot(positions, [100 * value(i) for i in positions], marker=marker, label=label)
    axes.set_xticks(positions, [f"{dose:g}" for dose, _ in found])
    axes.set(xlabel="dose: below 0 class information is eliminated, above it is added", ylabel="accuracy, %")
    axes.legend(frameon=False, fontsize=8)
    return figure
