"""Label-free augmentation of batches, per image random, with the randomness as an argument."""

from eqmodels.transforms.augmentation import Augmentation, Compose, NoAugmentation
from eqmodels.transforms.colour import ColourJitter, RandomGrayscale, adjust_hue
from eqmodels.transforms.crop import RandomCrop, RandomHorizontalFlip, RandomResizedCrop
from eqmodels.transforms.preprocessing import Pixels, Preprocessing
from eqmodels.transforms.presets import AugmentationName, create_augmentation
from eqmodels.transforms.view import ViewParameters

__all__ = [
    "Augmentation",
    "AugmentationName",
    "ColourJitter",
    "Compose",
    "NoAugmentation",
    "Pixels",
    "Preprocessing",
    "RandomCrop",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "ViewParameters",
    "adjust_hue",
    "create_augmentation",
]
