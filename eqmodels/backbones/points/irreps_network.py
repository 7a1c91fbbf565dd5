"""The encoder of irreps up to degree 2: scalars, vectors and symmetric tensors, in the basis of e3nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.points.vector_network import check_depth
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Irreps, IrrepsPart
from eqmodels.fields.irreps import safe_norm
from eqmodels.groups import SpaceGroup
from eqmodels.groups.wigner import o3_of_e3nn
from eqmodels.layers.space import Cloud, PointPoolMode, neighbours_of
from eqmodels.layers.space.irreps_layers import IrrepsLayer, IrrepsNorm, harmonics_of

__all__ = ["IrrepsNetwork"]

SIZES = {"points_small": (32, 3), "points_base": (64, 4)}
"""Scalars of a point and layers, by architecture."""

DEGREE = 2
"""The largest, of features and of harmonics."""


@register_backbone(*SIZES, groups=("so3", "o3"))
class IrrepsNetwork(PointBackbone):
    """A tensor field network on nearest neighbours: irreps up to degree 2, exactly equivariant. Needs e3nn.

    ``so3_points_small`` tells left from right; its twin ``o3_points_small`` turns with reflections too, with the parity
    of polynomials: scalars and tensors stay under the inversion, vectors change sign.

    Args:
        group: SO(3) or O(3), or its name.
        architecture: ``"points_small"`` or ``"points_base"``.
        width: scalars of a point; there are half as many vectors and a quarter as many tensors. None for 32 or 64.
        neighbours: of a point, at most.
        convolution: what computes the convolution.
        normalise: whether positions are divided by the root of their mean square, so that units do not matter.
        in_chans: numbers of each point: 3 coordinates, and then its features.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        global_pool: how features are pooled, see `PointPool`.
        pose_hidden: of canonical features, width of the hidden layer of what predicts the frame.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the group is none of space, a count is too small or too large, or a word unknown.
        ModuleNotFoundError: if e3nn is not installed.

    Source: Thomas et al. 2018, arXiv 1802.08219; Batzner et al. 2022, arXiv 2101.03164.
    """

    def __init__(
        self,
        group: SpaceGroup | str = "so3",
        *,
        architecture: str = "points_small",
        width: int | None = None,
        neighbours: int = 16,
        convolution: str = "node",
        normalise: bool = True,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: PointPoolMode = "invariant",
        pose_hidden: int = 64,
    ) -> None:
        super().__init__(SpaceGroup.parse(group), in_chans, num_classes, normalise=normalise)
        if not is_one_of(architecture, SIZES):
            raise ValueError(
                f"architecture must be one of {', '.join(SIZES)}; got {shown(architecture)}. Use 'points_small'."
            )
        o3_of_e3nn(f"{self.group.name}_{architecture}")
        usual, layers = SIZES[architecture]
        self.width = check_count("width", usual if width is None else width, 4)
        self.structure["width"] = self.width
        check_depth(layers, neighbours)
        self.neighbours = neighbours
        field = self.map_field
        # Positions about the centroid are vectors, and their lengths and the features scalars.
        self.scalar_stem = nn.Linear(in_chans - 2, self.width)
        self.vector_stem = nn.Parameter(torch.randn(field.parts[1].count))
        self.layers = nn.ModuleList(IrrepsLayer(field, DEGREE, convolution) for _ in range(layers))
        self.last_norm = IrrepsNorm(field)
        self.finish(global_pool, pose_hidden)

    @property
    def map_field(self) -> Irreps:
        """Scalars, vectors and tensors; under O(3) with the parities of polynomials."""
        parities = (0, 0, 0) if self.group == SpaceGroup() else (1, -1, 1)
        return Irreps([IrrepsPart(self.width >> degree, degree, parity) for degree, parity in enumerate(parities)])

    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Scalars, vectors and tensors of every point."""
        positions, _, mask = cloud
        lengths = cloud.beside(safe_norm(positions, 2)[..., None])
        neighbours = neighbours_of(positions, self.neighbours, mask)
        harmonics = harmonics_of(neighbours.direction, DEGREE)
        tensors = self.map_field.parts[2]
        # e3nn's vectors are x, y, z, as positions are.
        fields = [
            self.scalar_stem(lengths)[..., None, :],
            positions[..., None] * self.vector_stem,
            positions.new_zeros(*positions.shape[:2], tensors.size, tensors.count),
        ]
        for layer in self.layers:
            fields = layer(fields, harmonics, neighbours, mask)
        # Outside, the components of a field stand together.
        return torch.cat([part.transpose(2, 3).flatten(2) for part in self.last_norm(fields)], 2).transpose(1, 2)
