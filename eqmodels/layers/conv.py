"""The steerable convolution, lifting and regular."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_channels, check_count, check_kernel, check_placed, check_strided_size
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup
from eqmodels.layers.basis import BasisName
from eqmodels.layers.filters import SteerableFilters

__all__ = ["PaddingMode", "SteerableConv2d"]

PaddingMode = Literal["zeros", "reflect", "circular"]

torch.fx.wrap("check_channels")
torch.fx.wrap("check_placed")
torch.fx.wrap("check_kernel")
torch.fx.wrap("check_strided_size")


class SteerableConv2d(SteerableFilters):
    """A group convolution: ``Conv2d`` whose filters are turned copies of one small weight.

    ``out_g(x) = b + sum_h sum_d K[g, h](d) in_h(x + d)`` with the kernels of `SteerableFilters`. Input and output are
    group-major: ``(B, |G| in_fields, H, W) -> (B, |G| out_fields, H', W')``; a lifting convolution takes
    images, ``(B, in_fields, H, W)``. One bias a field. With C1 and the pixel basis it is an ordinary convolution.

    A stride keeps the equivariance only at sizes where the kernel meets the grid symmetrically, ``(size + 2 padding -
    dilation (kernel_size - 1) - 1) mod stride == 0``; other sizes raise. `ExactDownsample2d` has no such rule.

    Args:
        group: a `PlanarGroup` or its name.
        in_fields: regular input fields (lifting: input channels).
        out_fields: regular output fields.
        kernel_size: pixels along a side.
        stride: step along both axes.
        padding: pixels added on each side; None keeps the size (odd kernels).
        dilation: distance of the kernel's pixels.
        groups: 1; kept so that the signature is `Conv2d`'s.
        bias: whether a bias, one a field, is added.
        padding_mode: ``"zeros"``, ``"reflect"`` or ``"circular"``.
        basis: ``"pixel"``, ``"harmonic"`` or None for the group's default.
        lifting: whether the input is an image, without a fibre.

    Raises:
        ValueError: if an argument breaks its rule, or, in `forward`, if the input has another shape or device, is
            smaller than the kernel or the padding needs, or has a size at which the stride would break exactness.
        TypeError: in `forward`, if the input is no dense tensor of floating point, or not of the weight's type, and
            autocast is off.

    Source: Cohen and Welling 2016, arXiv 1602.07576; Weiler and Cesa 2019, arXiv 1911.08251.

    Example:
        >>> lift = SteerableConv2d("c4", 3, 8, 3, lifting=True)
        >>> images = torch.randn(2, 3, 9, 9)
        >>> turned = lift.out_field.act(lift.group, 1, lift(images))
        >>> torch.allclose(lift(lift.group.act(1, images)), turned, atol=1e-5)
        True
    """

    def __init__(
        self,
        group: PlanarGroup | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        basis: BasisName | None = None,
        lifting: bool = False,
    ) -> None:
        super().__init__(group, in_fields, out_fields, kernel_size, basis=basis, lifting=lifting, bias=bias)
        if not is_one_of(groups, (1,)):
            raise ValueError(
                f"groups must be 1 (grouped steerable convolutions are not built yet); got {shown(groups)}."
            )
        for name, value, least in (("stride", stride, 1), ("dilation", dilation, 1)):
            check_count(name, value, least)
        if padding is not None:
            check_count("padding", padding, 0)
        if not is_one_of(padding_mode, get_args(PaddingMode)):
            modes = ", ".join(get_args(PaddingMode))
            raise ValueError(f"padding_mode must be one of {modes}; got {shown(padding_mode)}. Use 'zeros'.")
        if padding is None:
            if kernel_size % 2 == 0:
                raise ValueError(
                    f"an even kernel cannot keep the size, so padding must be given; got kernel_size={kernel_size}. "
                    "Pass, say, padding=0."
                )
            padding = dilation * (kernel_size - 1) // 2
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.padding_mode: PaddingMode = padding_mode
        # Half a turn mirrors both axes, the flip x -> -x the width alone; C1, C3, ... have no element that is exact.
        self._mirrored = (-2, -1) if self.group.rotations % 2 == 0 else (-1,) if self.group.reflections else ()

    def forward(self, maps: Float[Tensor, "B in_channels H W"]) -> Float[Tensor, "B out_channels H2 W2"]:
        """``out_g(x)`` of the class: one convolution with the expanded filters, at every output pixel."""
        maps = check_channels(maps, self.in_channels, 4)
        maps = check_placed(maps, self.weight, "images" if self.lifting else "features")
        if self.stride > 1 and self._mirrored:
            maps = check_strided_size(
                maps, str(self.group), self._mirrored, self.kernel_size, self.stride, self.padding, self.dilation
            )
        maps = check_kernel(maps, self.kernel_size, self.padding, self.dilation, self.padding_mode)
        padding = self.padding
        if padding and self.padding_mode != "zeros":
            maps = F.pad(maps, [padding] * 4, mode=self.padding_mode)
            padding = 0
        return F.conv2d(maps, self.expanded(), self.expanded_bias(), self.stride, padding, self.dilation)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return (
            f"{super().extra_repr()}, stride={self.stride}, padding={self.padding}, "
            f"padding_mode={self.padding_mode!r}, bias={self.bias is not None}"
        )
