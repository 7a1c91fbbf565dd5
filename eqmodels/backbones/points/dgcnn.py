"""DGCNN, the control that looks at neighbours, anew in every layer by how alike their features are."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.points.pointnet import PointLayer
from eqmodels.backbones.points.vector_network import check_depth
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count
from eqmodels.fields import Regular
from eqmodels.layers.space import Cloud, gathered
from eqmodels.layers.space.neighbours import nearest

__all__ = ["DGCNN", "EdgeConv"]


class EdgeConv(nn.Module):
    """The largest of what a perceptron makes of each point and its difference to each of its neighbours.

    Args:
        inputs: features of a point.
        outputs: features that come out.
        neighbours: of a point, at most, by the distance of their features.
    """

    def __init__(self, inputs: int, outputs: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.edge = PointLayer(2 * inputs, outputs)

    def forward(self, features: Float[Tensor, "B N C"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B N C2"]:
        """New features of every point, which is its own neighbour."""
        index, distances = nearest(features, self.neighbours, mask)
        there = torch.cat([features[:, :, None], gathered(features, index)], 2)
        itself = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)[..., None]
        is_there = torch.cat([itself, distances.isfinite()], 2)
        here = features[:, :, None].expand_as(there)
        counted = None if mask is None else is_there & mask[..., None]
        edges: Tensor = self.edge(torch.cat([here, there - here], 3), counted)
        return edges.masked_fill(~is_there[..., None], -torch.inf).amax(2)


@register_backbone("dgcnn", groups=False)
class DGCNN(PointBackbone):
    """Four edge convolutions, what they found side by side, and a layer of every point: the standard control.

    Args:
        width: features of the first two edge convolutions; the later ones have 2 and 4 times as many, and a point in
            the end 8 times. The default has as many parameters as ``so3_vectors_small``, to 10%.
        neighbours: of a point, at most.
        normalise: whether positions are divided by the root of their mean square, so that units do not matter.
        in_chans: numbers of each point: 3 coordinates, and then its features.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        global_pool: ``"max"`` or ``"avg"``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a count is too small or too large, or the pooling unknown.

    Source: Wang et al. 2019, *Dynamic Graph CNN for Learning on Point Clouds*, arXiv 1801.07829.
    """

    def __init__(
        self,
        *,
        width: int = 20,
        neighbours: int = 16,
        normalise: bool = True,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: Literal["max", "avg"] = "max",
    ) -> None:
        super().__init__(None, in_chans, num_classes, normalise=normalise)
        check_depth(1, neighbours)
        sizes = [in_chans, *(check_count("width", width) * factor for factor in (1, 1, 2, 4))]
        self.layers = nn.ModuleList(EdgeConv(a, b, neighbours) for a, b in pairwise(sizes))
        self.last = PointLayer(sum(sizes[1:]), 8 * width)
        self.channels = 8 * width
        self.finish(global_pool)

    @property
    def map_field(self) -> Regular:
        """Channels of which nothing is known."""
        return Regular("c1", self.channels)

    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Features of every point."""
        features = cloud.beside(cloud.positions)
        found = []
        for layer in self.layers:
            features = layer(features, cloud.mask)
            found.append(features)
        maps: Tensor = self.last(torch.cat(found, 2), cloud.mask)
        return maps.transpose(1, 2)
