"""Label efficiency: the linear probe on a part of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.measures.intervals import Estimate, estimate
from eqmodels.measures.labelled import check_train_and_test, class_ranks
from eqmodels.measures.linear_probe import STRENGTHS, fit_linear_probe

__all__ = ["LabelEfficiency", "check_fraction", "label_efficiency", "stratified_subset"]


@dataclass(frozen=True)
class LabelEfficiency:
    """The linear probe on a fraction of the labels.

    Attributes:
        fraction: of the training images of every class, above 0 and at most 1.
        images: their number.
        accuracy: on the test images, from 0 to 1; the mean over the subsets and its interval, which is NaN for all
            images, as there is only one such subset.
        strengths: of the L2 penalty, that were chosen on the subsets.
    """

    fraction: float
    images: int
    accuracy: Estimate
    strengths: tuple[float, ...]


def label_efficiency(
    train_features: Float[Tensor, "N F"],
    train_labels: Int[Tensor, " N"],
    test_features: Float[Tensor, "M F"],
    test_labels: Int[Tensor, " M"],
    *,
    fractions: Sequence[float] = (0.01, 0.05, 0.1, 0.25, 1.0),
    subsets: int = 3,
    strengths: Sequence[float] = STRENGTHS,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> tuple[LabelEfficiency, ...]:
    """The accuracy of `fit_linear_probe` on random subsets of the training images, for every fraction in its order.

    The strength is chosen on held-out images of the subset itself, so no label outside it is seen: as
    `fit_linear_probe` does, by cross-validation on small subsets. With one image a class there is nothing to hold out,
    and the strongest is taken. Subset i is `stratified_subset` of seed ``seed + i``: those of one seed are nested, and
    are the same for all encoders. Where the fraction takes all images there is one fit, that of `fit_linear_probe`.

    Args:
        train_features: one row an image.
        train_labels: classes, from 0, each with an image.
        test_features: one row an image.
        test_labels: of the same classes.
        fractions: above 0 and at most 1.
        subsets: the number of random subsets of every fraction; an interval needs two.
        strengths: to choose from.
        validation_fraction: of a subset that is held out at a time.
        seed: of the first subset.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a fraction or the number of subsets is out of range, or as `fit_linear_probe`.
    """
    check_arguments(label_efficiency, locals())
    if not fractions or subsets < 1:
        raise ValueError(
            f"fractions must hold at least one and subsets be at least 1; got {tuple(fractions)} and {subsets}. "
            "Leave them out for the usual ones."
        )
    for fraction in fractions:
        check_fraction(fraction)
    classes = check_train_and_test(train_features, train_labels, test_features, test_labels)

    results = []
    for fraction in fractions:
        accuracies: list[float] = []
        chosen: list[float] = []
        images = 0
        for one in range(seed, seed + subsets):
            subset = stratified_subset(train_labels, fraction, seed=one)
            images = len(subset)
            probe = fit_linear_probe(
                train_features[subset.to(train_features.device)],
                train_labels[subset],
                num_classes=classes,
                strengths=strengths,
                validation_fraction=validation_fraction,
                seed=one,
            )
            accuracies.append(probe.accuracy(test_features, test_labels))
            chosen.append(probe.strength)
            if images == len(train_labels):
                break
        results.append(LabelEfficiency(fraction, images, estimate(accuracies), tuple(chosen)))
    return tuple(results)


def stratified_subset(labels: Int[Tensor, " N"], fraction: float, *, seed: int) -> Int[Tensor, " _"]:
    """The indices, in their order, of a random fraction of the images of every class, and of at least one.

    The subsets of one seed are nested: a larger fraction keeps the images of a smaller one.

    Raises:
        ValueError: if `fraction` is not above 0 and at most 1.
    """
    check_fraction(fraction)
    ranks, sizes = class_ranks(labels, seed=seed)
    return (ranks < (fraction * sizes).round().clamp(min=1)).nonzero().flatten()


def check_fraction(fraction: float) -> None:
    """Raises a `ValueError` unless a fraction of the labels is above 0 and at most 1."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1; got {fraction}. One per cent of the labels is 0.01.")
