"""Any network of points made invariant by the principal axes of the cloud: the control for frames that are learned.

Source: Puny et al. 2022, *Frame Averaging for Invariant and Equivariant Network Design*, arXiv 2110.03336.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.fields import Scalars
from eqmodels.groups import SpaceGroup
from eqmodels.layers.scripting import NotScriptable
from eqmodels.layers.space import centred, check_clouds

__all__ = ["FrameAveraged"]


class FrameAveraged(NotScriptable):
    """The mean of a network's features over a cloud turned into its principal axes, with every sign these may have.

    Four passes for SO(3), eight for O(3). Exactly invariant where the three principal variances differ; where two are
    equal, as of what has an axis of rotation, the axes are arbitrary, and so are the features: nothing learned decides.

    Args:
        network: from clouds to feature vectors.
        group: SO(3) or O(3), or its name.

    Raises:
        TypeError: if the network is none of points.
        ValueError: if the group is none of space.
    """

    preprocessing = None

    def __init__(self, network: PointBackbone, group: SpaceGroup | str = "so3") -> None:
        super().__init__()
        check_arguments(FrameAveraged, {"network": network})
        self.network, self.group, self.in_chans = network, SpaceGroup.parse(group), network.in_chans

    @property
    def out_field(self) -> Scalars:
        """Features that no turn changes."""
        return Scalars(self.network.num_classes or self.network.head_hidden_size)

    def forward(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B F2"]:
        """The mean features, or class scores.

        Args:
            points: as the network takes them.
            features: of each point, that do not turn.
            mask: True for the points that are there; None for all.

        Raises:
            TypeError: if one is no dense tensor, or of another type than the network.
            ValueError: if a shape is another, a cloud has no point, or a number is not finite.
        """
        cloud = check_clouds(points, features, mask, self.in_chans)
        positions = centred(cloud.positions, mask)
        axes = torch.linalg.eigh(positions.transpose(1, 2) @ positions)[1]
        answers = [self.network(positions @ (axes * sign), cloud.features, mask) for sign in self._signs(axes)]
        return torch.stack(answers).mean(0)

    def _signs(self, axes: Float[Tensor, "B 3 3"]) -> list[Tensor]:
        """The signs that the axes may have: all of them, or those that make a rotation."""
        every = axes.new_tensor(list(product((1.0, -1.0), repeat=3)))
        if self.group.reflections:
            return [signs[None, None] for signs in every]
        handed = torch.linalg.det(axes).sign()[:, None, None]
        # Of axes that reflect, the first is reversed: then each of the four products of signs makes a rotation.
        first = torch.cat([handed, torch.ones_like(handed), torch.ones_like(handed)], 2)
        return [signs[None, None] * first for signs in every if signs.prod() > 0]
