"""The layers of escnn (and of e2cnn before it) out of a state dict: names, kernels and statistics.

A convolution is saved as the coefficients of its kernels, ``weights``, and the functions that they combine,
``_basisexpansion.*.sampled_basis``: their product is the filter, with no need for either package. The ``filter`` itself
is there only if the layer was in eval mode. Both packages and this one span the same kernels, each by a basis of its
own, so that the weight here is found by least squares.

Source: Cesa, Lang and Weiler, ICLR 2022; the kernels: Weiler and Cesa 2019, arXiv 1911.08251.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.backbones.convert.report import ConvertedLayer
from eqmodels.backbones.convert.state import check_shape, known_rank
from eqmodels.backbones.escnn_weights import TOLERANCE as EXACT
from eqmodels.backbones.escnn_weights import pair_kernels
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.groups import PlanarGroup
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d

__all__ = ["STATISTICS", "EscnnLayers", "basis_names", "convs", "first_norm", "norm_name", "norms"]

STATISTICS = ("weight", "bias", "running_mean", "running_var")

Stored = Callable[[PlanarGroup, int, bool], "Tensor | None"]
"""The functions of a basis that a file lacks, by group, pixels and whether it lifts; None if nobody knows them."""

RECOMPUTED = "its basis, which the file lacks, is that of escnn 1.0.11"
"""The note of a convolution whose functions are `Stored`."""

_FIRST_NORM = re.compile(r"bn1\.batch_norm_\[([1-9][0-9]{0,3})\]\.weight")


def first_norm(source: str, tensors: dict[str, Tensor]) -> tuple[int, int]:
    """The order of the group and the fields of the first stage, by the name and the length of the first norm's weight.

    Raises:
        ValueError: if there is no such name, or it holds something else.
    """
    found = [match for name in tensors if (match := _FIRST_NORM.fullmatch(name))]
    if len(found) != 1:
        raise ValueError(
            f"state must be that of {source}, whose norm 'bn1.batch_norm_[N].weight' names the order N of its group; "
            f"got {len(found)} such names. For torchvision's networks there is from_torchvision."
        )
    scales = tensors[found[0][0]]
    (fields,) = known_rank(source, found[0][0], scales, 1)
    check_shape(source, found[0][0], scales, (fields,))
    return int(found[0][1]), fields


def norm_name(layer: str, order: int, statistic: str) -> str:
    """The name of a statistic of the norm of a layer."""
    return f"{layer}.batch_norm_[{order}].{statistic}"


def _theirs(name: str) -> str:
    """A layer's name in the checkpoint."""
    return {"stem.conv": "conv1", "stem.bn": "bn1"}.get(name, name)


def convs(model: SteerableResNet) -> Iterator[tuple[str, str, SteerableConv2d]]:
    """The convolutions, each with its name in the checkpoint and here."""
    for name, module in model.named_modules():
        if isinstance(module, SteerableConv2d):
            yield _theirs(name), name, module


def norms(model: SteerableResNet) -> Iterator[tuple[str, str, FieldBatchNorm2d]]:
    """The batch norms, each with its name in the checkpoint and here."""
    for name, module in model.named_modules():
        if isinstance(module, FieldBatchNorm2d):
            yield _theirs(name), name, module


def basis_names(name: str, tensors: dict[str, Tensor]) -> list[str]:
    """The names of the functions of a convolution's basis that a checkpoint has."""
    prefix = f"{name}._basisexpansion."
    return [key for key in tensors if key.startswith(prefix) and key.endswith(".sampled_basis")]


@dataclass
class EscnnLayers:
    """The layers of a network of regular fields over one group, as a checkpoint has them.

    Args:
        source: what it is a checkpoint of, for the errors.
        tensors: its tensors, by name.
        group: of their fields.
        stored: for the functions that the file lacks.
    """

    source: str
    tensors: dict[str, Tensor]
    group: PlanarGroup
    stored: Stored = lambda *_: None
    factors: dict[tuple[PlanarGroup, int, bool, str], tuple[Tensor, Tensor]] = field(default_factory=dict)
    """The QR decomposition of the kernels here, by group, size and kind of the convolution."""

    def basis(self, name: str) -> Float[Tensor, "K order fibre pixels"] | None:
        """The functions that the coefficients of a convolution combine; None if the file does not have them."""
        names = basis_names(name, self.tensors)
        if len(names) != 1 or f"{name}.weights" not in self.tensors:
            return None
        known_rank(self.source, names[0], self.tensors[names[0]], 4)
        return self.tensors[names[0]]

    def has_filter(self, name: str) -> bool:
        """Whether the file has the filter of a convolution; zeros are what escnn puts there before it knows any."""
        filters = self.tensors.get(f"{name}.filter")
        return filters is not None and (bool(filters.any()) or f"{name}.weights" not in self.tensors)

    def kernels(
        self, name: str, out_fields: int, in_fields: int, k: int, *, lifting: bool
    ) -> tuple[Float[Tensor, "out_fields in_fields order fibre pixels"], str]:
        """The kernels of a convolution between every output and every input field, and where they are from if not read.

        Args:
            name: of the convolution in the checkpoint.
            out_fields: of the group.
            in_fields: of the group, or channels of the image.
            k: pixels along a side.
            lifting: whether its input is an image.
        """
        order, fibre = self.group.order, 1 if lifting else self.group.order
        basis, note = self.basis(name), ""
        if basis is None and not self.has_filter(name):
            basis, note = self.stored(self.group, k, lifting), RECOMPUTED
        if basis is not None:
            called = (*basis_names(name, self.tensors), f"{name}._basisexpansion")[0]
            check_shape(self.source, called, basis, (len(basis), order, fibre, k**2))
            coefficients = self.tensors[f"{name}.weights"]
            check_shape(self.source, f"{name}.weights", coefficients, (out_fields * in_fields * len(basis),))
            products: Tensor = coefficients.double().view(-1, len(basis)) @ basis.double().flatten(1)
            return products.view(out_fields, in_fields, order, fibre, k**2), note
        filters = self.tensors[f"{name}.filter"]
        check_shape(self.source, f"{name}.filter", filters, (order * out_fields, fibre * in_fields, k, k))
        # Field-major: (out order, in fibre, k, k) -> (out, in, order, fibre, pixels).
        blocks = filters.double().unflatten(0, (out_fields, order)).unflatten(2, (in_fields, fibre))
        return blocks.transpose(1, 2).flatten(4), ""

    def residual(
        self, kernels: Float[Tensor, "out_fields in_fields order fibre pixels"], conv: SteerableConv2d
    ) -> float:
        """How far kernels are from those that a convolution here can have, as a part of their length."""
        return self._nearest(kernels, conv)[1]

    def convert_conv(
        self, name: str, target: str, conv: SteerableConv2d, table: Int[Tensor, "subgroup cosets"]
    ) -> ConvertedLayer:
        """Sets the weight of a convolution to the nearest one; the residual says how near.

        Args:
            name: in the checkpoint.
            target: its name here.
            conv: is changed; over the subgroup.
            table: the restriction of the checkpoint's group to it.
        """
        cosets = table.shape[1]
        in_fields = conv.in_fields if conv.lifting else conv.in_fields // cosets
        kernels, note = self.kernels(name, conv.out_fields // cosets, in_fields, conv.kernel_size, lifting=conv.lifting)
        weight, residual = self._nearest(restricted(kernels, table, lifting=conv.lifting), conv)
        conv.weight.copy_(weight)
        status: Literal["exact", "residual"] = "exact" if residual <= EXACT else "residual"
        return ConvertedLayer(name, target, status, residual, note)

    def _nearest(
        self, kernels: Float[Tensor, "out_fields in_fields order fibre pixels"], conv: SteerableConv2d
    ) -> tuple[Tensor, float]:
        """The weight of the nearest kernels, and how far they are, as a part of the length of those given."""
        key = (conv.group, conv.kernel_size, conv.lifting, conv.basis)
        if key not in self.factors:
            # Least squares by an orthonormal basis of the kernels: `lstsq` is ten times slower for thousands of pairs.
            self.factors[key] = torch.linalg.qr(pair_kernels(conv).T)
        orthonormal, change = self.factors[key]
        pairs = kernels.flatten(0, 1).flatten(1).T
        projection = orthonormal.T @ pairs
        weight = torch.linalg.solve_triangular(change, projection, upper=True)
        norm = float(pairs.norm())
        residual = float((orthonormal @ projection - pairs).norm()) / norm if norm > 0 else 0.0
        return weight.view(len(weight), *kernels.shape[:2]), residual

    def convert_norm(self, name: str, target: str, norm: FieldBatchNorm2d) -> ConvertedLayer:
        """Sets scales, shifts and statistics of a norm to those of the checkpoint."""
        order = self.group.order
        for statistic in STATISTICS:
            source = self.tensors[norm_name(name, order, statistic)]
            check_shape(self.source, norm_name(name, order, statistic), source, (norm.fields // norm.tied,))
            getattr(norm.bn, statistic).copy_(source)
        count = self.tensors.get(norm_name(name, order, "num_batches_tracked"))
        if count is not None and norm.bn.num_batches_tracked is not None:
            norm.bn.num_batches_tracked.copy_(count)
        return ConvertedLayer(name, target, "exact", 0.0)

    def check_residuals(self, layers: list[ConvertedLayer], tolerance: float, kernels: str, way_out: str) -> None:
        """Refuses filters that are no kernels of the group.

        Raises:
            ValueError: if a residual is above the tolerance.
        """
        outside = [layer for layer in layers if layer.residual is not None and not layer.residual <= tolerance]
        if outside:
            worst = max(outside, key=lambda layer: layer.residual or 0.0)
            raise ValueError(
                f"every filter must be a kernel of {kernels}, up to a relative residual of {tolerance:.0e}; "
                f"{len(outside)} of {len(layers)} are not, the worst is {worst.source!r} with {worst.residual:.1e}. "
                f"{way_out}"
            )


def restricted(
    kernels: Float[Tensor, "out_fields in_fields order fibre pixels"],
    table: Int[Tensor, "subgroup cosets"],
    *,
    lifting: bool,
) -> Float[Tensor, "_ _ subgroup _ pixels"]:
    """The same kernels between the regular fields of a subgroup, in the order of `Restrict`: coset before field.

    Args:
        kernels: between regular fields of a group.
        table: of `PlanarGroup.restriction`.
        lifting: whether the input is an image, which has no fibre.
    """
    rows, cosets = table.shape
    order = table.flatten()
    moved: Tensor = kernels.index_select(2, order).unflatten(2, (rows, cosets))  # (out, in, h, t, fibre, pixels)
    moved = moved.permute(3, 0, 1, 2, 4, 5).flatten(0, 1)  # (t out, in, h, fibre, pixels)
    if lifting:
        return moved
    moved = moved.index_select(3, order).unflatten(3, (rows, cosets))  # (t out, in, h, h2, t2, pixels)
    return moved.permute(0, 4, 1, 2, 3, 5).flatten(1, 2)
