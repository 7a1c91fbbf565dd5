"""Rotations of space as numbers: matrices, quaternions, six and nine numbers, Euler angles.

Conventions: a matrix acts on columns ``(x, y, z)``; a quaternion is ``(w, x, y, z)``, and ``q`` and ``-q`` are the same
rotation (the double cover); six numbers are the first two columns of a matrix, one behind the other. A network that is
to put out a rotation should put out six or nine numbers: no function from rotations to quaternions, to angles or to any
four numbers is continuous.

Source: Zhou, Barnes, Lu, Yang and Li 2019, *On the Continuity of Rotation Representations in Neural Networks*, arXiv
1812.07035; for nine numbers Levinson et al. 2020, *An Analysis of SVD for Deep Rotation Estimation*, arXiv 2006.14616.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count

__all__ = [
    "axis_angle_matrix",
    "check_numbers",
    "euler_matrix",
    "matrix_from_quaternion",
    "matrix_from_six",
    "nearest_rotation",
    "quaternion_from_matrix",
    "random_rotations",
    "rotation_angle",
    "six_from_matrix",
]


def check_numbers(name: str, values: Tensor, *shape: int) -> Tensor:
    """The values themselves, if they are of float32 or float64 and their last axes are of such a shape.

    Args:
        name: of the argument, for the sentence.
        values: any tensor.
        *shape: of the last axes.

    Raises:
        TypeError: if they are of another type: half precision knows no rotation.
        ValueError: if the shape is another.
    """
    if values.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64; got {values.dtype}. Convert with .float().")
    if values.shape[-len(shape) :] != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must have the shape (..., {expected}); got {tuple(values.shape)}. Pass the {expected} numbers of "
            "each rotation along the last axes."
        )
    return values


def random_rotations(
    count: int, generator: torch.Generator | None = None, *, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "count 3 3"]:
    """Rotations drawn uniformly (by Haar's measure) on the CPU.

    Args:
        count: how many.
        generator: a generator on the CPU; None for the global one.
        dtype: of the matrices, which are computed in float64.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `count` is negative.
    """
    check_arguments(random_rotations, locals())
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating point type; got {dtype}. Pass, say, torch.float32.")
    check_count("count", count, 0)
    # Four independent normal numbers point in a uniform direction, and unit quaternions cover rotations evenly.
    quaternions = torch.randn(count, 4, generator=generator, dtype=torch.float64, device="cpu")
    return matrix_from_quaternion(quaternions).to(dtype)


def matrix_from_quaternion(quaternions: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation of each quaternion ``(w, x, y, z)`` of any length but zero; those of ``q`` and ``-q`` are equal.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axis has another length than 4.
    """
    check_arguments(matrix_from_quaternion, locals())
    check_numbers("quaternions", quaternions, 4)
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def quaternion_from_matrix(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """The unit quaternion of each rotation, of the two that there are the one whose first number but zero is positive.

    The largest of the four numbers is taken first, so that rotations by 180 degrees lose no digits.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axes are not 3 by 3.
    """
    check_arguments(quaternion_from_matrix, locals())
    m = check_numbers("matrices", matrices, 3, 3)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Row i is 4 q_i q: whichever q_i is large gives the direction of q.
    rows = (
        (1 + xx + yy + zz, wx, wy, wz),
        (wx, 1 + xx - yy - zz, xy, xz),
        (wy, xy, 1 - xx + yy - zz, yz),
        (wz, xz, yz, 1 - xx - yy + zz),
    )
    outer = torch.stack([torch.stack(row, -1) for row in rows], -2)
    best = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = outer.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternions = torch.nn.functional.normalize(chosen, dim=-1)
    # A rotation by 180 degrees has w = 0 but for rounding: the next number decides there.
    weights = torch.tensor([1e9, 1e6, 1e3, 1.0], dtype=quaternions.dtype, device=quaternions.device)
    sign = torch.where((quaternions.sign() * (quaternions.abs() > 1e-6) * weights).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    return quaternions * sign.to(quaternions.dtype)


def matrix_from_six(numbers: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation of each six numbers, two vectors ``a, b`` made orthogonal: ``e1 = a/|a|``, ``e2 ~ b``, ``e3``.

    Columns are e1, e2 and ``e3 = e1 x e2``. It is continuous where ``a`` and ``b`` are independent, and commutes with
    rotations of both vectors.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axis has another length than 6.
    """
    check_arguments(matrix_from_six, locals())
    a, b = check_numbers("numbers", numbers, 6).split(3, -1)
    first = torch.nn.functional.normalize(a, dim=-1)
    second = torch.nn.functional.normalize(b - (first * b).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def six_from_matrix(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The first two columns of each rotation, one behind the other: `matrix_from_six` gives it back.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axes are not 3 by 3.
    """
    check_arguments(six_from_matrix, locals())
    return check_numbers("matrices", matrices, 3, 3)[..., :2].transpose(-1, -2).flatten(-2)


def nearest_rotation(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation nearest to each matrix of nine numbers, ``U diag(1, 1, det(U V^T)) V^T`` of its SVD ``U S V^T``.

    It minimises the sum of squares, and commutes with rotations from either side.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axes are not 3 by 3, or a number is not finite.
    """
    check_arguments(nearest_rotation, locals())
    if not check_numbers("matrices", matrices, 3, 3).isfinite().all():
        raise ValueError("matrices must be finite; got NaN or infinity. Look for a diverged training.")
    left, _, right = torch.linalg.svd(matrices)
    sign = torch.linalg.det(left @ right)
    last = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
    rotations: Tensor = left @ (last[..., None] * right)
    return rotations


def axis_angle_matrix(axes: Float[Tensor, "*batch 3"], degrees: float) -> Float[Tensor, "*batch 3 3"]:
    """The rotation about each axis, of any length but zero, by an angle in degrees, by the right-hand rule.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the last axis of the tensor has another length than 3.
    """
    check_arguments(axis_angle_matrix, locals())
    half = torch.deg2rad(torch.as_tensor(degrees / 2, dtype=torch.float64)).to(axes.device)
    unit = torch.nn.functional.normalize(check_numbers("axes", axes, 3), dim=-1)
    cosine = half.cos().to(unit.dtype).expand(*unit.shape[:-1], 1)
    return matrix_from_quaternion(torch.cat([cosine, half.sin().to(unit.dtype) * unit], -1))


def euler_matrix(degrees: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation of each three angles in degrees: about z, then y, then x, ``R_x(c) R_y(b) R_z(a)``.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axis has another length than 3.
    """
    check_arguments(euler_matrix, locals())
    halves = torch.deg2rad(check_numbers("degrees", degrees, 3)) / 2
    cosines, sines = halves.cos(), halves.sin()
    factors = []
    for axis, angle in ((3, 0), (2, 1), (1, 2)):
        numbers = [torch.zeros_like(cosines[..., 0])] * 4
        numbers[0], numbers[axis] = cosines[..., angle], sines[..., angle]
        factors.append(matrix_from_quaternion(torch.stack(numbers, -1)))
    return factors[2] @ factors[1] @ factors[0]


def rotation_angle(matrices: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """The angle of each rotation in degrees, 0 to 180; of ``A^T B`` that between the rotations A and B.

    By both its sine and its cosine, so that neither small nor large angles lose digits.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the last axes are not 3 by 3.
    """
    check_arguments(rotation_angle, locals())
    m = check_numbers("matrices", matrices, 3, 3)
    cosine = (m.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    sine = torch.linalg.matrix_norm(m - m.transpose(-1, -2)) / 8**0.5
    return torch.rad2deg(torch.atan2(sine, cosine))
