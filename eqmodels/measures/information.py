"""What a representation knows of transformation and class, in nats, by held-out log-losses.

Of a family V of predictors, ``H_V(A|Z)`` is the smallest expected log-loss of predicting A from Z. It is at least the
entropy ``H(A|Z)``; held-out log-losses estimate it from above. A difference of two, ``H_V(A|Z) - H_V(A|Z,C)``, is no
bound of a mutual information, on either side: it is information that V can use (Xu et al. 2020, arXiv 2002.10689),
and is reported with the name of V.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

# Not `from scipy import stats`: half a second, loaded when it is first used.
import scipy
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.measures.families import Prediction, PredictorFamily
from eqmodels.measures.intervals import Estimate
from eqmodels.measures.labelled import class_ranks
from eqmodels.measures.linear_family import LinearFamily
from eqmodels.measures.observations import Observations

__all__ = ["Split", "SynergyTerms", "bootstrap", "cross_fitted_losses", "measure_synergy", "split_by_image"]

FOLDS, RESAMPLES = 5, 1000
RESAMPLES_AT_A_TIME = 50
"""So that the numbers of their images, and what is drawn by them, stay small."""
VALIDATION_BLOCKS = 5
"""One in so many images of the training folds is used to choose a predictor's strength, or the end of its training."""


@dataclass(frozen=True, eq=False)
class Split:
    """Folds of the images, balanced over the classes; all rows of an image are together.

    Attributes:
        fold: in which a row is held out.
        validation: whether a row is used to choose between predictors, while its fold trains.
        folds: their number.
    """

    fold: Int[Tensor, " N"]
    validation: Bool[Tensor, " N"]
    folds: int


def split_by_image(observations: Observations, folds: int = FOLDS, seed: int = 0) -> Split:
    """A random split, so that an image and its transformed copies never stand on both sides.

    Raises:
        ValueError: if there are fewer than two folds, or a class has fewer than two images a fold.
    """
    images, classes = observations.by_image()
    smallest = int(classes.bincount(minlength=observations.num_classes).min())
    if not 2 <= folds <= smallest // 2:
        raise ValueError(
            f"folds must be at least 2 and at most half the number of images of the smallest class, {smallest}; got "
            f"{folds}. Take more images, or fewer folds."
        )
    ranks, _ = class_ranks(classes, seed=seed)
    ranks = ranks[torch.searchsorted(images, observations.images)]
    return Split(ranks % folds, (ranks // folds) % VALIDATION_BLOCKS == 1, folds)


@dataclass(frozen=True)
class SynergyTerms:
    """How the entropy of the transformation divides, ``log|A| = known + unlocked + irreducible``, in nats.

    Every term is a mean over held-out rows with a 95% interval over images (paired bootstrap): it tells what the choice
    of the images leaves open, not the seed of the pretraining.

    Attributes:
        family: of the predictors, V.
        num_labels: ``|A|``.
        images: their number.
        rows: number of transformed images.
        known: ``log|A| - H_V(A|Z)``, in expectation a lower bound of ``I(A;Z)``.
        unlocked: ``H_V(A|Z) - H_V(A|Z,C)``, the synergy: what the class adds.
        irreducible: ``H_V(A|Z,C)``, what even the class leaves open.
        class_known: ``H(C) - H_V(C|Z)``, in expectation a lower bound of ``I(C;Z)``.
        class_unlocked: ``H_V(C|Z) - H_V(C|Z,A)``: the synergy by its other route. Of entropies both routes are equal.
        usable: ``H_V(A|Z) - H_V(A|Z,Ĉ)``, with the class that a classifier sees in the transformed image.
        permuted_classes: `unlocked`, with classes permuted among images: a null.
        shuffled_labels: `known`, with labels shuffled among rows: a null.
    """

    family: str
    num_labels: int
    images: int
    rows: int
    known: Estimate
    unlocked: Estimate
    irreducible: Estimate
    class_known: Estimate
    class_unlocked: Estimate
    usable: Estimate | None
    permuted_classes: Estimate
    shuffled_labels: Estimate

    def normalised(self, term: str) -> float:
        """The mean of a term as a part of ``log|A|``, to compare tasks of 2, 4 and 24 labels.

        Raises:
            ValueError: if there is no such term, or it was not measured.
        """
        value = getattr(self, term, None)
        if not isinstance(value, Estimate):
            measured = [field.name for field in fields(self) if isinstance(getattr(self, field.name), Estimate)]
            raise ValueError(f"term must be one of {', '.join(measured)}; got {term!r}.")
        return value.mean / math.log(self.num_labels)

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SynergyTerms:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
        """
        values: dict[str, Any] = {
            name: Estimate.from_dict(value) if isinstance(value, dict) else value for name, value in content.items()
        }
        return cls(**values)


def measure_synergy(
    observations: Observations,
    family: PredictorFamily | None = None,
    *,
    folds: int = FOLDS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> SynergyTerms:
    """Measures all terms by predictors that are fitted to some images and judged on others.

    Held-out losses exceed those of the best predictor of the family by about its number of parameters over twice the
    number of training rows; side information multiplies that number, so that `unlocked` errs towards 0.

    Args:
        observations: of images that the representation was not trained on.
        family: of predictors; None for `LinearFamily`.
        folds: of the images; all rows of an image are in one.
        resamples: of the bootstrap.
        seed: of folds, nulls and resamples.
        report: called with a word on what is being measured.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a class has fewer images than there are folds, or a number is out of range.
    """
    check_arguments(measure_synergy, locals())
    predictors = LinearFamily() if family is None else family
    split = split_by_image(observations, folds, seed)
    if observations.num_labels < 2:
        raise ValueError("a task of one label has nothing to know; got num_labels=1. Choose another task.")

    def losses(what: str, of: Observations, target: str, side: str | None = None) -> Float[Tensor, " N"]:
        report(what)
        return _losses(of, predictors, target, side, split, seed)

    def interval(values: Float[Tensor, " N"]) -> Estimate:
        return bootstrap(values, observations.images, resamples=resamples, seed=seed)

    labels = losses("labels", observations, "labels")
    labels_given = losses("labels, given classes", observations, "labels", "classes")
    classes = losses("classes", observations, "classes")
    classes_given = losses("classes, given labels", observations, "classes", "labels")
    permuted = losses("null: permuted classes", observations.with_permuted_classes(seed), "labels", "classes")
    shuffled = losses("null: shuffled labels", observations.with_shuffled_labels(seed), "labels")
    usable = None
    if observations.predicted is not None:
        usable = labels - losses("labels, given predicted classes", observations, "labels", "predicted")
    entropy = math.log(observations.num_labels)
    return SynergyTerms(
        family=predictors.name,
        num_labels=observations.num_labels,
        images=len(observations.by_image()[0]),
        rows=len(observations.labels),
        known=interval(entropy - labels),
        unlocked=interval(labels - labels_given),
        irreducible=interval(labels_given),
        class_known=interval(_frequency_losses(observations, split) - classes),
        class_unlocked=interval(classes - classes_given),
        usable=None if usable is None else interval(usable),
        permuted_classes=interval(labels - permuted),
        shuffled_labels=interval(entropy - shuffled),
    )


def cross_fitted_losses(
    family: PredictorFamily, problem: Prediction, split: Split, seed: int = 0
) -> Float[Tensor, " N"]:
    """The log-loss in nats of every row, by a predictor that was fitted to other images.

    Args:
        family: of predictors.
        problem: what is predicted of which rows.
        split: in which each image is held out once.
        seed: of the family.
    """
    losses = torch.empty(len(problem.target), dtype=torch.float64)
    for k in range(split.folds):
        training, test = split.fold != k, problem.of(split.fold == k)
        predictor = family.fit(problem.of(training), split.validation[training], seed)
        side = torch.zeros_like(test.target) if test.side is None else test.side
        losses[split.fold == k] = -predictor(test.features, side).gather(1, test.target[:, None])[:, 0]
    return losses


def bootstrap(
    values: Float[Tensor, " N"], images: Int[Tensor, " N"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The mean over rows and its 95% interval: percentiles of the mean over images that are drawn with replacement.

    Source: Efron and Tibshirani 1993, *An Introduction to the Bootstrap*; images are drawn whole, as the rows of one
    depend on each other.

    Raises:
        ValueError: if there are fewer than 2 images or resamples.
    """
    _, index = images.unique(return_inverse=True)
    count = int(index.max()) + 1
    if count < 2 or resamples < 2:
        raise ValueError(
            f"an interval needs at least two images and two resamples; got {count} and {resamples}. Pass more."
        )
    sums = np.bincount(index.numpy(), weights=values.double().numpy())
    rows = np.bincount(index.numpy())
    found = scipy.stats.bootstrap(
        (sums, rows),
        _mean_over_rows,
        paired=True,  # an image brings all of its rows
        vectorized=True,
        n_resamples=resamples,
        batch=RESAMPLES_AT_A_TIME,
        method="percentile",
        random_state=np.random.default_rng(seed),  # `rng` from scipy 1.15 on, which takes both
    )
    low, high = found.confidence_interval
    mean = float(values.double().mean())
    return Estimate(mean, min(float(low), mean), max(float(high), mean), count)


def _mean_over_rows(sums: NDArray[Any], rows: NDArray[Any], axis: int) -> NDArray[Any]:
    """Of images with so many rows each, whose values have these sums."""
    return np.asarray(sums.sum(axis) / rows.sum(axis))


def _losses(
    of: Observations, family: PredictorFamily, target: str, side: str | None, split: Split, seed: int
) -> Float[Tensor, " N"]:
    """`cross_fitted_losses` of one attribute, given another."""
    sizes = {"labels": of.num_labels, "classes": of.num_classes, "predicted": of.num_classes}
    problem = Prediction(
        features=of.features,
        target=getattr(of, target),
        values=sizes[target],
        side=None if side is None else getattr(of, side),
        side_values=1 if side is None else sizes[side],
    )
    return cross_fitted_losses(family, problem, split, seed)


def _frequency_losses(of: Observations, split: Split) -> Float[Tensor, " N"]:
    """The log-loss of the class by its frequency in the other folds: held-out, as all losses are."""
    losses = torch.empty(len(of.classes), dtype=torch.float64)
    for k in range(split.folds):
        test = split.fold == k
        counts = of.classes[~test].bincount(minlength=of.num_classes).double()
        losses[test] = -(counts / counts.sum()).log()[of.classes[test]]
    return losses
