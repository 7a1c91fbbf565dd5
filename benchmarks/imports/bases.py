"""Writes the functions that escnn combines by default: ``python -m benchmarks.imports.bases``.

Files that lack them are read by them. Needs escnn 1.0.11, the version that equivision names. Each function is written
as a combination of ours.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from eqmodels.backbones.convert.escnn_bases import FILE, basis_key
from eqmodels.backbones.escnn_modules import import_escnn
from eqmodels.backbones.escnn_weights import pair_kernels
from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableFilters

GROUPS = ("c1", "d1", "c4", "d4", "c8", "d8")
LAYERS = ((7, True), (3, False), (1, False))
"""Pixels along a side, and whether the convolution lifts images."""

PLACE = Path(__file__).parents[2] / "eqmodels" / "backbones" / "convert" / FILE


def functions_of_escnn(group: PlanarGroup, kernel_size: int, lifting: bool) -> Tensor:
    """The kernels of one pair of fields that the coefficients of an `R2Conv` combine, ``(K, order fibre pixels)``."""
    escnn = import_escnn()
    fields = escnn.images(group, 1) if lifting else escnn.regular(group, 1)
    conv = escnn.nn.R2Conv(
        fields, escnn.regular(group, 1), kernel_size, padding=kernel_size // 2, bias=False, initialize=False
    )
    (block,) = conv.basisexpansion.children()
    functions: Tensor = block.sampled_basis.double().flatten(1)
    return functions


def combination(group: PlanarGroup, kernel_size: int, lifting: bool) -> Tensor:
    """Each of escnn's functions as a combination of ours, ``(K, ours)``.

    Raises:
        RuntimeError: if ours do not span it.
    """
    theirs = functions_of_escnn(group, kernel_size, lifting)
    ours = pair_kernels(SteerableFilters(group, 1, 1, kernel_size, basis="harmonic", lifting=lifting))
    found: Tensor = torch.linalg.lstsq(ours.T, theirs.T, driver="gels").solution.T
    residual = float((found @ ours - theirs).norm() / theirs.norm())
    if residual > 1e-6:
        raise RuntimeError(f"{basis_key(group, kernel_size, lifting)}: a residual of {residual:.1e}")
    return found


def main() -> None:
    """Writes the file."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    layers = [(PlanarGroup.parse(name), *layer) for name in GROUPS for layer in LAYERS]
    PLACE.write_bytes(
        safetensors.torch.save({basis_key(*layer): combination(*layer).float().contiguous() for layer in layers})
    )


if __name__ == "__main__":
    main()
