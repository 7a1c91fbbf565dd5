"""Label-free augmentation of batches, per image random, with the randomness as an argument."""

from eqmodels.transforms.augmentation import Augmentation, Compose, NoAugmentation
from eqmodels.transforms.colour import ColourJitter, RandomGrayscale, adjust_hue
from eqmodels.transforms.crop import RandomCrop, RandomHorizontalFlip, RandomResizedCrop
from eqmodels.transforms.preprocessing import Pixels, Preprocessing
from eqmodels.transforms.presets import crop_flip, simclr
from eqmodels.transforms.registry import AUGMENTATIONS, create_augmentation, register_augmentation
from eqmodels.transforms.resizing import RESIZING, Resize
from eqmodels.transforms.view import ViewParameters

__all__ = [
    "AUGMENTATIONS",
    "RESIZING",
    "Augmentation",
    "ColourJitter",
    "Compose",
    "NoAugmentation",
    "Pixels",
    "Preprocessing",
    "RandomCrop",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Resize",
    "ViewParameters",
    "adjust_hue",
    "create_augmentation",
    "crop_flip",
    "register_augmentation",
    "simclr",
]
