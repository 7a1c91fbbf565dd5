"""Everything that is measured of a pretrained network: probes of its features, upright and turned, and its task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eqmodels._shapes import Float, Int
from eqmodels.data import LabelledImages
from eqmodels.evaluation.collapse import effective_rank
from eqmodels.evaluation.features import change_under, pool_features, poolings_of, regular_features
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.label_efficiency import label_efficiency
from eqmodels.evaluation.linear_probe import STRENGTHS, LinearProbe, fit_linear_probe
from eqmodels.groups import PlanarGroup, rotate
from eqmodels.training import Run
from eqmodels.training.model import components
from eqmodels.training.randomness import Purpose, generator_for
from eqmodels.transforms import create_augmentation

__all__ = ["EncoderEvaluation", "FeatureScores", "TaskScores", "evaluate"]

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
CURVE_IMAGES, CURVE_STEP = 2000, 15


@dataclass(frozen=True)
class FeatureScores:
    """What one kind of features knows of the class. Accuracies are of held-out images, from 0 to 1.

    Attributes:
        features: which; a pooling, ``"orbit-mean"`` (of a network without a group: averaged over the four turned copies
            of the image) or ``"regular, turned probe"`` (the probe is trained on all four turned copies).
        width: their number.
        accuracy: of the linear probe on upright images.
        turned: of the same probe on images turned by quarters, the mean over 90, 180 and 270 degrees.
        elements: of the same probe on images moved by each element of the test group, by its description.
        knn: of 200 nearest neighbours on upright images; NaN if it was not asked for.
        effective_rank: of the features of the upright test images.
        strength: L2 strength of the probe, chosen on a part of the training images.
        labels: accuracy by the fraction of training labels, on upright images; the mean over three subsets.
        angles: accuracy by angle in degrees, of images seen through a circle.
    """

    features: str
    width: int
    accuracy: float
    turned: float
    elements: dict[str, float]
    knn: float
    effective_rank: float
    strength: float
    labels: dict[str, float]
    angles: dict[str, float]

    @property
    def angle_mean(self) -> float:
        """The mean of the curve over the angles; NaN without a curve."""
        return sum(self.angles.values()) / len(self.angles) if self.angles else math.nan

    @property
    def angle_worst(self) -> float:
        """The lowest point of the curve over the angles; NaN without a curve."""
        return min(self.angles.values(), default=math.nan)


@dataclass(frozen=True)
class TaskScores:
    """How well a head predicts what was done to the image.

    Attributes:
        task: which task.
        num_labels: of the task.
        accuracy: on held-out images without augmentation, from 0 to 1.
        loss: cross-entropy there, in nats; ``log(num_labels) - loss`` is a lower bound of ``I(A; Z)``.
        augmented_accuracy: on held-out images with the augmentation of the training.
        training_accuracy: on the training images in the last epoch, with augmentation.
    """

    task: str
    num_labels: int
    accuracy: float
    loss: float
    augmented_accuracy: float
    training_accuracy: float


@dataclass(frozen=True)
class EncoderEvaluation:
    """What was measured of a pretrained network.

    Attributes:
        model: the backbone's name.
        sha256: of the weights.
        parameters: of the backbone.
        head_parameters: of the heads.
        train: name and number of the images that probes were trained on.
        test: name and number of the images that everything is measured on.
        group: the test group, whose elements move the test images.
        features: one entry a kind of features.
        tasks: one entry a head.
        equivariance_error: ``|f(g x) - rho(g) f(x)| / |f(x)|`` of the regular features by element, see `change_under`.
    """

    model: str
    sha256: str
    parameters: int
    head_parameters: int
    train: tuple[str, int]
    test: tuple[str, int]
    group: str
    features: tuple[FeatureScores, ...]
    tasks: tuple[TaskScores, ...]
    equivariance_error: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name, ready for JSON (NaN as None)."""
        return {name: _finite(value) for name, value in asdict(self).items()}

    def of(self, features: str) -> FeatureScores:
        """The scores of one kind of features.

        Raises:
            KeyError: if there are none.
        """
        found = {scores.features: scores for scores in self.features}
        return found[features]


def evaluate(
    run: Run,
    train: LabelledImages,
    test: LabelledImages,
    *,
    knn: bool = True,
    fractions: Sequence[float] = FRACTIONS,
    curve_images: int = CURVE_IMAGES,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> EncoderEvaluation:
    """Measures a pretrained network: see `EncoderEvaluation`.

    Probes are trained on upright images of `train` and measured on `test`, upright and turned; nothing is chosen on
    `test`.

    Args:
        run: the network.
        train: images with labels for the probes.
        test: held-out images with labels.
        knn: whether to vote by nearest neighbours too.
        fractions: of the training labels, for label efficiency; empty for none.
        curve_images: number of test images for the curve over the angles; 0 for no curve.
        strengths: of the probes' L2 penalty, to choose from.
        seed: of validation splits, subsets and labels.
        report: called with a word on what is being measured.

    Raises:
        ValueError: if the images do not have the channels that the network takes.
    """
    backbone = run.model.backbone
    for data in (train, test):
        if data.channels != backbone.in_chans:
            raise ValueError(
                f"the network takes images of {backbone.in_chans} channels; {data.name} has {data.channels}. "
                "Use data.to_rgb(), data.coloured(), or a network that was trained on such images."
            )
    group = PlanarGroup(4, backbone.group.reflections)
    plain = backbone.group.order == 1
    report("features")
    turned_train = {g: _moved(run, train, group, g) for g in (range(4) if plain else (0,))}
    turned_test = {g: _moved(run, test, group, g) for g in group.elements}
    curve = _curve(run, test, curve_images)
    chosen = _subset(test, curve_images).labels if curve_images else test.labels[:0]

    kinds: dict[str, _Kind] = {
        name: _Kind(
            pool_features(run, turned_train[0], name),
            train.labels,
            {g: pool_features(run, features, name) for g, features in turned_test.items()},
            {angle: pool_features(run, features, name) for angle, features in curve.items()},
        )
        for name in poolings_of(run)
    }
    if plain:
        kinds |= _orbit_kinds(turned_train, train.labels, turned_test, curve)
    scores, options = [], _Options(knn, tuple(fractions), tuple(strengths), seed)
    for name, kind in kinds.items():
        report(name)
        scores.append(_scores(name, kind, test.labels, chosen, group, options))
    report("task")
    return EncoderEvaluation(
        model=run.config.model,
        sha256=run.sha256,
        parameters=sum(p.numel() for p in backbone.parameters()),
        head_parameters=sum(p.numel() for p in run.model.heads.parameters()),
        train=(train.name, len(train)),
        test=(test.name, len(test)),
        group=str(group),
        features=tuple(scores),
        tasks=_task_scores(run, test, seed),
        equivariance_error={
            group.describe(g): change_under(group, g, backbone.group, turned_test[0], turned_test[g])
            for g in group.elements
            if g
        },
    )


@dataclass(frozen=True)
class _Options:
    """How features are scored: the arguments of `evaluate` of the same names."""

    knn: bool
    fractions: tuple[float, ...]
    strengths: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class _Kind:
    """One kind of features: of the training images, and of the test images by element and by angle."""

    train: Float[Tensor, "N F"]
    labels: Int[Tensor, " N"]
    moved: dict[int, Float[Tensor, "M F"]]
    curve: dict[int, Float[Tensor, "K F"]]


def _moved(run: Run, data: LabelledImages, group: PlanarGroup, g: int) -> Float[Tensor, "N C"]:
    return regular_features(run, lambda part: group.act(g, data.pixels(part)), len(data))


def _subset(data: LabelledImages, count: int) -> LabelledImages:
    return data.balanced_subset(count) if count < len(data) else data


def _curve(run: Run, data: LabelledImages, count: int) -> dict[int, Float[Tensor, "K C"]]:
    """Features of images turned by every angle and seen through a circle, so that corners tell nothing."""
    if not count:
        return {}
    images = _subset(data, count)

    def turned(angle: int) -> Float[Tensor, "K C"]:
        return regular_features(run, lambda part: rotate(images.pixels(part), float(angle), circular=True), len(images))

    return {angle: turned(angle) for angle in range(0, 360, CURVE_STEP)}


def _orbit_kinds(
    train: dict[int, Tensor], labels: Tensor, test: dict[int, Tensor], curve: dict[int, Tensor]
) -> dict[str, _Kind]:
    """The controls of a network without a group: features averaged over the orbit, and a probe that saw all turns."""
    turned = torch.cat(list(train.values())), labels.repeat(len(train))
    mean_train, mean_test = torch.stack(list(train.values())).mean(0), torch.stack(list(test.values())).mean(0)
    mean_curve = {
        angle: torch.stack([curve[(angle + quarter) % 360] for quarter in (0, 90, 180, 270)]).mean(0) for angle in curve
    }
    return {
        "orbit-mean": _Kind(mean_train, labels, dict.fromkeys(test, mean_test), mean_curve),
        "regular, turned probe": _Kind(*turned, test, curve),
    }


def _scores(
    name: str,
    kind: _Kind,
    labels: Int[Tensor, " M"],
    curve_labels: Int[Tensor, " K"],
    group: PlanarGroup,
    options: _Options,
) -> FeatureScores:
    seed, fractions, strengths = options.seed, options.fractions, options.strengths
    probe: LinearProbe = fit_linear_probe(kind.train, kind.labels, strengths=strengths, seed=seed)
    elements = {g: probe.accuracy(features, labels) for g, features in kind.moved.items()}
    upright = kind.moved[group.identity]
    parts = [fraction for fraction in fractions if fraction < 1]
    by_fraction = {}
    if parts:
        # Small subsets are cross-validated: every other strength is enough for them.
        efficiency = label_efficiency(
            kind.train, kind.labels, upright, labels, fractions=parts, strengths=strengths[::2], seed=seed
        )
        by_fraction = {f"{entry.fraction:g}": entry.accuracy.mean for entry in efficiency}
    if 1.0 in fractions:
        by_fraction["1"] = elements[group.identity]
    return FeatureScores(
        features=name,
        width=kind.train.shape[1],
        accuracy=elements[group.identity],
        turned=sum(elements[g] for g in (1, 2, 3)) / 3,
        elements={group.describe(g): accuracy for g, accuracy in elements.items()},
        knn=knn_accuracy(kind.train, kind.labels, upright, labels) if options.knn else math.nan,
        effective_rank=effective_rank(upright),
        strength=probe.strength,
        labels=by_fraction,
        angles={str(angle): probe.accuracy(features, curve_labels) for angle, features in kind.curve.items()},
    )


ALL_LABELS = 8
"""Tasks of at most so many labels are asked with every label of every image, others with one random label an image."""


@torch.no_grad()
def _task_scores(run: Run, test: LabelledImages, seed: int) -> tuple[TaskScores, ...]:
    """Accuracy and loss of every head on held-out images."""
    parts, task = components(run.task), run.task
    repeats = task.num_labels if task.num_labels <= ALL_LABELS and len(parts) == 1 else 1
    augmentation, none = create_augmentation(run.config.augment), create_augmentation("none")
    results: dict[str, list[list[Tensor]]] = {}
    for setting, augment in (("clean", none), ("augmented", augmentation)):
        logits_of: list[list[Tensor]] = [[] for _ in parts]
        labels_of: list[Tensor] = []
        for repeat in range(repeats):
            for batch, start in enumerate(range(0, len(test), 500)):
                images = test.pixels(slice(start, start + 500))
                position = (batch, repeat)
                drawn = task.sample(len(images), generator_for(seed, Purpose.LABELS, *position))
                labels = torch.full_like(drawn, repeat) if repeats > 1 else drawn
                images = augment(images, generator_for(seed, Purpose.AUGMENTATION, *position))
                images = task.apply(images, labels, generator_for(seed, Purpose.NUISANCE, *position))
                images = run.preprocessing.normalise(images).contiguous(memory_format=torch.channels_last)
                for collected, logits in zip(logits_of, run.model(images), strict=True):
                    collected.append(logits.double())
                labels_of.append(labels.reshape(len(labels), -1))
        results[setting] = [[torch.cat(logits) for logits in logits_of], list(torch.cat(labels_of).unbind(1))]
    log = run.log[-1] if run.log else {}
    return tuple(
        TaskScores(
            task=part.name,
            num_labels=part.num_labels,
            accuracy=_accuracy(results["clean"], index),
            loss=float(cross_entropy(results["clean"][0][index], results["clean"][1][index])),
            augmented_accuracy=_accuracy(results["augmented"], index),
            training_accuracy=float(log.get(f"accuracy_{part.name}", math.nan)),
        )
        for index, part in enumerate(parts)
    )


def _accuracy(result: list[list[Tensor]], index: int) -> float:
    logits, labels = result
    return float((logits[index].argmax(1) == labels[index]).double().mean())


def _finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None for NaN, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value
