"""How well heads predict: what was done to the image, and its class if there is a head for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels.data import Source
from eqmodels.objectives import prediction_loss
from eqmodels.training import Run
from eqmodels.training.pretraining import predicted
from eqmodels.training.randomness import Purpose, generator_for
from eqmodels.transforms import create_augmentation

__all__ = ["ClassScores", "TaskScores", "head_scores", "task_scores"]

ALL_LABELS = 8
"""Tasks of at most so many labels are asked with every label of every image, others with one random label an image."""


@dataclass(frozen=True)
class TaskScores:
    """How well a head predicts what was done to the image.

    Attributes:
        task: which task.
        num_labels: of the task.
        accuracy: on held-out images without augmentation, from 0 to 1; a tie of the label's logit with another is none.
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
class ClassScores:
    """How well the class head of a run predicts the class, see `class_information_loss`.

    The images are those of `TaskScores`, transformed by the task as they are where the head learns. Below a weight of 0
    the features hide from this very head; what they know of the class is what a fresh probe finds (`FeatureScores`).

    Attributes:
        weight: the dose of the head's gradient that the backbone was trained with.
        num_classes: of the head.
        accuracy: on held-out images without augmentation, from 0 to 1.
        loss: cross-entropy there, in nats; the entropy of the classes minus it is a lower bound of ``I(C; Z)``.
        augmented_accuracy: on held-out images with the augmentation of the training.
        training_accuracy: on the training images in the last epoch, with augmentation.
    """

    weight: float
    num_classes: int
    accuracy: float
    loss: float
    augmented_accuracy: float
    training_accuracy: float


def task_scores(run: Run, test: Source, seed: int = 0) -> tuple[TaskScores, ...]:
    """Accuracy and loss of the head of every task on held-out images, see `head_scores`."""
    return head_scores(run, test, seed)[0]


@torch.no_grad()
def head_scores(run: Run, test: Source, seed: int = 0) -> tuple[tuple[TaskScores, ...], ClassScores | None]:
    """Accuracy and loss of every head of a run on held-out images: of the tasks, and of the class.

    The latter are None if there is no class head, or if the images are of other classes than those it learned.

    Args:
        run: the network and its task.
        test: held-out images, with the channels that the network takes.
        seed: of labels and augmentation.
    """
    parts, task = run.task.components, run.task
    device = next(run.model.parameters()).device
    repeats = task.num_labels if task.num_labels <= ALL_LABELS and len(parts) == 1 else 1
    results: dict[str, list[list[Tensor]]] = {}
    # Twice the same of a run without augmentation, so once.
    for setting in dict.fromkeys(("none", run.config.augment)):
        augment = create_augmentation(setting)
        logits_of: list[list[Tensor]] = [[] for _ in range(len(parts) + (run.model.class_information is not None))]
        labels_of: list[Tensor] = []
        for repeat in range(repeats):
            for batch, start in enumerate(range(0, len(test), 500)):
                images = test.pixels(slice(start, start + 500))
                position = (batch, repeat)
                drawn = task.sample(len(images), generator_for(seed, Purpose.LABELS, *position))
                labels = torch.full_like(drawn, repeat) if repeats > 1 else drawn
                images = augment(images, generator_for(seed, Purpose.AUGMENTATION, *position))
                images = task.apply(images, labels, generator_for(seed, Purpose.NUISANCE, *position))
                images = run.preprocessing.normalise(images.to(device)).contiguous(memory_format=torch.channels_last)
                for collected, logits in zip(logits_of, run.model(images), strict=True):
                    collected.append(logits.double().cpu())
                labels_of.append(labels.reshape(len(labels), -1))
        results[setting] = [[torch.cat(logits) for logits in logits_of], list(torch.cat(labels_of).unbind(1))]
        results[setting][1].append(test.labels.long().repeat(repeats))

    def scores(index: int, name: str) -> dict[str, float]:
        return {
            "accuracy": _accuracy(results["none"], index),
            "loss": float(prediction_loss(results["none"][0][index], results["none"][1][index])),
            "augmented_accuracy": _accuracy(results[run.config.augment], index),
            "training_accuracy": float(run.log[-1].get(f"accuracy_{name}", math.nan)) if run.log else math.nan,
        }

    tasks = tuple(
        TaskScores(task=part.name, num_labels=part.num_labels, **scores(index, part.name))
        for index, part in enumerate(parts)
    )
    head = run.model.class_information
    if head is None or not _are_learned(run, test):
        return tasks, None
    return tasks, ClassScores(weight=head.weight, num_classes=head.num_classes, **scores(len(parts), "class"))


def _are_learned(run: Run, test: Source) -> bool:
    """Whether a class head's classes are those of the images: by name if the run says, else by their number."""
    head, data = run.model.class_information, run.provenance.get("data", {})
    if head is None or len(test.classes) != head.num_classes:
        return False
    return list(data.get("classes", test.classes)) == list(test.classes)


def _accuracy(result: list[list[Tensor]], index: int) -> float:
    logits, labels = result
    return float(predicted(logits[index], labels[index]).double().mean())
