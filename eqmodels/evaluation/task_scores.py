"""How well a head predicts what was done to the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eqmodels.data import LabelledImages
from eqmodels.training import Run
from eqmodels.training.model import components
from eqmodels.training.randomness import Purpose, generator_for
from eqmodels.transforms import create_augmentation

__all__ = ["TaskScores", "task_scores"]

ALL_LABELS = 8
"""Tasks of at most so many labels are asked with every label of every image, others with one random label an image."""


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


@torch.no_grad()
def task_scores(run: Run, test: LabelledImages, seed: int = 0) -> tuple[TaskScores, ...]:
    """Accuracy and loss of every head of a run on held-out images.

    Args:
        run: the network and its task.
        test: held-out images, with the channels that the network takes.
        seed: of labels and augmentation.
    """
    parts, task = components(run.task), run.task
    device = next(run.model.parameters()).device
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
                images = run.preprocessing.normalise(images.to(device)).contiguous(memory_format=torch.channels_last)
                for collected, logits in zip(logits_of, run.model(images), strict=True):
                    collected.append(logits.double().cpu())
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
