"""The functions whose coefficients escnn 1.0.11 saves by default, for files that lack them.

Files of equivision hold ``weights`` alone where they were saved without buffers. What they are coefficients of depends
on escnn's own code; ``benchmarks/imports/bases.py`` asked it once, for the groups and kernel sizes of equivision, and
wrote each function as a combination of this package's harmonic ones, which span more. A test compares both.

Source: Cesa, Lang and Weiler, ICLR 2022, escnn 1.0.11: the kernels of its `R2Conv` without further arguments.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import safetensors.torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones.escnn_weights import pair_kernels
from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableFilters

__all__ = ["FILE", "basis_key", "default_functions"]

FILE = "escnn_bases.safetensors"
"""The name of the file beside this one."""


def basis_key(group: PlanarGroup, kernel_size: int, lifting: bool) -> str:
    """The name of a basis in the file."""
    return f"{group.name}.{kernel_size}.{'lifting' if lifting else 'regular'}"


@cache
def _combinations() -> dict[str, Tensor]:
    return safetensors.torch.load((files("eqmodels.backbones.convert") / FILE).read_bytes())


def default_functions(
    group: PlanarGroup, kernel_size: int, lifting: bool
) -> Float[Tensor, "K order fibre pixels"] | None:
    """The kernels of one pair of fields that escnn's coefficients combine, in their order; None of another layer.

    Args:
        group: C1, D1, C4, D4, C8 or D8.
        kernel_size: 7 of a lifting convolution, 3 or 1 of a regular one.
        lifting: whether the input is an image.
    """
    combination = _combinations().get(basis_key(group, kernel_size, lifting))
    if combination is None:
        return None
    own = pair_kernels(SteerableFilters(group, 1, 1, kernel_size, basis="harmonic", lifting=lifting))
    fibre = 1 if lifting else group.order
    functions: Tensor = (combination.double() @ own).view(-1, group.order, fibre, kernel_size**2)
    return functions
