"""PointNet, the control that looks at every point by itself and takes the largest of each feature."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count
from eqmodels.fields import Regular
from eqmodels.layers.space import Cloud

__all__ = ["PointNet", "point_layer"]


def point_layer(inputs: int, outputs: int) -> nn.Sequential:
    """A linear map of every point, a layer norm and a ReLU.

    Layer norms stand where the original has batch norms: padded points and batches of one change nothing.
    """
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU(inplace=True))


@register_backbone("pointnet", groups=False)
class PointNet(PointBackbone):
    """A perceptron of every point, and the maximum over the points: the standard control, without its T-Nets.

    Args:
        width: features of the first two layers; the later ones have 2 and 8 times as many. The default has as many
            parameters as ``so3_vectors_small``, to 10%.
        normalise: whether positions are divided by the root of their mean square, so that units do not matter.
        in_chans: numbers of each point: 3 coordinates, and then its features.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        global_pool: ``"max"`` or ``"avg"``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a count is too small, or the pooling unknown.

    Source: Qi et al. 2017, *PointNet*, arXiv 1612.00593.
    """

    def __init__(
        self,
        *,
        width: int = 41,
        normalise: bool = True,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: Literal["max", "avg"] = "max",
    ) -> None:
        super().__init__(None, in_chans, num_classes, normalise=normalise)
        sizes = [in_chans, *(check_count("width", width) * factor for factor in (1, 1, 1, 2, 8))]
        self.layers = nn.Sequential(*(point_layer(a, b) for a, b in pairwise(sizes)))
        self.channels = sizes[-1]
        self.finish(global_pool)

    @property
    def map_field(self) -> Regular:
        """Channels of which nothing is known."""
        return Regular("c1", self.channels)

    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Features of every point."""
        maps: Tensor = self.layers(cloud.beside(cloud.positions))
        return maps.transpose(1, 2)
