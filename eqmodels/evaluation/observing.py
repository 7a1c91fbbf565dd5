"""What a network sees of transformed images, as `Observations` for the measures of information."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.data import Source, is_labelled
from eqmodels.evaluation.encoding import Subject, normalised
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.evaluation.scoring_heads import ALL_LABELS
from eqmodels.measures import Observations
from eqmodels.objectives import Purpose, generator_for
from eqmodels.tasks import MultivariateTask, Task

__all__ = ["check_classes", "observe"]

COPIES = 4
"""Of a task with many labels, every image is transformed by so many random ones; else by each of them."""
BATCH = 100


def check_classes(data: Source) -> None:
    """Refuses images with which nobody can tell what their classes add.

    Raises:
        ValueError: if they have no classes, only one, or less than two images of one.
    """
    if not is_labelled(data):
        raise ValueError(
            f"what the class adds is measured on images whose classes are known; {data.name} has none. Sort its images "
            "into one folder a class."
        )
    if len(data.classes) < 2:
        raise ValueError(
            f"what the class adds is measured on at least two classes; all images of {data.name} are of "
            f"{data.classes[0]!r}. Add another class."
        )
    counts = data.labels.bincount(minlength=len(data.classes)).tolist()
    if min(counts) < 2:
        name = data.classes[counts.index(min(counts))]
        raise ValueError(
            f"what the class adds is measured on at least two held-out images of every class; of the {len(data)} of "
            f"{data.name} {min(counts)} are of {name!r}. Add images, ask for more of them, or leave the class out."
        )


@torch.no_grad()
def observe(
    pretrained: Pretrained,
    data: Source,
    *,
    task: Task | None = None,
    classifier: Pretrained | None = None,
    seed: int = 0,
) -> Observations:
    """Regular features of transformed images, with what was done to them and what they show.

    Args:
        pretrained: the network and its task.
        data: images that it was not trained on, with its channels; not augmented.
        task: what is done to the images; None for the task of the network.
        classifier: a network with a class head, trained on other images transformed by the same task; None for none.
        seed: of labels and of what else is random in the task.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the task is several at once or has one label only, the images do not suit it or their classes
            are unknown or too few, or the classifier has no class head.
    """
    check_arguments(observe, locals())
    task = pretrained.task if task is None else task
    _check(task, classifier)
    check_classes(data)
    subject = Subject.of(pretrained)
    classes = None if classifier is None else _class_logits(classifier)
    repeats = task.num_labels if task.num_labels <= ALL_LABELS else COPIES
    features: list[Tensor] = []
    labels: list[Tensor] = []
    predicted: list[Tensor] = []
    for repeat in range(repeats):
        for batch, start in enumerate(range(0, len(data), BATCH)):
            images = data.pixels(slice(start, start + BATCH))
            drawn = task.sample(len(images), generator_for(seed, Purpose.LABELS, batch, repeat))
            label = torch.full_like(drawn, repeat) if repeats == task.num_labels else drawn
            images = task.apply(images, label, generator_for(seed, Purpose.NUISANCE, batch, repeat))
            features.append(_features(subject, images).float().cpu())
            labels.append(label)
            if classes is not None:
                predicted.append(classes(images).argmax(1).cpu())
    return Observations(
        features=torch.cat(features),
        labels=torch.cat(labels),
        classes=data.labels.repeat(repeats),
        images=torch.arange(len(data)).repeat(repeats),
        num_labels=task.num_labels,
        num_classes=len(data.classes),
        predicted=torch.cat(predicted) if predicted else None,
    )


def _features(subject: Subject, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
    return subject.encode(normalised(images, subject.preprocessing, subject.device))


def _class_logits(classifier: Pretrained) -> Callable[[Tensor], Tensor]:
    """From images in [0, 1] to what the class head says."""
    subject, head = Subject.of(classifier), classifier.class_information
    assert head is not None
    head.eval()
    return lambda images: head(_features(subject, images))


def _check(task: Task, classifier: Pretrained | None) -> None:
    if isinstance(task, MultivariateTask):
        raise ValueError(f"observations are of one task at a time; got {task.name}. Choose one of its parts.")
    if task.num_labels < 2:
        raise ValueError(
            f"a task of one label has nothing to tell; got {task.name}. Choose another task, see list_tasks()."
        )
    if classifier is not None and classifier.class_information is None:
        raise ValueError(
            f"classifier must have a class head; {classifier.name} was pretrained without. Pretrain it with "
            "class_weight=1."
        )
