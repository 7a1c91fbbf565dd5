"""Groups of motions: of the plane, of space and its finite subgroups, and rotations of space as numbers."""

from eqmodels.groups.group import Element, Group
from eqmodels.groups.planar import PlanarGroup

# Of modules that turn images, and no part of what is promised to users.
from eqmodels.groups.planar import circular_mask as circular_mask
from eqmodels.groups.planar import rotate as rotate
from eqmodels.groups.point import PointGroup
from eqmodels.groups.rotations import (
    axis_angle_matrix,
    euler_matrix,
    matrix_from_quaternion,
    matrix_from_six,
    nearest_rotation,
    quaternion_from_matrix,
    random_rotations,
    rotation_angle,
    six_from_matrix,
)
from eqmodels.groups.space import SpaceGroup, check_orthogonal
from eqmodels.groups.wigner import wigner_d

__all__ = [
    "Element",
    "Group",
    "PlanarGroup",
    "PointGroup",
    "SpaceGroup",
    "axis_angle_matrix",
    "check_orthogonal",
    "euler_matrix",
    "matrix_from_quaternion",
    "matrix_from_six",
    "nearest_rotation",
    "quaternion_from_matrix",
    "random_rotations",
    "rotation_angle",
    "six_from_matrix",
    "wigner_d",
]
