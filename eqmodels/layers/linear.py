"""The equivariant linear map of regular feature vectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_channels
from eqmodels.groups import PlanarGroup
from eqmodels.layers.filters import SteerableFilters

__all__ = ["SteerableLinear"]

torch.fx.wrap("check_channels")


class SteerableLinear(SteerableFilters):
    """``Linear`` from regular vectors to regular vectors: ``out_g = b + sum_h w[g^-1 h] in_h``.

    ``(B, |G| in_fields) -> (B, |G| out_fields)``, group-major. On feature maps the same operation is
    ``SteerableConv2d(..., kernel_size=1)``.

    Args:
        group: a `PlanarGroup` or its name.
        in_fields: regular input fields.
        out_fields: regular output fields.
        bias: whether a bias, one a field, is added.

    Raises:
        ValueError: if an argument breaks its rule, or, in `forward`, if the input has another shape.
        TypeError: in `forward`, if the input is not floating point.

    Example:
        >>> linear = SteerableLinear("d4", 4, 2)
        >>> x = torch.randn(5, 32)
        >>> g, d4 = 6, linear.group
        >>> moved = linear.out_field.transform(d4, g, linear(x))
        >>> torch.allclose(linear(linear.in_field.transform(d4, g, x)), moved, atol=1e-6)
        True
    """

    def __init__(self, group: PlanarGroup | str, in_fields: int, out_fields: int, *, bias: bool = True) -> None:
        super().__init__(group, in_fields, out_fields, bias=bias)

    def forward(self, features: Float[Tensor, "B in_channels"]) -> Float[Tensor, "B out_channels"]:
        """``out_g`` of the class: one matrix product with the expanded weight."""
        features = check_channels(features, self.in_channels, 2, self.weight)
        return F.linear(features, self.expanded().flatten(1), self.expanded_bias())
