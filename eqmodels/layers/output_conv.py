"""The last convolution of a network: from regular fields to scalars, vectors or whatever else the output is of."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Scalars, Sum, Vectors
from eqmodels.groups import PlanarGroup
from eqmodels.layers.basis import BasisName
from eqmodels.layers.conv import SteerableConv2d

__all__ = ["OutputConv2d"]


class OutputConv2d(SteerableConv2d):
    """A convolution from regular fields to any field: class scores of pixels, heatmaps, orientations, flow.

    ``(B, |G| in_fields, H, W) -> (B, out_field.channels, H, W)``. It is a `SteerableConv2d` to regular fields ``f``
    followed by a fixed linear map that commutes with the group, both in one filter: scalars are
    ``sum_h f_h / sqrt(|G|)``, and vectors ``sum_h M(h) (f_h, f'_h) / sqrt(|G|)`` of two regular fields ``f`` and
    ``f'``. Every linear equivariant map to these fields is one of this form.

    Args:
        group: a `PlanarGroup` or its name.
        in_fields: regular input fields.
        out_field: what the output is to mean: `Scalars`, `Vectors`, `Regular` fields of the whole group, or a `Sum`.
        kernel_size: pixels along a side, an odd number.
        bias: whether a bias is added, one a scalar or regular field; vectors have none, as none would turn.
        basis: ``"pixel"``, ``"harmonic"`` or None for the group's default.

    Raises:
        TypeError: if a count is no integer, or `out_field` no field.
        ValueError: if an argument breaks its rule, or the output has no channels, or is of a field that no linear map
            is known to.

    Source: Weiler and Cesa 2019, arXiv 1911.08251, section 2.5.

    Example:
        >>> flow = OutputConv2d("c4", 2, Vectors("c4", 1))
        >>> maps = torch.randn(1, 8, 5, 6)
        >>> turned = flow.out_field.act(flow.group, 1, flow(maps))
        >>> torch.allclose(flow(flow.in_field.act(flow.group, 1, maps)), turned, atol=1e-5)
        True
    """

    _mixing: Tensor

    def __init__(
        self,
        group: PlanarGroup | str,
        in_fields: int,
        out_field: Field,
        kernel_size: int = 1,
        *,
        bias: bool = True,
        basis: BasisName | None = None,
    ) -> None:
        group = PlanarGroup.parse(group)
        if not isinstance(out_field, Field):
            raise TypeError(
                f"out_field must be a field such as Scalars(10) or Vectors('c4', 1); got {shown(out_field)}. Pass one "
                "of eqmodels.fields."
            )
        # As constant tables everywhere: neither a default device nor the inference mode may stick to it.
        with torch.device("cpu"), torch.inference_mode(False):
            self._exact = _mixing(group, out_field)
        self._output = out_field
        super().__init__(group, in_fields, self._exact.shape[1] // group.order, kernel_size, bias=bias, basis=basis)

    @property
    def out_channels(self) -> int:
        """Those of the field."""
        return self.out_field.channels

    @property
    def out_field(self) -> Field:
        """What the output means."""
        return self._output

    def _place_tables(self) -> None:
        super()._place_tables()
        self._mixing = self._exact.to(self.weight)

    def _mixed(self, dense: Float[Tensor, ...]) -> Float[Tensor, ...]:
        """Filters, or a bias, of regular fields made those of the output."""
        # The weight's type, but for autocast, or a weight that was replaced alone.
        mixed: Tensor = (self._mixing.to(dense) @ dense.flatten(1)).unflatten(1, dense.shape[1:])
        return mixed

    def expanded(self) -> Float[Tensor, "out_channels in_channels k k"]:
        """The ordinary filters of the output's channels."""
        return self._mixed(super().expanded())

    def expanded_bias(self) -> Float[Tensor, " out_channels"] | None:
        """The bias of every channel: of vectors zero."""
        bias = super().expanded_bias()
        return None if bias is None else self._mixed(bias[:, None])[:, 0]


def _mixing(group: PlanarGroup, field: Field) -> Float[Tensor, "channels regular"]:
    """The linear map, in float64, to a field from regular fields, which lie side by side for its parts.

    Raises:
        ValueError: if none is known to a part, or the field has no channels.
    """
    parts = field.parts if isinstance(field, Sum) else (field,)
    maps = [_mixing_of(group, part) for part in parts]
    if any(one is None for one in maps) or not field.channels:
        raise ValueError(
            f"out_field must be of scalars, of vectors or of regular fields of the whole group {group}, and have a "
            f"channel; got {field}. Use, say, Scalars(1) or Vectors({group.name!r}, 1)."
        )
    # (channels, elements, regular fields) of each part; the fields of all parts become one axis.
    blocks = [one.unflatten(1, (group.order, -1)) for one in maps if one is not None]
    rows = torch.stack([torch.block_diag(*(block[:, h] for block in blocks)) for h in group.elements], 1)
    return rows.flatten(1)


def _mixing_of(group: PlanarGroup, part: Field) -> Float[Tensor, "channels regular"] | None:
    """The linear map to a part of a field, which is no sum; None if none is known."""
    if isinstance(part, Scalars):
        return torch.eye(part.count, dtype=torch.float64).repeat(1, group.order) / math.sqrt(group.order)
    if part.group != group:
        return None
    if isinstance(part, Vectors):
        # Component i of the vector c is of the channel (i, c), and so are the two regular fields that make it.
        one = torch.eye(part.count, dtype=torch.float64)
        return torch.cat([torch.kron(part.matrix(g), one) for g in group.elements], 1) / math.sqrt(group.order)
    if isinstance(part, Regular) and part.elements is None:
        return torch.eye(part.channels, dtype=torch.float64)
    return None
