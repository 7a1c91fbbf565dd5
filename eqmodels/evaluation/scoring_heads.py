"""How well heads predict: what was done to the image, and its class if there is a head for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.evaluation.encoding import Subject, features_of
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.objectives import Purpose, generator_for, predicted, prediction_loss
from eqmodels.processes import World
from eqmodels.transforms import create_augmentation

__all__ = ["ClassScores", "TaskScores", "head_scores", "scores_of_heads", "task_scores"]

ALL_LABELS = 8
"""Tasks of at most so many labels are asked with every label of every image, others with one random label an image."""
BATCH = 500
"""Images at a time: each batch draws from generators of its own."""


@dataclass(frozen=True)
class TaskScores:
    """How well a head predicts what was done to the image.

    Attributes:
        task: which task.
        num_labels: of the task.
        accuracy: on held-out images without augmentation, from 0 to 1; a tie of the label's logit with another is none.
        loss: cross-entropy there, in nats; ``log(num_labels) - loss`` is a lower bound of ``I(A; Z)``.
        augmented_accuracy: on held-out images with the augmentation of the training; NaN if they were not asked.
        training_accuracy: on the training images in the last epoch, with augmentation.
    """

    task: str
    num_labels: int
    accuracy: float
    loss: float
    augmented_accuracy: float
    training_accuracy: float


@dataclass(frozen=True)
class ClassScores:
    """How well the class head of a run predicts the class, see `class_information_loss`.

    The images are those of `TaskScores`, transformed by the task as they are where the head learns. Below a weight of 0
    the features hide from this very head; what they know of the class is what a fresh probe finds (`FeatureScores`).

    Attributes:
        weight: the dose of the head's gradient that the backbone was trained with.
        num_classes: of the head.
        accuracy: on held-out images without augmentation, from 0 to 1.
        loss: cross-entropy there, in nats; the entropy of the classes minus it is a lower bound of ``I(C; Z)``.
        augmented_accuracy: on held-out images with the augmentation of the training; NaN if they were not asked.
        training_accuracy: on the training images in the last epoch, with augmentation.
    """

    weight: float
    num_classes: int
    accuracy: float
    loss: float
    augmented_accuracy: float
    training_accuracy: float


def task_scores(pretrained: Pretrained, test: Source, seed: int = 0) -> tuple[TaskScores, ...]:
    """Accuracy and loss of the head of every task on held-out images, as the first part of `head_scores`.

    Args:
        pretrained: the network, its heads and their task.
        test: held-out images, with the channels that the network takes.
        seed: of labels and augmentation.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(task_scores, locals())
    return head_scores(pretrained, test, seed)[0]


def head_scores(
    pretrained: Pretrained, test: Source, seed: int = 0
) -> tuple[tuple[TaskScores, ...], ClassScores | None]:
    """Accuracy and loss of every head on held-out images: of the tasks, none without heads, and of the class.

    The latter are None if there is no class head, or if the images are of other classes than those it learned.

    Args:
        pretrained: the network, its heads and their task.
        test: held-out images, with the channels that the network takes.
        seed: of labels and augmentation.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(head_scores, locals())
    return scores_of_heads(pretrained, Subject.of(pretrained), test, seed, World(), augmented=True)


def scores_of_heads(
    pretrained: Pretrained, subject: Subject, test: Source, seed: int, world: World, *, augmented: bool
) -> tuple[tuple[TaskScores, ...], ClassScores | None]:
    """What `head_scores` gives, of features that a subject computes in its way.

    Args:
        pretrained: the network, its heads and their task.
        subject: the network as it is asked for features.
        test: held-out images.
        seed: of labels and augmentation.
        world: processes that compute the batches in turn.
        augmented: whether they are asked about augmented images too; of a training without, they always are.
    """
    if not list(pretrained.heads) and pretrained.class_information is None:
        return (), None
    # Twice the same of a training without augmentation, so once.
    answers = {
        setting: _answers(pretrained, subject, test, setting, seed, world)
        for setting in dict.fromkeys(("none", pretrained.augmentation) if augmented else ("none",))
    }

    def scores(index: int, name: str) -> dict[str, float]:
        logits, labels = answers["none"][index]
        return {
            "accuracy": _accuracy(logits, labels),
            "loss": float(prediction_loss(logits, labels)),
            "augmented_accuracy": _accuracy(*answers[pretrained.augmentation][index])
            if pretrained.augmentation in answers
            else math.nan,
            "training_accuracy": float(pretrained.log[-1].get(f"accuracy_{name}", math.nan))
            if pretrained.log
            else math.nan,
        }

    heads = list(pretrained.heads)
    parts = list(zip(pretrained.task.components, heads, strict=True)) if heads else []
    tasks = tuple(
        TaskScores(task=part.name, num_labels=part.num_labels, **scores(index, part.name))
        for index, (part, _) in enumerate(parts)
    )
    head = pretrained.class_information
    if head is None or not _are_learned(pretrained, test):
        return tasks, None
    return tasks, ClassScores(weight=head.weight, num_classes=head.num_classes, **scores(len(parts), "class"))


def _answers(
    pretrained: Pretrained, subject: Subject, test: Source, setting: str, seed: int, world: World
) -> list[tuple[Tensor, Tensor]]:
    """Logits and labels of every head, the class head last, on images under an augmentation."""
    task, augment = pretrained.task, create_augmentation(setting)
    class_information = pretrained.class_information
    heads = [*pretrained.heads, *([] if class_information is None else [class_information.eval()])]
    repeats = task.num_labels if task.num_labels <= ALL_LABELS and len(task.components) == 1 else 1

    @torch.no_grad()
    def answered(position: tuple[int, int]) -> tuple[list[Tensor], Tensor]:
        batch, repeat = position
        images = test.pixels(slice(batch * BATCH, (batch + 1) * BATCH))
        drawn = task.sample(len(images), generator_for(seed, Purpose.LABELS, batch, repeat))
        labels = torch.full_like(drawn, repeat) if repeats > 1 else drawn
        images = augment(images, generator_for(seed, Purpose.AUGMENTATION, batch, repeat))
        images = task.apply(images, labels, generator_for(seed, Purpose.NUISANCE, batch, repeat))
        features = features_of(subject, images)
        return [head(features).double().cpu() for head in heads], labels.reshape(len(labels), -1)

    batches = range(math.ceil(len(test) / BATCH))
    answers = world.spread(answered, [(batch, repeat) for repeat in range(repeats) for batch in batches])
    has_tasks = len(heads) > (class_information is not None)
    asked = torch.cat([labels for _, labels in answers]).unbind(1) if has_tasks else ()
    targets = [*asked, *([] if class_information is None else [_repeated(test, repeats)])]
    logits = [torch.cat(parts) for parts in zip(*(of_heads for of_heads, _ in answers), strict=True)]
    return list(zip(logits, targets, strict=True))


def _repeated(test: Source, repeats: int) -> Tensor:
    """The classes of all images, once a label that they are asked with."""
    return test.labels.long().repeat(repeats)


def _are_learned(pretrained: Pretrained, test: Source) -> bool:
    """Whether a class head's classes are those of the images: by name if the run says, else by their number."""
    head, data = pretrained.class_information, pretrained.provenance.get("data", {})
    if head is None or len(test.classes) != head.num_classes:
        return False
    return list(data.get("classes", test.classes)) == list(test.classes)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float(predicted(logits, labels).double().mean())
