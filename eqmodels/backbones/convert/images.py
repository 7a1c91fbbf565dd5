"""What images of ImageNet went through before the networks that others trained on them."""

from __future__ import annotations

from statistics import fmean

from torchvision.models import ResNet18_Weights

from eqmodels.transforms import Preprocessing

__all__ = ["imagenet_classes", "imagenet_preprocessing"]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the channels of ImageNet's pictures, as everybody has them."""


def imagenet_preprocessing(channels: int, side: int) -> Preprocessing:
    """That of torchvision's recipe: seven eighths of the largest square in the middle, 224 pixels of 256.

    Args:
        channels: of the images; three have ImageNet's statistics, others their mean.
        side: of the square in pixels.
    """
    own = channels == len(MEAN)
    mean = MEAN if own else (fmean(MEAN),) * channels
    deviation = DEVIATION if own else (fmean(DEVIATION),) * channels
    return Preprocessing(mean, deviation, (side, side), "crop_7_8")


def imagenet_classes(count: int) -> tuple[str, ...]:
    """The names of the classes of ImageNet, in the order of their folders, of a classifier of so many; else none."""
    names = tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return names if count == len(names) else ()
