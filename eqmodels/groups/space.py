"""The groups SO(3) of all rotations of space and O(3) of all rotations and reflections.

An element is its matrix, an orthogonal one of 3 by 3, that acts on points as columns ``(x, y, z)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.groups.group import Element, Group
from eqmodels.groups.rotations import check_numbers, random_rotations, rotation_angle

__all__ = ["SpaceGroup", "check_orthogonal"]

TOLERANCE = 1e-4
"""How far ``M M^T`` of an element may be from the identity: rounding of float32, and no scale or shear."""


@dataclass(frozen=True)
class SpaceGroup(Group):
    """All rotations of space about the origin, SO(3), or all rotations and reflections, O(3).

    Args:
        reflections: whether the group contains the inversion ``x -> -x``, and so every reflection.

    Raises:
        TypeError: if `reflections` is not a bool.

    Example:
        >>> so3 = SpaceGroup.parse("so3")
        >>> str(so3), so3.contains(SpaceGroup(reflections=True))
        ('SO(3)', False)
        >>> so3.describe(torch.diag(torch.tensor([-1.0, -1.0, 1.0])))
        '180° about (0.00, 0.00, 1.00)'
    """

    reflections: bool = False

    def __post_init__(self) -> None:
        check_arguments(SpaceGroup, vars(self))

    @classmethod
    def parse(cls, name: str | SpaceGroup) -> SpaceGroup:
        """The group of a name, ``"so3"`` or ``"o3"``; a group is returned as it is.

        Raises:
            ValueError: if the name is another.
        """
        if isinstance(name, SpaceGroup):
            return name
        known = {"so3": False, "o3": True}
        if not isinstance(name, str) or name.lower() not in known:
            raise ValueError(
                f"a group of space is named so3 (rotations) or o3 (rotations and reflections); got {shown(name)}. Use "
                "'so3'."
            )
        return cls(known[name.lower()])

    @property
    def name(self) -> str:
        """The lower-case name used in model names, ``"so3"`` or ``"o3"``."""
        return "o3" if self.reflections else "so3"

    def __str__(self) -> str:
        return "O(3)" if self.reflections else "SO(3)"

    def contains(self, subgroup: SpaceGroup) -> bool:
        """Whether every element of `subgroup` is one of this group's."""
        return self.reflections or not subgroup.reflections

    def matrix(self, g: Element) -> Float[Tensor, "3 3"]:
        """The element itself, which is its matrix.

        Raises:
            TypeError: if it is no floating point tensor.
            ValueError: if it is no orthogonal matrix of 3 by 3, or reverses orientation and the group does not.
        """
        if not isinstance(g, Tensor):
            raise TypeError(f"an element of {self} is a matrix, a tensor of 3 by 3; got {shown(g)}. Pass one.")
        if check_orthogonal("g", g).dim() != 2:
            raise ValueError(f"g must be one matrix of 3 by 3; got the shape {tuple(g.shape)}. Pass one after another.")
        if not self.reflections and torch.linalg.det(g) < 0:
            raise ValueError(
                f"an element of {self} does not reflect; got a matrix of determinant -1. Use the group o3."
            )
        return g

    def random(
        self, count: int, generator: torch.Generator | None = None, *, dtype: torch.dtype = torch.float64
    ) -> Float[Tensor, "count 3 3"]:
        """Elements drawn uniformly on the CPU; of O(3) each reflects with probability one half.

        Args:
            count: how many.
            generator: a generator on the CPU; None for the global one.
            dtype: of the matrices, which are computed in float64.

        Raises:
            TypeError: if an argument is of another type.
            ValueError: if `count` is negative.
        """
        matrices = random_rotations(count, generator, dtype=dtype)
        if not self.reflections:
            return matrices
        signs = 1 - 2 * torch.randint(2, (count, 1, 1), generator=generator, device="cpu")
        return signs.to(dtype) * matrices

    def describe(self, g: Element) -> str:
        """The element in words: ``"90° about (0.00, 0.00, 1.00)"``, perhaps ``"inversion, then"`` before it."""
        matrix = self.matrix(g).double()
        reflects = bool(torch.linalg.det(matrix) < 0)
        proper = -matrix if reflects else matrix
        # The axis is what the rotation leaves as it is.
        axis = torch.linalg.svd(proper - torch.eye(3, dtype=proper.dtype, device=proper.device))[2][-1]
        swap = torch.stack([proper[2, 1] - proper[1, 2], proper[0, 2] - proper[2, 0], proper[1, 0] - proper[0, 1]])
        # A half turn has two axes: that whose largest number is positive is said.
        along = swap @ axis if swap.norm() > 1e-9 else axis[axis.abs().argmax()]
        axis = -axis if along < 0 else axis
        words = f"{float(rotation_angle(proper)):.0f}° about ({', '.join(f'{float(x) + 0.0:.2f}' for x in axis)})"
        return f"inversion, then {words}" if reflects else words


def check_orthogonal(name: str, matrices: Tensor) -> Tensor:
    """The matrices ``(..., 3, 3)`` themselves, if they are orthogonal to rounding.

    Args:
        name: of the argument, for the sentence.
        matrices: of floating point.

    Raises:
        TypeError: if they are not float32 or float64.
        ValueError: if the last axes are not 3 by 3, or they are not orthogonal.
    """
    check_arguments(check_orthogonal, locals())
    check_numbers(name, matrices, 3, 3)
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    error = float((matrices @ matrices.transpose(-1, -2) - identity).abs().amax()) if matrices.numel() else 0.0
    if not error <= TOLERANCE:  # NaN too
        raise ValueError(
            f"{name} must be orthogonal, M M^T = 1; got a difference of {error:.2g}. Pass nearest_rotation(M) of "
            "eqmodels.groups."
        )
    return matrices
