"""Right arguments for groups, fields and rotations of space."""

from __future__ import annotations

from collections.abc import Callable

import torch

from eqmodels import fields, groups
from tests.errors.calls import Call, maps

__all__ = ["SPACE"]


def turns(count: int = 2) -> torch.Tensor:
    return groups.random_rotations(count, torch.Generator().manual_seed(0), dtype=torch.float32)


SPACE: dict[str, Callable[[], Call]] = {
    # fields
    "fields.Irreps": lambda: Call(fields.Irreps, {"parts": "2x0+1x1"}),
    # groups
    "groups.PointGroup": lambda: Call(groups.PointGroup, {"kind": "o"}),
    "groups.SpaceGroup": lambda: Call(groups.SpaceGroup, {"reflections": True}),
    "groups.axis_angle_matrix": lambda: Call(
        groups.axis_angle_matrix, {"axes": maps(2, 3), "degrees": 30.0}, values=30
    ),
    "groups.check_orthogonal": lambda: Call(groups.check_orthogonal, {"name": "turns", "matrices": turns()}, values=30),
    "groups.euler_matrix": lambda: Call(groups.euler_matrix, {"degrees": maps(2, 3)}, values=30),
    "groups.matrix_from_quaternion": lambda: Call(
        groups.matrix_from_quaternion, {"quaternions": maps(2, 4)}, values=30
    ),
    "groups.matrix_from_six": lambda: Call(groups.matrix_from_six, {"numbers": maps(2, 6)}, values=30),
    "groups.nearest_rotation": lambda: Call(groups.nearest_rotation, {"matrices": maps(2, 3, 3)}, values=30),
    "groups.quaternion_from_matrix": lambda: Call(groups.quaternion_from_matrix, {"matrices": turns()}, values=30),
    "groups.random_rotations": lambda: Call(groups.random_rotations, {"count": 3, "dtype": torch.float32}),
    "groups.rotation_angle": lambda: Call(groups.rotation_angle, {"matrices": turns()}, values=30),
    "groups.six_from_matrix": lambda: Call(groups.six_from_matrix, {"matrices": turns()}, values=30),
    "groups.wigner_d": lambda: Call(groups.wigner_d, {"degree": 2, "rotations": turns()}, values=30),
}
