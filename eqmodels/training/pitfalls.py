"""Runs that would train to their end and not learn what they are asked: refused before they start."""

from __future__ import annotations

from torch import nn

from eqmodels.data import Source, has_colour
from eqmodels.layers import FieldLayerNorm2d
from eqmodels.tasks import Grayscale, Task, create_task, indistinct_labels
from eqmodels.transforms import (
    Augmentation,
    AugmentationName,
    Compose,
    RandomGrayscale,
    RandomHorizontalFlip,
    create_augmentation,
)

__all__ = ["check_augmentation", "check_colours", "check_norms"]


def check_augmentation(augment: AugmentationName, task_name: str) -> None:
    """Refuses an augmentation after which nobody can tell what the task did.

    A left-right flip before the task is one more factor of what moved the image, and is nobody's label: two labels must
    not become each other by it.

    Raises:
        ValueError: if the labels are hidden, or the task is unknown.
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


def check_norms(name: str, model: nn.Module) -> None:
    """Refuses layer normalisation over the fibre of a single field.

    Where the image is flat, the channels of one field are equal, because the network is equivariant: what layer
    normalisation divides by is then ``sqrt(eps)``, and it multiplies rounding, and gradients, by 1000 from layer to
    layer. Measured on Fashion-MNIST with ``c4_resnet18s_w4``: a first gradient of norm 2e13 in bfloat16, and features
    in float32 that turn with the image only to 10%; no ``eps`` up to 1e-3 mends it, and two fields are exact to 5e-7.

    Raises:
        ValueError: if there is such a layer.
    """
    narrow = [module for module in model.modules() if isinstance(module, FieldLayerNorm2d) and module.fields == 1]
    if narrow:
        raise ValueError(
            f"norm='layer' needs at least 2 fields of {narrow[0].group} at every layer, as it blows rounding up where "
            f"an image is flat and the channels of a single field are equal; model={name!r} has a layer of 1 field. "
            "Use a name of twice the width (_w<width>), or norm='batch'."
        )


def _parts(augmentation: Augmentation) -> list[Augmentation]:
    """The augmentations that one is made of."""
    if not isinstance(augmentation, Compose):
        return [augmentation]
    return [part for whole in augmentation.parts for part in _parts(whole)]
