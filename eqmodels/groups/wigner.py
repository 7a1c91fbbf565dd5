"""Matrices by which the irreducible representations of the rotations of space act, without Euler angles.

``D^0 = 1``, ``D^1 = R`` and ``D^l = Q^T (R x D^(l-1)) Q`` with ``Q = sqrt(2l + 1) wigner_3j(1, l - 1, l)`` of e3nn:
exact to rounding, and differentiable everywhere, where what goes through Euler angles has a gradient of zero at the
identity. The basis is that of e3nn; of degree 1 it is x, y, z.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.groups.rotations import check_numbers

__all__ = ["MOST_DEGREE", "o3_of_e3nn", "wigner_d"]

MOST_DEGREE = 11
"""The largest degree that e3nn has coefficients of."""


def o3_of_e3nn(what: str) -> ModuleType:
    """The module ``e3nn.o3``, imported when it is used, as that takes seconds.

    Args:
        what: needs it, for the sentence.

    Raises:
        ModuleNotFoundError: if e3nn is not installed.
    """
    try:
        return importlib.import_module("e3nn.o3")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "e3nn":
            raise ModuleNotFoundError(
                f"{what} needs e3nn, which is not installed; run: pip install e3nn, or use degrees 0 and 1 alone, as "
                "the encoder so3_vectors_small does",
                name="e3nn",
            ) from error
        raise


def wigner_d(degree: int, rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch d d"]:
    """The matrix by which each rotation acts on the spherical harmonics of a degree, in the basis of e3nn.

    Of a matrix that reflects it is that of the polynomials of the degree, ``(-1)^degree`` times that of its negative.

    Args:
        degree: 0 for scalars, 1 for vectors, and so on, at most 11.
        rotations: orthogonal matrices.

    Returns:
        Matrices ``(..., 2 degree + 1, 2 degree + 1)``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the degree is negative or above 11, or the last axes are not 3 by 3.
        ModuleNotFoundError: if the degree is 2 or more, and e3nn is not installed.
    """
    check_arguments(wigner_d, locals())
    check_count("degree", degree, 0)
    if degree > MOST_DEGREE:
        raise ValueError(f"degree must be at most {MOST_DEGREE}; got {degree}. Pass a smaller one.")
    rotations = check_numbers("rotations", rotations, 3, 3)
    if degree == 0:
        return torch.ones_like(rotations[..., :1, :1])
    matrices = rotations
    for l in range(2, degree + 1):  # noqa: E741 (the letter of every formula)
        q = torch.tensor(_coupling(l), dtype=rotations.dtype, device=rotations.device)
        matrices = torch.einsum("abm,...ac,...bd,cdn->...mn", q, rotations, matrices, q)
    return matrices


@cache
def _coupling(degree: int) -> list[list[list[float]]]:
    """How a vector and a harmonic of the degree below make one of this degree, ``(3, 2l - 1, 2l + 1)``, as numbers."""
    coefficients = o3_of_e3nn(f"degree {degree}").wigner_3j(1, degree - 1, degree, dtype=torch.float64, device="cpu")
    scaled: list[list[list[float]]] = ((2 * degree + 1) ** 0.5 * coefficients).tolist()
    return scaled
