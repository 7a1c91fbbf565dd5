"""The encoder as objectives call it: from pixels to features, with the normalisation that belongs to it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.data import clouds_of
from eqmodels.transforms import Preprocessing

__all__ = ["Network"]


class Network(nn.Module):
    """A backbone that takes *pixels in [0, 1]* and normalises them itself; of clouds, what sources give of these.

    So an objective hands the same images to the network that learns and to a teacher of another normalisation, and
    calls either as often as it likes.

    Args:
        backbone: the encoder that is pretrained.
        preprocessing: the normalisation of its images.
        memory_format: of the normalised images. Clouds are not normalised: encoders of points do it.

    Raises:
        TypeError: if an argument is of another type.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        backbone: Backbone | PointBackbone,
        preprocessing: Preprocessing,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        check_arguments(Network, locals())
        super().__init__()
        # Objectives of images ask for what a `Backbone` has alone; those of points for what both have.
        self.backbone = cast("Backbone", backbone)
        self.memory_format = memory_format
        for name in ("mean", "deviation"):
            values = torch.tensor(getattr(preprocessing, name))[:, None, None]
            # What it is made of is saved with the weights already.
            self.register_buffer(name, values, persistent=False)

    def normalised(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, " B *shape"]:
        """``(x - mean) / deviation``, channel by channel; of clouds, their points ``(B, N, C)``."""
        if self.backbone.takes == "points":
            return clouds_of(pixels)
        return ((pixels - self.mean) / self.deviation).contiguous(memory_format=self.memory_format)

    def forward_features(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The last feature map, of the backbone's `map_field`."""
        return self.backbone.forward_features(self.normalised(pixels))

    def regular_features(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The mean of the last map over space: vectors of the backbone's `map_field`."""
        return self.backbone.regular_features(self.normalised(pixels))

    def forward(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Regular features, as `regular_features`."""
        return self.regular_features(pixels)
