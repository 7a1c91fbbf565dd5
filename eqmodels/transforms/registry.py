"""Where augmentations are registered, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from eqmodels.arguments import check_arguments
from eqmodels.registry import Registry
from eqmodels.transforms.augmentation import Augmentation

__all__ = ["AUGMENTATIONS", "create_augmentation", "register_augmentation"]

_A = TypeVar("_A", bound=Callable[..., Augmentation])

AUGMENTATIONS: Registry[Callable[..., Augmentation]] = Registry("augmentation", option="augment")
"""Classes and functions that make augmentations, by name."""


def register_augmentation(*names: str) -> Callable[[_A], _A]:
    """Registers a class or a function that makes an augmentation, as a decorator that gives it back unchanged.

    It is called without arguments.

    Args:
        *names: lower-case words.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is none, or something else has it.
    """
    check_arguments(register_augmentation, locals())
    return AUGMENTATIONS.register(*names)


def create_augmentation(name: str) -> Augmentation:
    """The augmentation that comes before the task.

    * ``"none"``: the images as they are;
    * ``"crop_flip"``: a random shift by up to 4 pixels, and a left-right flip of every other image;
    * ``"simclr"``: a random crop of 20 to 100% of the area, resized; a left-right flip of every other image; jittered
      colours (0.4, 0.4, 0.4, 0.1) in 80% and grey ones in 20% of the images;
    * and whatever else is registered.

    A left-right flip before the task leaves nothing to learn of the task ``horizontal_flip``.

    Raises:
        ValueError: if the name is unknown; gives the nearest ones.
    """
    return AUGMENTATIONS.find(name)()
