"""The same measurements over several seeds: means and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eqmodels.evaluation.encoder import EncoderEvaluation
from eqmodels.evaluation.intervals import Estimate, estimate

__all__ = ["FeatureSummary", "SeedSummary", "over_seeds"]


@dataclass(frozen=True)
class FeatureSummary:
    """One kind of features over several seeds; accuracies are from 0 to 1, see `FeatureScores`.

    Attributes:
        features: which.
        width: their number.
        accuracy: of the linear probe on upright images.
        turned: of the same probe on images turned by quarters.
        knn: of nearest neighbours; None if a seed was measured without.
        angle_mean: of the probe over all angles; None if a seed was measured without.
        angle_worst: at the worst angle of each seed; None if a seed was measured without.
        effective_rank: of the features.
    """

    features: str
    width: int
    accuracy: Estimate
    turned: Estimate
    knn: Estimate | None
    angle_mean: Estimate | None
    angle_worst: Estimate | None
    effective_rank: Estimate


@dataclass(frozen=True)
class SeedSummary:
    """Networks that differ in the seed alone, by kinds of features and by tasks.

    Attributes:
        model: the backbone's name.
        seeds: number of networks.
        features: one entry a kind of features.
        task_accuracy: on held-out images without augmentation, by task.
    """

    model: str
    seeds: int
    features: tuple[FeatureSummary, ...]
    task_accuracy: dict[str, Estimate]


def over_seeds(evaluations: Sequence[EncoderEvaluation]) -> SeedSummary:
    """Means and 95% intervals (Student's t) over networks that were trained with different seeds.

    Args:
        evaluations: one a seed, of the same model, measured alike.

    Raises:
        ValueError: if there is none, or they are of different models, features or tasks.
    """
    kinds = {
        (one.model, tuple(scores.features for scores in one.features), tuple(task.task for task in one.tasks))
        for one in evaluations
    }
    if len(kinds) != 1:
        raise ValueError(
            f"evaluations must be of one model, with the same features and tasks, at least one; got {len(kinds)} kinds "
            f"of {len(evaluations)}. Summarise each model for itself."
        )
    ((model, names, tasks),) = kinds

    def summary(name: str) -> FeatureSummary:
        scores = [one.of(name) for one in evaluations]
        return FeatureSummary(
            features=name,
            width=scores[0].width,
            accuracy=estimate(entry.accuracy for entry in scores),
            turned=estimate(entry.turned for entry in scores),
            knn=_measured([entry.knn for entry in scores]),
            angle_mean=_measured([entry.angle_mean for entry in scores]),
            angle_worst=_measured([entry.angle_worst for entry in scores]),
            effective_rank=estimate(entry.effective_rank for entry in scores),
        )

    accuracies = {task: estimate(one.tasks[index].accuracy for one in evaluations) for index, task in enumerate(tasks)}
    return SeedSummary(model, len(evaluations), tuple(summary(name) for name in names), accuracies)


def _measured(values: Sequence[float]) -> Estimate | None:
    return None if any(map(math.isnan, values)) else estimate(values)
