"""PointNet, the control that looks at every point by itself and takes the largest of each feature."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count
from eqmodels.fields import Regular
from eqmodels.layers.space import Cloud

__all__ = ["PointLayer", "PointNet"]


class PointLayer(nn.Module):
    """A linear map of every point, a batch norm and a ReLU.

    Points that are masked out are none of the batch: the statistics are of those that are there, and the output of the
    others is zero in training, anything afterwards.

    Args:
        inputs: features of a point.
        outputs: features that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)

    def forward(self, features: Float[Tensor, "*shape C"], there: Bool[Tensor, "*shape"] | None) -> Tensor:
        """New features ``(*shape, outputs)`` of every point, or of every pair of points.

        Raises:
            ValueError: in training, if there is one point.
        """
        if there is None or not self.training:
            found = self._normalised(self.linear(features).flatten(0, -2))
            return found.view(*features.shape[:-1], found.shape[-1])
        known = self._normalised(self.linear(features[there]))
        return known.new_zeros(*there.shape, known.shape[-1]).masked_scatter(there[..., None], known)

    def _normalised(self, values: Float[Tensor, "P C"]) -> Float[Tensor, "P C"]:
        if self.training and len(values) == 1:
            raise ValueError(
                "a batch norm needs more than one point in training; got one. Train on more, or call encoder.eval()."
            )
        found: Tensor = self.norm(values).relu()
        return found


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
        self.layers = nn.ModuleList(PointLayer(a, b) for a, b in pairwise(sizes))
        self.channels = sizes[-1]
        self.finish(global_pool)

    @property
    def map_field(self) -> Regular:
        """Channels of which nothing is known."""
        return Regular("c1", self.channels)

    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Features of every point."""
        maps = cloud.beside(cloud.positions)
        for layer in self.layers:
            maps = layer(maps, cloud.mask)
        return maps.transpose(1, 2)
