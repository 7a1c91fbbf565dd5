"""Everything that is measured of a pretrained network: probes of its features, upright and turned, and its task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.checks import check_count
from eqmodels.data import Source, subset
from eqmodels.evaluation.collapse import effective_rank
from eqmodels.evaluation.features import change_under, regular_features
from eqmodels.evaluation.kinds import CONTROLS, ORBIT_MEAN, FeatureKind, MovedFeatures, feature_kind, kinds_of
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.label_efficiency import check_fraction, label_efficiency
from eqmodels.evaluation.scores import EncoderEvaluation, FeatureScores
from eqmodels.evaluation.task_scores import head_scores
from eqmodels.groups import PlanarGroup, rotate
from eqmodels.measures.intervals import Estimate, estimate, proportion_interval
from eqmodels.measures.linear_probe import STRENGTHS, LinearProbe, check_strengths, fit_linear_probe
from eqmodels.training import Run

__all__ = ["evaluate"]

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
CURVE_IMAGES, CURVE_STEP = 2000, 15
VALIDATION = 0.2
"""Part of the training images on which a probe's strength is chosen."""
LABEL_EFFICIENCY_OF = ("regular", "invariant-3", "canonical", "all", ORBIT_MEAN)
"""The kinds of features that are probed with few labels: the others are variants of these."""


def evaluate(
    run: Run,
    train: Source,
    test: Source,
    *,
    features: Sequence[str] | None = None,
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
        features: the kinds of features to score, see `FeatureScores`; None for all that the network has.
        knn: whether to vote by nearest neighbours too.
        fractions: of the training labels, for label efficiency, whose probes choose among every other strength, as
            cross-validation repeats them; empty for none.
        curve_images: number of test images for the curve over the angles; 0 for no curve.
        strengths: of the probes' L2 penalty, to choose from.
        seed: of the validation splits, of the subsets of labels, and of what the task and its augmentation draw; the
            images of the curve are the same for all seeds.
        report: called with a word on what is being measured.

    Raises:
        TypeError: if a number is of a wrong type.
        ValueError: if the images do not have the channels that the network takes, do not suit its task, or training
            images lack a class; if the network has no such features, or an option is out of its range.
    """
    backbone = run.model.backbone
    _check_images(run, train, test)
    _check_options(fractions, curve_images, strengths, seed)
    group = _test_group(backbone.group)
    possible = kinds_of(run)
    wanted = possible if features is None else tuple(features)
    if unknown := [name for name in wanted if name not in possible]:
        raise ValueError(f"features of this network are {', '.join(possible)}; got {unknown[0]!r}.")
    report("features")
    turns = range(4) if any(name in CONTROLS for name in wanted) else (0,)
    moved = MovedFeatures(
        {g: _moved(run, train, group, g) for g in turns},
        {g: _moved(run, test, group, g) for g in group.elements},
        _curve(run, test, curve_images),
    )
    chosen = _subset(test, curve_images).labels if curve_images else test.labels[:0]
    options = _Options(knn, tuple(fractions), tuple(strengths), seed)
    scores = []
    for name in wanted:
        report(name)
        kind = feature_kind(run, name, moved)
        scores.append(_scores(kind, train.labels, test.labels, chosen, group, options))
    report("task")
    tasks, classes = head_scores(run, test, seed)
    return EncoderEvaluation(
        model=run.config.model,
        sha256=run.sha256,
        parameters=sum(p.numel() for p in backbone.parameters()),
        head_parameters=sum(p.numel() for p in run.model.heads.parameters()),
        train=(train.name, len(train)),
        test=(test.name, len(test)),
        group=str(group),
        features=tuple(scores),
        tasks=tasks,
        equivariance_error={
            group.describe(g): change_under(group, g, backbone.group, moved.test[0], moved.test[g])
            for g in group.elements
            if g
        },
        class_head=classes,
        config=run.config.to_dict(),
    )


@dataclass(frozen=True)
class _Options:
    """How features are scored: the arguments of `evaluate` of the same names."""

    knn: bool
    fractions: tuple[float, ...]
    strengths: tuple[float, ...]
    seed: int


def _check_images(run: Run, train: Source, test: Source) -> None:
    """Raises a `ValueError` unless the network, its task and probes can be measured on such images."""
    channels = run.model.backbone.in_chans
    for data in (train, test):
        if data.channels != channels:
            raise ValueError(
                f"the network takes images of {channels} channels; {data.name} has {data.channels}. "
                "Use data.to_rgb(), data.coloured(), or a network that was trained on such images."
            )
    run.task.check(test.pixels(slice(0, 1)))
    there = train.labels.bincount(minlength=int(test.labels.max()) + 1)
    if missing := (there == 0).nonzero().flatten().tolist():
        raise ValueError(
            f"probes need training images of every class; {train.name} has {len(train)}, and none of "
            f"{train.classes[missing[0]]!r}. Take more images, at least {len(there)}, or leave the class out."
        )


def _check_options(fractions: Sequence[float], curve_images: int, strengths: Sequence[float], seed: int) -> None:
    """Raises unless the options of `evaluate` are in their ranges."""
    for fraction in fractions:
        check_fraction(fraction)
    check_count("curve_images", curve_images, 0)
    check_strengths(strengths)
    check_count("seed", seed, 0)


def _test_group(group: PlanarGroup) -> PlanarGroup:
    """The network's group, if it has the quarter turns; else these alone, with flips if it has a flip."""
    return PlanarGroup(4 if group.rotations % 4 else group.rotations, group.reflections)


def _moved(run: Run, data: Source, group: PlanarGroup, g: int) -> Float[Tensor, "N C"]:
    # The corners of an image that is turned by no quarter would show how it was turned.
    circular = not group.is_exact(g)
    return regular_features(run, lambda part: group.act(g, data.pixels(part), circular=circular), len(data))


def _subset(data: Source, count: int) -> Source:
    """So many random images; not balanced, as a user's classes need not be."""
    if count >= len(data):
        return data
    return subset(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count].sort().values)


def _curve(run: Run, data: Source, count: int) -> dict[int, Float[Tensor, "K C"]]:
    """Features of images turned by every angle and seen through a circle, so that corners tell nothing."""
    if not count:
        return {}
    images = _subset(data, count)

    def turned(angle: int) -> Float[Tensor, "K C"]:
        return regular_features(run, lambda part: rotate(images.pixels(part), float(angle), circular=True), len(images))

    return {angle: turned(angle) for angle in range(0, 360, CURVE_STEP)}


def _scores(
    kind: FeatureKind,
    train_labels: Int[Tensor, " N"],
    labels: Int[Tensor, " M"],
    curve_labels: Int[Tensor, " K"],
    group: PlanarGroup,
    options: _Options,
) -> FeatureScores:
    name, seed, fractions, strengths = kind.name, options.seed, options.fractions, options.strengths
    train_labels = train_labels.repeat(kind.copies)
    probe: LinearProbe = fit_linear_probe(
        kind.train, train_labels, strengths=strengths, validation_fraction=VALIDATION, copies=kind.copies, seed=seed
    )
    elements = {g: probe.accuracy(features, labels) for g, features in kind.test.items()}
    curve = {angle: probe.accuracy(features, curve_labels) for angle, features in kind.curve.items()}
    upright = kind.test[group.identity]
    quarters = [g for g in group.exact_elements if g != group.identity and not group.reflected(g)]
    parts = [fraction for fraction in fractions if fraction < 1]
    by_fraction: dict[str, Estimate] = {}
    if parts and name in LABEL_EFFICIENCY_OF:
        # Small subsets are cross-validated: every other strength is enough for them.
        efficiency = label_efficiency(
            kind.train,
            train_labels,
            upright,
            labels,
            fractions=parts,
            strengths=strengths[::2],
            validation_fraction=VALIDATION,
            seed=seed,
        )
        by_fraction = {f"{entry.fraction:g}": entry.accuracy for entry in efficiency}
    if 1.0 in fractions and name in LABEL_EFFICIENCY_OF:
        by_fraction["1"] = estimate([elements[group.identity]])
    interval = proportion_interval(round(elements[group.identity] * len(labels)), len(labels))
    return FeatureScores(
        features=name,
        width=kind.train.shape[1],
        accuracy=elements[group.identity],
        interval=(interval.low, interval.high),
        turned=sum(elements[g] for g in quarters) / len(quarters),
        elements={group.describe(g): accuracy for g, accuracy in elements.items()},
        # The usual 200 neighbours, or all images if there are fewer.
        knn=knn_accuracy(kind.train, train_labels, upright, labels, k=min(200, len(kind.train)))
        if options.knn
        else math.nan,
        effective_rank=effective_rank(upright),
        strength=probe.strength,
        labels=by_fraction,
        angles={str(angle): accuracy for angle, accuracy in curve.items()},
        angle_mean=sum(curve.values()) / len(curve) if curve else math.nan,
        angle_worst=min(curve.values(), default=math.nan),
    )
