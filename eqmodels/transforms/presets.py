"""The augmentations of the paper by name."""

from __future__ import annotations

from typing import Literal, get_args

from eqmodels.transforms.augmentation import Augmentation, Compose, NoAugmentation
from eqmodels.transforms.colour import ColourJitter, RandomGrayscale
from eqmodels.transforms.crop import RandomCrop, RandomHorizontalFlip, RandomResizedCrop

__all__ = ["AugmentationName", "create_augmentation"]

AugmentationName = Literal["none", "crop_flip", "simclr"]


def create_augmentation(name: AugmentationName) -> Augmentation:
    """The augmentation that comes before the task.

    * ``"none"``: the images as they are;
    * ``"crop_flip"``: a random shift by up to 4 pixels, and a left-right flip of every other image;
    * ``"simclr"``: a random crop of 20 to 100% of the area, resized; a left-right flip of every other image; jittered
      colours (0.4, 0.4, 0.4, 0.1) in 80% and grey ones in 20% of the images.

    A left-right flip before the task leaves nothing to learn of the task ``horizontal_flip``.

    Raises:
        ValueError: if the name is unknown.

    Source: Wang et al. 2024, arXiv 2411.06508, with the padding that its public code forgets; Chen et al. 2020, arXiv
    2002.05709.
    """
    if name == "none":
        return NoAugmentation()
    if name == "crop_flip":
        return Compose(RandomCrop(4), RandomHorizontalFlip())
    if name == "simclr":
        return Compose(
            RandomResizedCrop((0.2, 1.0)), RandomHorizontalFlip(), ColourJitter(0.4, 0.4, 0.4, 0.1), RandomGrayscale()
        )
    raise ValueError(f"augment must be one of {', '.join(get_args(AugmentationName))}; got {name!r}. Use 'simclr'.")
