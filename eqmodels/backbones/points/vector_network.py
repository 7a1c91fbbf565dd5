"""The encoder of scalars and vectors: Cartesian tensors of degree 0 and 1, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count
from eqmodels.fields import Irreps
from eqmodels.fields.irreps import safe_norm
from eqmodels.groups import SpaceGroup
from eqmodels.layers.space import Cloud, PointPoolMode, VectorLayer, neighbours_of

__all__ = ["VectorNetwork", "check_depth"]

MOST_LAYERS, MOST_NEIGHBOURS = 32, 256
"""Of a network that a file may describe."""


def check_depth(layers: int, neighbours: int) -> None:
    """Refuses numbers of layers and of neighbours that no network has.

    Raises:
        TypeError: if one is not an integer.
        ValueError: if there are more than 32 layers or 256 neighbours, or less than one.
    """
    for name, value, most in (("layers", layers, MOST_LAYERS), ("neighbours", neighbours, MOST_NEIGHBOURS)):
        if check_count(name, value) > most:
            raise ValueError(f"{name} must be at most {most}; got {value}. Pass a smaller number.")


@register_backbone("vectors_small", groups=("so3", "o3"))
class VectorNetwork(PointBackbone):
    """Scalars and vectors of every point, exchanged with its nearest neighbours: exactly equivariant, and fast.

    ``so3_vectors_small`` tells left from right; its twin ``o3_vectors_small`` turns with reflections too.

    Args:
        group: SO(3) or O(3), or its name.
        width: scalars of a point; there are half as many vectors.
        layers: number of layers.
        neighbours: of a point, at most.
        normalise: whether positions are divided by the root of their mean square, so that units do not matter.
        in_chans: numbers of each point: 3 coordinates, and then its features.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        global_pool: how features are pooled, see `PointPool`.
        pose_hidden: of canonical features, width of the hidden layer of what predicts the frame.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the group is none of space, a count is too small or too large, or the pooling unknown.

    Source: Schuett et al. 2021, arXiv 2102.03150; Deng et al. 2021, *Vector Neurons*, arXiv 2104.12229.
    """

    def __init__(
        self,
        group: SpaceGroup | str = "so3",
        *,
        width: int = 32,
        layers: int = 3,
        neighbours: int = 16,
        normalise: bool = True,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: PointPoolMode = "invariant",
        pose_hidden: int = 64,
    ) -> None:
        super().__init__(SpaceGroup.parse(group), in_chans, num_classes, normalise=normalise)
        check_depth(layers, neighbours)
        self.width, self.vectors, self.neighbours = check_count("width", width, 2), width // 2, neighbours
        # Positions about the centroid are vectors, and their lengths and the features scalars.
        self.scalar_stem = nn.Linear(in_chans - 2, width)
        self.vector_stem = nn.Parameter(torch.randn(self.vectors))
        chiral = self.group == SpaceGroup()
        self.layers = nn.ModuleList(VectorLayer(width, self.vectors, chiral=chiral) for _ in range(layers))
        self.scalar_norm = nn.LayerNorm(width)
        self.finish(global_pool, pose_hidden)

    @property
    def map_field(self) -> Irreps:
        """Scalars and vectors; under O(3) such as the inversion keeps, and such as it reverses."""
        even, odd = ("e", "o") if self.group != SpaceGroup() else ("", "")
        return Irreps(f"{self.width}x0{even}+{self.vectors}x1{odd}")

    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Scalars and then vectors of every point."""
        positions, _, mask = cloud
        lengths = cloud.beside(safe_norm(positions, 2)[..., None])
        scalars: Tensor = self.scalar_stem(lengths)
        vectors = positions[:, :, None] * self.vector_stem[:, None]
        neighbours = neighbours_of(positions, self.neighbours, mask)
        for layer in self.layers:
            scalars, vectors = layer(scalars, vectors, neighbours, mask)
        return torch.cat([self.scalar_norm(scalars), vectors.flatten(2)], 2).transpose(1, 2)
