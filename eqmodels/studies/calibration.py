"""Estimates beside the truth, on samples from exact models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.measures import (
    BayesianNetwork,
    Estimate,
    Observations,
    additive,
    measure_synergy,
    pose_cue,
    style_leak,
)

__all__ = ["Calibration", "calibrate", "sampled"]


@dataclass(frozen=True)
class Calibration:
    """One quantity of one exact model.

    Attributes:
        model: which exact model.
        quantity: a term of `SynergyTerms`.
        truth: by enumeration, in nats.
        estimate: from samples.
    """

    model: str
    quantity: str
    truth: float
    estimate: Estimate


def sampled(
    network: BayesianNetwork, seen: Sequence[str], count: int, *, predicted: str | None = None, seed: int = 0
) -> Observations:
    """Samples of an exact model as observations: the features are one-hot in the values of what is seen, jointly.

    A linear family is then as rich as the model, so its information is the true one, but for the number of samples.

    Args:
        network: with the variables ``A`` and ``C``.
        seen: the variables that the representation shows.
        count: number of samples, each an image of its own.
        predicted: the variable that is the predicted class; None for none.
        seed: of the samples.
    """
    samples = network.sample(count, seed)
    sizes = [len(network.marginal(name)) for name in seen]
    state = np.ravel_multi_index([samples[name] for name in seen], sizes)
    return Observations(
        features=torch.eye(int(np.prod(sizes)))[torch.from_numpy(state)],
        labels=torch.from_numpy(samples["A"]),
        classes=torch.from_numpy(samples["C"]),
        images=torch.arange(count),
        num_labels=len(network.marginal("A")),
        num_classes=len(network.marginal("C")),
        predicted=None if predicted is None else torch.from_numpy(samples[predicted]),
    )


def calibrate(count: int = 10_000, *, folds: int = 5, seed: int = 0) -> tuple[Calibration, ...]:
    """Every term of the exact models beside its estimate.

    Args:
        count: number of samples of each.
        folds: of the cross-fitting.
        seed: of samples and folds.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are too few samples for so many folds, or the seed is negative.
    """
    check_arguments(calibrate, locals())
    check_count("count", count)
    check_count("seed", seed, 0, bits=64)
    models = {
        "A + C": (additive(4, 10), ("X",), None),
        "A + C, 2 labels": (additive(2, 10), ("X",), None),
        "A alone": (additive(4, 10, strength=0), ("X",), None),
        "pose, cue right in 50%": (pose_cue(0.5), ("P",), "K"),
        "pose, cue right in 90%": (pose_cue(0.9), ("P",), "K"),
        "pose, style leaks in 50%": (style_leak(0.5, classes=4), ("P", "L"), None),
    }
    found = []
    for name, (network, seen, predicted) in models.items():
        terms = measure_synergy(sampled(network, seen, count, predicted=predicted, seed=seed), folds=folds, seed=seed)
        for quantity, truth in _truths(network, seen, predicted).items():
            estimate = getattr(terms, quantity)
            found.append(Calibration(name, quantity, truth, estimate))
    return tuple(found)


def _truths(network: BayesianNetwork, seen: tuple[str, ...], predicted: str | None) -> dict[str, float]:
    truths = {
        "known": network.mutual_information("A", seen),
        "unlocked": network.mutual_information("A", "C", given=seen),
        "irreducible": network.entropy("A", given=(*seen, "C")),
        "class_known": network.mutual_information("C", seen),
        "class_unlocked": network.mutual_information("C", "A", given=seen),
    }
    if predicted is not None:
        truths["usable"] = network.mutual_information("A", predicted, given=seen)
    return truths
