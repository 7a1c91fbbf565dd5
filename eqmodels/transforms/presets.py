"""The augmentations of the paper.

Source: Wang et al. 2024, arXiv 2411.06508, with the padding that its public code forgets; Chen et al. 2020, arXiv
2002.05709.
"""

from __future__ import annotations

from eqmodels.transforms.augmentation import Augmentation, Compose, NoAugmentation
from eqmodels.transforms.colour import ColourJitter, RandomGrayscale
from eqmodels.transforms.crop import RandomCrop, RandomHorizontalFlip, RandomResizedCrop
from eqmodels.transforms.registry import register_augmentation

__all__ = ["crop_flip", "none", "simclr"]


@register_augmentation("none")
def none() -> Augmentation:
    """The images as they are."""
    return NoAugmentation()


@register_augmentation("crop_flip")
def crop_flip() -> Augmentation:
    """A random shift by up to 4 pixels, and a left-right flip of every other image."""
    return Compose(RandomCrop(4), RandomHorizontalFlip())


@register_augmentation("simclr")
def simclr() -> Augmentation:
    """A crop of 20 to 100% of the area, a flip of every other image, jittered colours in 80% and grey ones in 20%."""
    return Compose(
        RandomResizedCrop((0.2, 1.0)), RandomHorizontalFlip(), ColourJitter(0.4, 0.4, 0.4, 0.1), RandomGrayscale()
    )
