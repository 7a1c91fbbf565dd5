"""Predictions that would train to their end and not learn what they are asked: refused before they start."""

from __future__ import annotations

from eqmodels.data import Source, has_colour
from eqmodels.tasks import Grayscale, Task, create_task, indistinct_labels
from eqmodels.transforms import Augmentation, Compose, RandomGrayscale, RandomHorizontalFlip, create_augmentation

__all__ = ["check_augmentation", "check_classes", "check_colours"]


def check_augmentation(augment: str, task_name: str) -> None:
    """Refuses an augmentation after which nobody can tell what the task did.

    A left-right flip before the task is one more factor of what moved the image, and is nobody's label: two labels must
    not become each other by it.

    Raises:
        ValueError: if the labels are hidden, or the task or the augmentation is unknown.
    """
    parts, task = _parts(create_augmentation(augment)), create_task(task_name)
    tasks = task.components
    flips = any(isinstance(part, RandomHorizontalFlip) for part in parts)
    if flips and (pair := indistinct_labels(tasks, flipped=True)) is not None:
        first, second = (" and ".join(map(str, labels)) for labels in pair)
        raise ValueError(
            f"augment={augment!r} flips every other image before the task, so that nobody can tell the labels {first} "
            f"of task={task_name!r} from {second}. Pass augment='none', or leave a flip out of the task."
        )
    if any(isinstance(part, RandomGrayscale) for part in parts) and any(isinstance(one, Grayscale) for one in tasks):
        raise ValueError(
            f"augment={augment!r} makes images grey before the task, so that nobody can tell what task={task_name!r} "
            "made grey. Pass augment='none' or augment='crop_flip'."
        )


def check_colours(task: Task, data: Source) -> None:
    """Refuses to ask whether the colour was taken out of images that have none.

    Raises:
        ValueError: if no image has a colour, and a task is about it.
    """
    if any(isinstance(one, Grayscale) for one in task.components) and not has_colour(data):
        raise ValueError(
            f"task={task.name!r} asks whether the colour was taken out of the image, and no image of {data.name} has "
            "any. Pass coloured=True (--coloured), or choose another task."
        )


def check_classes(weight: float, data: Source) -> None:
    """Refuses a class head for images of a single class, which holds no information.

    Args:
        weight: of the class head, for the sentence.
        data: the training images.

    Raises:
        ValueError: if the images are of fewer than two classes.
    """
    present = data.labels[data.labels >= 0].unique().tolist()
    if len(present) < 2:
        found = f"are all of {data.classes[present[0]]!r}" if present else "are of none"
        raise ValueError(
            f"class_weight={weight:g} needs training images labelled with at least two classes; those of {data.name} "
            f"{found}. Use labelled images, such as a folder with one folder of images a class, or class_weight=None."
        )


def _parts(augmentation: Augmentation) -> list[Augmentation]:
    """The augmentations that one is made of."""
    if not isinstance(augmentation, Compose):
        return [augmentation]
    return [part for whole in augmentation.parts for part in _parts(whole)]
