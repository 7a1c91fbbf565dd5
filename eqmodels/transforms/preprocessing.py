"""What happens to images before a pretrained network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torchvision.transforms import v2

from eqmodels._shapes import Float

__all__ = ["Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation and size of the images that a network was trained on.

    Attributes:
        mean: of each channel over the training images, of pixels in [0, 1].
        deviation: standard deviation of each channel.
        size: height and width of the training images.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int]

    def normalise(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """``(x - mean) / deviation``, channel by channel, of pixels in [0, 1]."""
        mean, deviation = (
            torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images - mean) / deviation

    def with_channels(self, channels: int) -> Preprocessing:
        """The same for images of another number of channels: each gets the average of the old ones."""
        if channels == len(self.mean):
            return self
        return Preprocessing((fmean(self.mean),) * channels, (fmean(self.deviation),) * channels, self.size)

    def transform(self) -> v2.Compose:
        """The whole way from a PIL image, or integer pixels ``(..., C, H, W)``, to the network's input, float32.

        To one channel or three if the network takes as many, resized to `size` (bilinear, antialiased), to [0, 1],
        normalised.
        """
        channels: list[v2.Transform] = [v2.Grayscale()] if len(self.mean) == 1 else []
        if len(self.mean) == 3:
            channels = [v2.RGB()]
        return v2.Compose(
            [
                v2.ToImage(),
                *channels,
                v2.Resize(self.size, antialias=True),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.mean, self.deviation),
                v2.ToPureTensor(),
            ]
        )
