"""Everything that is measured of an encoder: probes of its features, upright and moved, and its heads if there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data import Source
from eqmodels.data.source import check_of_images
from eqmodels.evaluation.encoding import Encodable, Subject
from eqmodels.evaluation.few_labels import check_fraction
from eqmodels.evaluation.kinds import feature_kind, kinds_of
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.evaluation.probing import Examination, ProbeOptions
from eqmodels.evaluation.scores import EncoderEvaluation
from eqmodels.evaluation.scoring_heads import ClassScores, TaskScores, scores_of_heads
from eqmodels.evaluation.settled import remembering, settled
from eqmodels.measures.linear_probe import STRENGTHS, check_strengths
from eqmodels.processes.world import joined_world

__all__ = ["CURVE_IMAGES", "FRACTIONS", "evaluate"]

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
CURVE_IMAGES = 2000
ANEW = "Nothing was measured: start the same command again."
"""What can be done after a process that shares the work was lost."""


def evaluate(
    encoder: Encodable,
    train: Source,
    test: Source,
    *,
    kinds: Sequence[str] | None = None,
    knn: bool = True,
    fractions: Sequence[float] = FRACTIONS,
    curve_images: int = CURVE_IMAGES,
    augmented: bool = True,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    name: str | None = None,
    report: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> EncoderEvaluation:
    """Measures any encoder, as `EncoderEvaluation` says.

    What is scored are the features that it gives, and what can be made of them: of regular fields, as its `out_field`
    declares them, the poolings of the fibre; of scalars, and of features of which nothing is declared, the vectors
    themselves (called ``"invariant"`` and ``"regular"``) and the controls for turned images. Of a run the features are
    those that its heads read, canonical ones among them if a head predicts the pose, and the heads are scored too.

    Probes are trained on upright images of `train` and measured on `test`, upright and moved; nothing is chosen on
    `test`. Images are moved by the elements of the encoder's own group, which its attribute `group` or else its field
    names, and, as a control for everybody, by quarter turns. What interpolates, other elements and the curve over the
    angles, is seen through the inscribed circle, by probes that were trained on images seen through it, with the
    strength of the L2 penalty that was chosen without.

    Under ``torchrun`` every process calls this; they compute features and fit probes in turn, and each gets the result,
    which is that of one process bit for bit if each computes with as many threads.

    Args:
        encoder: an `Encoder`, a run with its heads (see `Pretrained`), or any function from images ``(B, C, H, W)`` to
            features ``(B, F)``. Images are normalised as its `preprocessing` says, and given in [0, 1] without one.
        train: images with labels for the probes.
        test: held-out images with labels.
        kinds: of features to score, see `FeatureScores`; None for all that the encoder has.
        knn: whether to vote by nearest neighbours too.
        fractions: of the training labels, for label efficiency, whose probes choose among every other strength, as
            cross-validation repeats them; empty for none.
        curve_images: number of test images for the curve over the angles; 0 for no curve.
        augmented: whether the heads of a run are asked about augmented images too.
        strengths: of the probes' L2 penalty, to choose from.
        seed: of the validation splits, of the subsets of labels, and of what the task and its augmentation draw; the
            images of the curve are the same for all seeds.
        name: what to call the encoder; None for the name of the run, the function or the class.
        report: called with a word on what is being measured.
        progress: called after each view of the images and each fit of a probe, with the number of those that are done
            and of all.

    Raises:
        TypeError: if a number is of a wrong type, or the encoder does not give one tensor of floating-point numbers.
        ValueError: if the images do not have the channels that the encoder takes, do not suit the task of the heads, or
            training images lack a class or are all of one; if the encoder has no such kind of features, does not give
            one vector an image, or an option is out of its range.
        ProcessError: if another of several processes was killed.
    """
    check_arguments(
        evaluate,
        {
            "train": train,
            "test": test,
            "kinds": kinds,
            "knn": knn,
            "fractions": fractions,
            "augmented": augmented,
            "strengths": strengths,
            "seed": seed,
            "name": name,
            "report": report,
            "progress": progress,
        },
    )
    subject = Subject.of(encoder)
    options = ProbeOptions(knn, tuple(fractions), curve_images, tuple(strengths), seed)

    def checked() -> tuple[str, ...]:
        _check_images(subject, train, test)
        if isinstance(encoder, Pretrained):
            encoder.task.check(test.pixels(slice(0, 1)))
        _check_options(fractions, curve_images, strengths, seed)
        return _wanted(subject, kinds)

    quicker = settled(subject)
    # Heads are asked about turned images too, whose features are computed once.
    whole = remembering(quicker) if isinstance(encoder, Pretrained) else quicker
    with joined_world(subject.device) as world, world.together(ANEW):
        features = [feature_kind(subject, kind) for kind in world.from_each(checked)[0]]
        examination = Examination(quicker, features, train, test, options, report, progress, whole=whole, world=world)
        result = _measured(examination, subject, subject.name if name is None else name)
        if isinstance(encoder, Pretrained):
            report("task")
            heads = scores_of_heads(encoder, whole, test, seed, world, augmented=augmented)
            return _with_heads(result, encoder, *heads)
        return result


def _wanted(subject: Subject, kinds: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds of features that are asked for, all for None; a `ValueError` if the encoder has no such kind."""
    possible = kinds_of(subject)
    wanted = possible if kinds is None else tuple(kinds)
    if unknown := [kind for kind in wanted if kind not in possible]:
        raise ValueError(
            f"kinds of features of this network are {', '.join(possible)}; got {unknown[0]!r}. Name these alone."
        )
    return wanted


def _measured(examination: Examination, subject: Subject, name: str) -> EncoderEvaluation:
    """Everything that is measured of features, and what they are of."""
    train, test = examination.train, examination.test
    scores = examination.run()
    return EncoderEvaluation(
        model=name,
        sha256="",
        parameters=subject.parameters,
        head_parameters=0,
        train=(train.name, len(train)),
        test=(test.name, len(test)),
        group=str(subject.group),
        field=None if subject.field is None else str(subject.field),
        kinds=scores,
        tasks=(),
        equivariance_error=examination.equivariance_error,
    )


def _with_heads(
    result: EncoderEvaluation,
    pretrained: Pretrained,
    tasks: tuple[TaskScores, ...],
    class_scores: ClassScores | None,
) -> EncoderEvaluation:
    """The result with what is known of a run, and of its heads."""
    return replace(
        result,
        sha256=pretrained.sha256,
        head_parameters=sum(value.numel() for head in pretrained.heads for value in head.parameters()),
        tasks=tasks,
        class_head=class_scores,
        config=pretrained.config.to_dict(),
    )


def _check_images(subject: Subject, train: Source, test: Source) -> None:
    """Raises a `ValueError` unless the encoder and probes can be measured on such images."""
    for data in (train, test):
        check_of_images(data)
        if subject.in_chans is not None and data.channels != subject.in_chans:
            raise ValueError(
                f"the network takes images of {subject.in_chans} channels; {data.name} has {data.channels}. "
                "Use data.to_rgb(), data.coloured(), or a network that was trained on such images."
            )
        without = int((data.labels < 0).sum())
        if without or not len(data):
            sort = "Sort images into one folder a class, or take the features alone, see embed."
            way_out = "Leave these out." if without < len(data) else sort
            raise ValueError(
                f"probes need a class of every image; {data.name} has {len(data)} images, {without} of them without. "
                f"{way_out}"
            )
    if len(found := train.labels.unique()) < 2:
        only = train.classes[int(found)] if int(found) < len(train.classes) else f"class {int(found)}"
        raise ValueError(
            f"probes tell classes apart, so that they need images of at least two; all {len(train)} of {train.name} "
            f"are of {only!r}. Add images of another class, or take the features alone, see embed."
        )
    there = train.labels.bincount(minlength=int(test.labels.max()) + 1)
    if missing := (there == 0).nonzero().flatten().tolist():
        first = repr(train.classes[missing[0]]) if missing[0] < len(train.classes) else f"class {missing[0]}"
        raise ValueError(
            f"probes need training images of every class; {train.name} has {len(train)}, and none of "
            f"{first}. Take more images, at least {len(there)}, or leave the class out."
        )


def _check_options(fractions: Sequence[float], curve_images: int, strengths: Sequence[float], seed: int) -> None:
    """Raises unless the options of `evaluate` are in their ranges."""
    for fraction in fractions:
        check_fraction(fraction)
    check_count("curve_images", curve_images, 0)
    check_strengths(strengths)
    check_count("seed", seed, 0, bits=64)
