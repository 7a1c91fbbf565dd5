"""What the demo measured, in sentences and as a page with pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqmodels.data import Source
from eqmodels.evaluation import (
    ORBIT_MEAN,
    TURNED_BACK,
    CloudEvaluation,
    EncoderEvaluation,
    FeatureScores,
    encode,
    fit_linear_probe,
    kinds_of,
    pool_features,
)
from eqmodels.groups import PlanarGroup
from eqmodels.reports import OKABE_ITO, percent
from eqmodels.reports.figures import as_address, as_png, new_figure
from eqmodels.reports.pages import rendered
from eqmodels.storage import prepare_folder, write_atomically
from eqmodels.training import Run

__all__ = ["DemoResult", "Learning", "TwinResult", "write_report"]

SHOWN = {"c4": ("invariant-3", "regular", "canonical"), "c1": ("regular", ORBIT_MEAN, TURNED_BACK)}
"""The features that the table shows, by group."""

PASSES = {ORBIT_MEAN: "four", TURNED_BACK: "two"}
"""Of the network for one image, where they are more than one."""

UNDRAWN = ("invariant-3",)
"""Of these, what the picture of the angles leaves out: its curve lies just below that of canonical features."""


SHOWN_CLASSES = (0, 1, 4, 14)
"""Of the pictures: an animal, a building, food and a vehicle."""


def shown_of(run: Run) -> tuple[str, ...]:
    """The features of a network that the table shows, of those that it has."""
    return tuple(kind for kind in SHOWN[run.backbone.group.name] if kind in kinds_of(run))


@dataclass(frozen=True)
class TwinResult:
    """A pretrained network and what was measured of it; `speed` in images per second, exported, batches of 64."""

    name: str
    run: Run
    scores: EncoderEvaluation
    speed: float

    @property
    def error(self) -> float:
        """The largest equivariance error over the quarter turns."""
        return max(self.scores.equivariance_error.values())

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of features that are shown."""
        return shown_of(self.run)

    @property
    def best(self) -> FeatureScores:
        """The features to compare with: canonical ones, if there are any, else what a ResNet gives."""
        return self.scores.of("canonical" if "canonical" in self.kinds else "regular")


@dataclass(frozen=True)
class Learning:
    """A minute of pretraining: the loss of every step in nats, and what was measured before and after."""

    model: str
    seconds: float
    losses: tuple[float, ...]
    batch_size: int
    before: EncoderEvaluation
    after: EncoderEvaluation


@dataclass(frozen=True)
class DemoResult:
    """Everything that the demo shows."""

    twins: tuple[TwinResult, ...]
    learning: Learning
    train: Source
    test: Source
    clouds: CloudEvaluation

    def rows(self) -> Iterator[tuple[str, FeatureScores, float, int, float | None]]:
        """Name, scores, equivariance error, parameters and speed of every row of the table."""
        for twin in self.twins:
            for kind in twin.kinds:
                yield twin.name, twin.scores.of(kind), twin.error, twin.scores.parameters, twin.speed
        learning = self.learning
        for when, scores in (("before", learning.before), ("after", learning.after)):
            error = max(scores.equivariance_error.values())
            name = f"{learning.model}, {when} {learning.seconds:.0f} s"
            yield name, scores.of("canonical"), error, scores.parameters, None

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, ready for JSON."""
        learning = self.learning
        return {
            "twins": {twin.name: twin.scores.to_dict() | {"images_per_second": twin.speed} for twin in self.twins},
            "learning": {
                "model": learning.model,
                "seconds": learning.seconds,
                "losses": list(learning.losses),
                "before": learning.before.to_dict(),
                "after": learning.after.to_dict(),
            },
            "clouds": self.clouds.to_dict(),
        }

    def sentences(self) -> tuple[str, ...]:
        """What the table says."""
        ours, standard = self.twins
        learning = self.learning
        passes = ", ".join(f"{kind} takes {PASSES[kind]}" for kind in standard.kinds if kind in PASSES)
        return (
            f"Accuracies in %: a linear probe trained on {len(self.train):,} upright images, on {len(self.test):,} "
            "held-out ones; turned: by 90, 180 and 270 degrees; worst angle: of every 15 degrees, through a circle. "
            f"Parameters and images/s: of the encoder alone, exported, one pass; {passes}.",
            f"When the image turns, the probe on the ResNet's features falls from {percent(standard.best.accuracy)} to "
            f"{percent(standard.best.turned)}; on the equivariant encoder's canonical features it goes from "
            f"{percent(ours.best.accuracy)} to {percent(ours.best.turned)}.",
            f"{learning.model}: {len(learning.losses):,} steps on small grey images that were never turned; it is "
            "measured on such. Rotation accuracy on held-out images "
            f"{percent(learning.before.tasks[0].accuracy)} before and "
            f"{percent(learning.after.tasks[0].accuracy)} after.",
            self._of_clouds(),
        )

    def _of_clouds(self) -> str:
        """What was measured of points of space."""
        clouds = self.clouds
        (scores,) = clouds.kinds
        return (
            f"{clouds.model}, points of space: a probe trained on {clouds.train[1]:,} upright electronic parts knows "
            f"{percent(scores.accuracy)} of {clouds.test[1]:,} held-out ones upright, and {percent(scores.turned)} in "
            f"random poses. Of a part in a random pose it says where up is to {clouds.up:.0f} degrees in the median."
        )


def write_report(result: DemoResult, folder: Path) -> Path:
    """Writes ``index.html``, with its pictures inside, and returns its path.

    Raises:
        StorageError: if it cannot be written.
        ModuleNotFoundError: if matplotlib is not installed.
    """
    page = rendered(
        "demo.html.j2",
        "eqmodels.cli",
        rows=list(result.rows()),
        sentences=result.sentences(),
        percent=percent,
        pictures={
            "angles": _angles(result),
            "loss": _loss(result.learning),
            "predictions": _predictions(result),
        },
    )
    prepare_folder(folder)
    file = folder / "index.html"
    write_atomically(file, page)
    return file


def _turned(group: PlanarGroup, g: int, images: Tensor, part: slice) -> Tensor:
    return group.act(g, images[part])


def _angles(result: DemoResult) -> str:
    """Accuracy over the angle."""
    figure: Any = new_figure(8.0, 4.0)
    axes = figure.subplots()
    colours = iter(OKABE_ITO)
    for twin in result.twins:
        for kind in (name for name in twin.kinds if name not in UNDRAWN):
            curve = twin.scores.of(kind).curve
            angles, values = [*(degrees for degrees, _ in curve), 360], [100 * accuracy for _, accuracy in curve]
            style = "-" if twin is result.twins[0] else "--"
            label = f"{twin.scores.model}, {kind}"
            axes.plot(angles, [*values, values[0]], style, color=next(colours), label=label)
    axes.set(xlabel="angle of the test image, degrees", ylabel="accuracy of the linear probe, %", ylim=(0, 100))
    axes.set_xticks(range(0, 361, 45))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return as_address(as_png(figure))


def _loss(learning: Learning) -> str:
    """The loss of the tiny network over the steps."""
    figure: Any = new_figure(8.0, 2.8)
    axes = figure.subplots()
    axes.plot(range(1, len(learning.losses) + 1), learning.losses, color=OKABE_ITO[0], alpha=0.3, linewidth=0.8)
    window = max(len(learning.losses) // 30, 1)
    smooth = torch.tensor(learning.losses).unfold(0, window, 1).mean(1)
    axes.plot(range(window, window + len(smooth)), smooth, color=OKABE_ITO[0])
    chance = math.log(4)
    axes.axhline(chance, color="grey", linestyle=":")
    axes.annotate("chance, log 4", (len(learning.losses), 1.02 * chance), ha="right", va="bottom", color="grey")
    # With room for the words, where a slow machine took few steps; and steps are whole.
    top = 1.2 * max(*learning.losses, chance)
    axes.set(xlabel=f"step of {learning.batch_size} images", ylabel="loss, nats", ylim=(0, top))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    return as_address(as_png(figure))


def _predictions(result: DemoResult) -> str:
    """A few test images at every quarter turn, and what the probe on each network's features says."""
    group, classes = PlanarGroup(4), result.test.classes
    chosen = [int((result.test.labels == label).nonzero()[0]) for label in SHOWN_CLASSES]
    images, labels = result.test.pixels(torch.tensor(chosen)), result.test.labels[chosen]
    answers = {}
    for twin in result.twins:
        kind = twin.best.kind
        regular = encode(twin.run, result.train.pixels, len(result.train))
        probe = fit_linear_probe(
            pool_features(twin.run, regular, kind), result.train.labels, strengths=(twin.best.strength,)
        )
        for g in group.elements:
            turned = encode(twin.run, partial(_turned, group, g, images), len(images))
            answers[twin.name, g] = probe.predict(pool_features(twin.run, turned, kind)).tolist()
    figure: Any = new_figure(8.0, 11.0)
    figure.get_layout_engine().set(h_pad=0.12, rect=(0, 0.02, 1, 0.98))  # words stand below the last row
    rows = figure.subplots(len(chosen), group.order)
    for row, (axes_row, label) in enumerate(zip(rows, labels.tolist(), strict=True)):
        for g, axes in zip(group.elements, axes_row, strict=True):
            axes.imshow(group.act(g, images[row]).permute(1, 2, 0).numpy())
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{classes[label]}, {group.describe(g)}", fontsize=9)
            for line, twin in enumerate(result.twins):
                answer = answers[twin.name, g][row]
                text = f"{twin.run.name}: {classes[answer]}"
                colour = OKABE_ITO[2] if answer == label else OKABE_ITO[1]
                axes.text(
                    0.5,
                    -0.07 - 0.13 * line,
                    text,
                    transform=axes.transAxes,
                    ha="center",
                    va="top",
                    fontsize=7.5,
                    color=colour,
                )
    return as_address(as_png(figure))
