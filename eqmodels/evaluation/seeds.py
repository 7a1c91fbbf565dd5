"""The same measurements over several seeds: means and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.evaluation.scores import EncoderEvaluation, entry_of, finite
from eqmodels.measures.intervals import Estimate, estimate

__all__ = ["FeatureSummary", "SeedSummary", "TaskSummary", "check_seeds", "over_seeds"]


@dataclass(frozen=True)
class FeatureSummary:
    """One kind of features over several seeds; accuracies are from 0 to 1, see `FeatureScores`.

    Attributes:
        kind: which.
        width: their number.
        accuracy: of the linear probe on upright images.
        turned: of the same probe on images turned by quarters.
        elements: of the same probe on images moved by each element of the group, by name.
        knn: of nearest neighbours; None if a seed was measured without.
        labels: accuracy by the fraction of training labels; of each seed the mean over its subsets.
        angles: of the probe by the angle in degrees, through a circle, at the angles that all seeds have.
        angle_mean: of the probe over all angles; None if a seed was measured without.
        angle_worst: at the worst angle of each seed; None if a seed was measured without.
        effective_rank: of the features.
    """

    kind: str
    width: int
    accuracy: Estimate
    turned: Estimate
    elements: dict[str, Estimate]
    knn: Estimate | None
    labels: dict[str, Estimate]
    angles: dict[str, Estimate]
    angle_mean: Estimate | None
    angle_worst: Estimate | None
    effective_rank: Estimate


@dataclass(frozen=True)
class TaskSummary:
    """One task over several seeds; accuracies are from 0 to 1, see `TaskScores`.

    Attributes:
        task: which.
        num_labels: of the task.
        accuracy: on held-out images without augmentation.
        loss: there, in nats.
        augmented_accuracy: on held-out images with the augmentation of the training; None if a seed was measured
            without.
        training_accuracy: in the last epoch; None if a seed was not trained.
    """

    task: str
    num_labels: int
    accuracy: Estimate
    loss: Estimate
    augmented_accuracy: Estimate | None
    training_accuracy: Estimate | None


@dataclass(frozen=True)
class SeedSummary:
    """Networks that differ in the seed alone, by kinds of features and by tasks.

    Attributes:
        model: the backbone's name.
        seeds: number of networks.
        parameters: of the backbone.
        kinds: one entry a kind of features.
        tasks: one entry a head.
    """

    model: str
    seeds: int
    parameters: int
    kinds: tuple[FeatureSummary, ...]
    tasks: tuple[TaskSummary, ...]

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name, ready for JSON; intervals of one seed, which are unknown, as None."""
        return {name: finite(value) for name, value in asdict(self).items()}

    def of(self, kind: str) -> FeatureSummary:
        """The summary of one kind of features.

        Raises:
            KeyError: if there is none; names those that there are.
        """
        return entry_of(self.kinds, kind)


def check_seeds(configs: Sequence[Mapping[str, Any] | None], digests: Sequence[str]) -> None:
    """Refuses networks that are not trainings of one config with different seeds.

    Args:
        configs: of the trainings, see `PretrainConfig`; None for one that is unknown, of which nothing is compared.
        digests: of the weights, one a network; empty for one that is unknown.

    Raises:
        ValueError: if weights come twice, a seed comes twice, or something else than the seed differs.
    """
    known = [digest for digest in digests if digest]
    if twice := [digest for digest in known if known.count(digest) > 1]:
        raise ValueError(
            f"networks must differ in the seed, as the interval is over seeds; got the weights {twice[0][:12]}... "
            f"{known.count(twice[0])} times. Name each run once."
        )
    first, *others = [_flat(config) for config in configs if config is not None] or [{}]
    for other in others:
        names = sorted(name for name in {*first, *other} if first.get(name) != other.get(name) and name[-1] != "seed")
        if names:
            shown = ", ".join(f"{name[-1]}={first.get(name)!r} and {other.get(name)!r}" for name in names)
            raise ValueError(f"networks must differ in the seed alone; got {shown}. Summarise each kind for itself.")
    seeds = [next((value for name, value in one.items() if name[-1] == "seed"), None) for one in (first, *others)]
    if others and (again := [seed for seed in seeds if seeds.count(seed) > 1]):
        raise ValueError(
            f"networks must differ in the seed, as the interval is over seeds; got seed={again[0]} "
            f"{seeds.count(again[0])} times. Train them with other seeds, or name one of them."
        )


def _flat(config: Mapping[str, Any], inside: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The values of a config by the path to them, whether it has parts or is flat."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in config.items():
        path = (*inside, name)
        found |= _flat(value, path) if isinstance(value, Mapping) else {path: value}
    return found


def over_seeds(evaluations: Sequence[EncoderEvaluation]) -> SeedSummary:
    """Means and 95% intervals (Student's t) over networks that were trained with different seeds.

    Args:
        evaluations: one a seed, of the same model, measured alike.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is none, they are of different models, images, features or tasks, or not trainings of one
            config with different seeds (see `check_seeds`).
    """
    check_arguments(over_seeds, locals())
    shapes = {
        (
            (one.model, one.parameters, one.train, one.test, one.circular_probes),
            tuple((scores.kind, tuple(scores.labels)) for scores in one.kinds),
            tuple((task.task, task.num_labels) for task in one.tasks),
        )
        for one in evaluations
    }
    if len(shapes) != 1:
        raise ValueError(
            f"evaluations must be of one model on the same images, with the same kinds of features and tasks, measured "
            f"alike, at least one; got {len(shapes)} sorts of {len(evaluations)}. Summarise each model for itself, and "
            "measure those anew that were measured before probes were trained through the circle."
        )
    (((model, parameters, *_), kinds, tasks),) = shapes
    check_seeds([one.config for one in evaluations], [one.sha256 for one in evaluations])

    def feature_summary(index: int) -> FeatureSummary:
        scores = [one.kinds[index] for one in evaluations]
        name, fractions = kinds[index]
        return FeatureSummary(
            kind=name,
            width=scores[0].width,
            accuracy=estimate(entry.accuracy for entry in scores),
            turned=estimate(entry.turned for entry in scores),
            elements=_by_name([entry.elements for entry in scores]),
            knn=_measured([entry.knn for entry in scores]),
            labels={part: estimate(entry.labels[part].mean for entry in scores) for part in fractions},
            angles=_by_name([entry.angles for entry in scores]),
            angle_mean=_measured([entry.angle_mean for entry in scores]),
            angle_worst=_measured([entry.angle_worst for entry in scores]),
            effective_rank=estimate(entry.effective_rank for entry in scores),
        )

    def task_summary(index: int) -> TaskSummary:
        scores = [one.tasks[index] for one in evaluations]
        name, num_labels = tasks[index]
        return TaskSummary(
            task=name,
            num_labels=num_labels,
            accuracy=estimate(entry.accuracy for entry in scores),
            loss=estimate(entry.loss for entry in scores),
            augmented_accuracy=_measured([entry.augmented_accuracy for entry in scores]),
            training_accuracy=_measured([entry.training_accuracy for entry in scores]),
        )

    return SeedSummary(
        model=model,
        seeds=len(evaluations),
        parameters=parameters,
        kinds=tuple(map(feature_summary, range(len(kinds)))),
        tasks=tuple(map(task_summary, range(len(tasks)))),
    )


def _by_name(seeds: Sequence[dict[str, float]]) -> dict[str, Estimate]:
    """Estimates of the values that all seeds have."""
    shared = [name for name in seeds[0] if all(name in values for values in seeds)]
    return {name: estimate(values[name] for values in seeds) for name in shared}


def _measured(values: Sequence[float]) -> Estimate | None:
    return None if any(map(math.isnan, values)) else estimate(values)
