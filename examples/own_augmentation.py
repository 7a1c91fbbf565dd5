"""Your own augmentation: images are made brighter or darker by a random power of their values.

eqmodels pretrain --import examples/own_augmentation.py --augment gamma
"""

from __future__ import annotations

from torch import Tensor

from eqmodels.transforms import Augmentation, Compose, RandomCrop, register_augmentation


class RandomGamma(Augmentation):
    """``x ** gamma``, with a gamma between a half and two that is drawn for every image, uniform in its logarithm."""

    numbers = 1

    def apply(self, images: Tensor, uniforms: Tensor) -> Tensor:
        """The images to their powers."""
        return images ** (2.0 ** (2 * uniforms - 1)).to(images)[:, :, None, None]


@register_augmentation("gamma")
def gamma() -> Augmentation:
    """A random shift by up to 4 pixels, and a random gamma."""
    return Compose(RandomCrop(4), RandomGamma())
