"""What a fine-tuning came to: the network, how it was chosen, and what it is worth on images it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Int
from eqmodels.backbones.network import StagedNetwork
from eqmodels.data import Source
from eqmodels.evaluation import Motion, View
from eqmodels.finetuning.tuning import ROWS, logits_of
from eqmodels.measures.intervals import Estimate, proportion_interval
from eqmodels.processes import World

__all__ = ["VIEWS", "Finetuned", "Mistake", "TestScores", "scored"]

VIEWS = tuple(View(Motion(reflected=reflected)).turned(number) for reflected in (False, True) for number in range(4))
"""How test images are shown: as they are, turned by quarters, and mirrored and turned."""

MISTAKES = 24
"""That are noted, at most."""


@dataclass(frozen=True)
class Mistake:
    """A test image that was taken for another class.

    Attributes:
        image: its number in the test split, from 0.
        label: the number of its class.
        predicted: the number of the class that it was taken for.
        probability: of that class, as the network has it.
    """

    image: int
    label: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class TestScores:
    """What a classifier is worth on held-out images.

    Attributes:
        images: their number.
        upright: accuracy on the images as they are, with its 95% interval.
        turned: mean accuracy over the quarter turns. Views of one image are no independent trials: the interval is that
            of one view.
        mirrored: mean accuracy over the mirrored images, turned by each number of quarters; so is its interval.
        views: accuracy in each view, such as ``"90°"``.
        same_turned: part of the images that are taken for the same class however many quarters they are turned by.
        same_mirrored: part of the images of which that holds also when they are mirrored.
        confusion: a row a class, how many of its images were taken for each class.
        mistakes: the surest ones of the upright images.
    """

    __test__ = False

    images: int
    upright: Estimate
    turned: Estimate
    mirrored: Estimate
    views: Mapping[str, float]
    same_turned: float
    same_mirrored: float
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]

    def recall(self, label: int) -> float | None:
        """The part of the images of a class that is found; None if there are none."""
        row = self.confusion[label]
        return row[label] / sum(row) if sum(row) else None

    def precision(self, label: int) -> float | None:
        """The part of the images that are taken for a class that are of it; None if there are none."""
        column = [row[label] for row in self.confusion]
        return column[label] / sum(column) if sum(column) else None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TestScores:
        """What `dataclasses.asdict` made of one, also after a way through JSON."""
        estimates = {name: Estimate.from_dict(content[name]) for name in ("upright", "turned", "mirrored")}
        confusion = tuple(map(tuple, content["confusion"]))
        mistakes = tuple(Mistake(**one) for one in content["mistakes"])
        return cls(**{**content, **estimates, "confusion": confusion, "mistakes": mistakes})


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A fine-tuned network and where it comes from.

    Attributes:
        network: in eval mode on the CPU; ``network.classes`` names its outputs.
        marks: what decided it: the config, the network that it began with, and the images.
        images: how many were trained on (``"training"``), and chosen on (``"validation"``).
        log: one row an epoch, the linear probe (epoch 0) first: accuracy and loss in nats on the images to choose on.
        best: the epoch whose weights these are.
        strength: of the linear probe's penalty.
        test: what it is worth on the test images.
        seconds: duration of the training.
        notes: what is odd about the images, in sentences.
        sha256: of the file of weights.
    """

    network: StagedNetwork
    marks: Mapping[str, Any]
    images: Mapping[str, int]
    log: Sequence[Mapping[str, float | int]]
    best: int
    strength: float
    test: TestScores
    seconds: float
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.network.classes

    def to_dict(self) -> dict[str, Any]:
        """All but the network, ready for JSON."""
        return {
            "format": 1,
            "marks": dict(self.marks),
            "images": dict(self.images),
            "classes": list(self.classes),
            "log": list(self.log),
            "best": self.best,
            "strength": self.strength,
            "test": asdict(self.test),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], network: StagedNetwork) -> Finetuned:
        """What `to_dict` wrote, with the network that belongs to it.

        Raises:
            KeyError, TypeError, AttributeError: if it is something else.
        """
        names = ("marks", "images", "log", "best", "strength", "seconds", "sha256")
        test, notes = TestScores.from_dict(content["test"]), tuple(content["notes"])
        return cls(network, test=test, notes=notes, **{name: content[name] for name in names})


def scored(network: StagedNetwork, images: Source, world: World | None = None) -> TestScores:
    """What a classifier is worth on images that it never saw, upright, turned and mirrored.

    Args:
        network: with a classifier of the images' classes, and a preprocessing.
        images: with labels.
        world: the processes that share the work, each with such a network; None for this one alone.
    """

    def asked(numbers: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.pixels(numbers)
        logits = [logits_of(network, view.of(pixels)) for view in VIEWS]
        return torch.stack([one.argmax(1) for one in logits]), logits[0].double().softmax(1).amax(1)

    found = (world or World()).spread(asked, torch.arange(len(images)).split(ROWS))
    predicted, sureness = zip(*found, strict=True)
    votes, sure, labels = torch.cat(predicted, 1), torch.cat(sureness), images.labels
    right = (votes == labels).sum(1).tolist()
    return TestScores(
        images=len(images),
        upright=proportion_interval(right[0], len(images)),
        turned=_mean(right[1:4], len(images)),
        mirrored=_mean(right[4:], len(images)),
        views={str(view): count / len(images) for view, count in zip(VIEWS, right, strict=True)},
        same_turned=float((votes[:4] == votes[0]).all(0).double().mean()),
        same_mirrored=float((votes == votes[0]).all(0).double().mean()),
        confusion=_confusion(labels, votes[0], network.num_classes),
        mistakes=_mistakes(labels, votes[0], sure),
    )


def _mean(right: Sequence[int], images: int) -> Estimate:
    """The mean accuracy over views, with the interval that so many images leave open."""
    mean = sum(right) / len(right)
    interval = proportion_interval(round(mean), images)
    shift = mean / images - interval.mean
    return Estimate(
        mean / images, max(interval.low + min(shift, 0.0), 0.0), min(interval.high + max(shift, 0.0), 1.0), images
    )


def _confusion(labels: Int[Tensor, " N"], predicted: Int[Tensor, " N"], classes: int) -> tuple[tuple[int, ...], ...]:
    counts = (labels * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
    return tuple(map(tuple, counts.tolist()))


def _mistakes(labels: Int[Tensor, " N"], predicted: Int[Tensor, " N"], sure: Tensor) -> tuple[Mistake, ...]:
    wrong = (labels != predicted).nonzero().flatten()
    wrong = wrong[sure[wrong].argsort(descending=True, stable=True)][:MISTAKES]
    rows = zip(wrong.tolist(), labels[wrong].tolist(), predicted[wrong].tolist(), sure[wrong].tolist(), strict=True)
    return tuple(Mistake(*row) for row in rows)
