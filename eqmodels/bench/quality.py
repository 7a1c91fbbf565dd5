"""What frozen features know of the class, and whether a prediction stays when the image moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int
from eqmodels.backbones import Encoder
from eqmodels.data import Source
from eqmodels.evaluation import LinearProbe, Motion, View, encode, fit_linear_probe, knn_accuracy
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.settled import settled
from eqmodels.measures.intervals import proportion_interval
from eqmodels.measures.labelled import class_ranks
from eqmodels.measures.linear_probe import STRENGTHS

__all__ = ["Quality", "measure_quality"]

UPRIGHT = View()
TURNED = tuple(View(Motion(Fraction(quarter, 4))) for quarter in (1, 2, 3))
MIRRORED = tuple(View(Motion(Fraction(quarter, 4), reflected=True)) for quarter in range(4))
NEIGHBOURS = 20
FEW_STRENGTHS = STRENGTHS[1:6:2]
"""Of probes of few labels, which are cross-validated."""


@dataclass(frozen=True)
class Quality:
    """What features of one network know. Accuracies are of held-out images, from 0 to 1.

    Attributes:
        width: number of features.
        train: number of training images of the probe.
        test: number of test images.
        upright: of the linear probe, trained on upright images, on upright images.
        interval: its 95% interval over the choice of the test images (Wilson).
        turned: of the same probe on images turned by 90, 180 and 270 degrees, on average.
        mirrored: on images mirrored, and turned then by 0, 90, 180 and 270 degrees, on average.
        changed_turned: share of the turned images of which the probe says another class than of the upright one.
        changed_mirrored: the same of the mirrored ones.
        knn: of a vote of the 20 nearest training images, on upright images.
        knn_turned: the same on the turned ones.
        labels: of the probe of so many labels a class, by that number.
    """

    width: int
    train: int
    test: int
    upright: float
    interval: tuple[float, float]
    turned: float
    mirrored: float
    changed_turned: float
    changed_mirrored: float
    knn: float
    knn_turned: float
    labels: dict[str, float]


def measure_quality(
    encoder: Encoder,
    train: Source,
    test: Source,
    *,
    labels: Iterable[int] = (),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> Quality:
    """Probes and neighbours of frozen features.

    Args:
        encoder: whose features are measured as it gives them.
        train: labelled images that probes are trained on.
        test: held-out images of the same classes.
        labels: few labels, how many of a class; where a class has fewer, all of it.
        seed: of what is held out, and of the few labels.
        report: called with a word on what is being done.

    Raises:
        ValueError: if the images do not suit the encoder, or have no classes.
    """
    subject = settled(Subject.of(encoder))

    def features(data: Source, view: View) -> Float[Tensor, "N F"]:
        return encode(subject, data.pixels, len(data), view=view)

    report("features")
    known, upright = features(train, UPRIGHT), features(test, UPRIGHT)
    report("probe")
    classes = len(train.classes)
    # Every other strength: a benchmark of many networks asks for the best within a factor of ten.
    probe = fit_linear_probe(known, train.labels, num_classes=classes, strengths=STRENGTHS[::2], seed=seed)
    predicted = probe.predict(upright)
    neighbours = min(NEIGHBOURS, len(train))

    def vote(asked: Float[Tensor, "N F"]) -> float:
        return knn_accuracy(known, train.labels, asked, test.labels, k=neighbours)

    few = {}
    ranks, _ = class_ranks(train.labels, seed=seed)
    for count in labels:
        chosen = ranks < count
        few[str(count)] = _few(known[chosen], train.labels[chosen], classes, seed).accuracy(upright, test.labels)
    report("moved images")
    turned: list[Tensor] = []
    mirrored: list[Tensor] = []
    votes: list[float] = []
    for view in (*TURNED, *MIRRORED):
        moved = features(test, view)
        (mirrored if view.motion.reflected else turned).append(probe.predict(moved))
        votes += [] if view.motion.reflected else [vote(moved)]
    right = _share(predicted == test.labels)
    interval = proportion_interval(round(right * len(test)), len(test))
    return Quality(
        width=known.shape[1],
        train=len(train),
        test=len(test),
        upright=right,
        interval=(interval.low, interval.high),
        turned=_mean(turned, test.labels),
        mirrored=_mean(mirrored, test.labels),
        changed_turned=1 - _mean(turned, predicted),
        changed_mirrored=1 - _mean(mirrored, predicted),
        knn=vote(upright),
        knn_turned=sum(votes) / len(votes),
        labels=few,
    )


def _few(features: Float[Tensor, "N F"], labels: Int[Tensor, " N"], classes: int, seed: int) -> LinearProbe:
    return fit_linear_probe(features, labels, num_classes=classes, strengths=FEW_STRENGTHS, seed=seed)


def _mean(predictions: list[Tensor], labels: Int[Tensor, " N"]) -> float:
    """How often predictions are the labels, over several views."""
    return sum(_share(one == labels) for one in predictions) / len(predictions)


def _share(right: Bool[Tensor, " N"]) -> float:
    return float(right.to(torch.float64).mean())
