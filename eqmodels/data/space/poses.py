"""Clouds in random poses: turned about the vertical axis or in all of space, each by its own rotation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.source import Source, numbers_of, takes_of
from eqmodels.data.view import View
from eqmodels.errors import shown
from eqmodels.groups import axis_angle_matrix, random_rotations

__all__ = ["Poses", "in_random_poses"]

Axes = Literal["z", "so3"]
"""Which rotations are drawn."""


@dataclass(frozen=True, eq=False)
class Poses(View):
    """Clouds of a source, each turned about the middle of the unit cube by a rotation of its own.

    Args:
        source: of the clouds.
        axes: ``"z"`` or ``"so3"``.
        seed: of the rotations.
    """

    axes: str
    seed: int

    @property
    def aligned(self) -> bool:
        """Whether the clouds stand alike: they do not any more."""
        return False

    @cached_property
    def rotations(self) -> Float[Tensor, "N 3 3"]:
        """The rotation of every cloud, float32."""
        generator = torch.Generator().manual_seed(self.seed)
        if self.axes == "so3":
            return random_rotations(len(self.source), generator, dtype=torch.float32)
        angles = 360 * torch.rand(len(self.source), generator=generator, dtype=torch.float64)
        up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        return torch.stack([axis_angle_matrix(up, float(angle)) for angle in angles]).float()

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The turned clouds of such numbers, or of a slice, as `LabelledClouds` has them."""
        numbers = numbers_of(indices, len(self.source))
        found = self.source.pixels(numbers)[..., 0]
        turned = (self.rotations[numbers] @ (found[:, :3] - 0.5) + 0.5).clamp(0, 1)
        return torch.cat([turned, found[:, 3:]], 1)[..., None]  # what is behind coordinates does not turn


def in_random_poses(source: Source, axes: str = "so3", *, seed: int = 0) -> Poses:
    """The clouds of a source in random poses: the same ones however often they are asked for.

    The usual protocols are named by the poses of training and of test clouds: z/z, z/SO3 and SO3/SO3.

    Args:
        source: of clouds.
        axes: ``"so3"`` for all rotations of space, by Haar's measure, or ``"z"`` for those about the vertical axis.
        seed: of the rotations, one a cloud.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the source is none of clouds, or the axes or the seed break their rule.
    """
    check_arguments(in_random_poses, {"source": source, "axes": axes, "seed": seed})
    if axes not in get_args(Axes):
        raise ValueError(f"axes must be 'so3' or 'z'; got {shown(axes)}. Use 'so3'.")
    if takes_of(source) != "points":
        raise ValueError(
            f"poses are of clouds of points; got {source.name}, which has images. Use data such as kicad_parts_mini."
        )
    return Poses(source, axes, check_count("seed", seed, 0, bits=64))
