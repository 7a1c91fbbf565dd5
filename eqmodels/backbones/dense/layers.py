"""What the layers of a decoder are made of: its group, its widths, and a convolution with norm and ReLU."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import nn

from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.stages import NormName, check_kernel_size, default_kernel_size, field_count, make_norm
from eqmodels.groups import PlanarGroup
from eqmodels.layers import BasisName, SteerableConv2d, default_basis

__all__ = ["DecoderOptions", "decoder_width"]


@dataclass(frozen=True)
class DecoderOptions:
    """The options that decoders share.

    Attributes:
        group: of all of its layers.
        width: dense channels at the size of the image.
        kernel_size: of its convolutions; None for the group's default.
        basis: of the kernels; None for the group's default.
        norm: ``"batch"`` or ``"layer"``.

    Raises:
        TypeError: if a count is no integer.
        ValueError: if an option breaks its rule.
    """

    group: PlanarGroup
    width: int
    kernel_size: int | None
    basis: BasisName | None
    norm: NormName

    def __post_init__(self) -> None:
        field_count(self.group, self.width)
        check_kernel_size(self.kernel_size, self.group)

    @property
    def usual(self) -> dict[str, Any]:
        """What stands for options that are left out."""
        return {"kernel_size": default_kernel_size(self.group), "basis": default_basis(self.group)}

    @property
    def structure(self) -> dict[str, Any]:
        """All options as they are, as a file holds them."""
        given = {"width": self.width, "norm": self.norm}
        for name, value in self.usual.items():
            given[name] = value if getattr(self, name) is None else getattr(self, name)
        return given

    def fields(self, reduction: int = 1) -> int:
        """Regular fields of maps that are so many times smaller than the image."""
        return field_count(self.group, self.width * reduction)

    def convolution(self, in_fields: int, fields: int, kernel_size: int | None = None) -> nn.Sequential:
        """A steerable convolution, a norm and a ReLU.

        Args:
            in_fields: regular input fields.
            fields: regular output fields.
            kernel_size: None for that of the decoder.
        """
        k = check_kernel_size(self.kernel_size, self.group) if kernel_size is None else kernel_size
        conv = SteerableConv2d(self.group, in_fields, fields, k, bias=False, basis=self.basis)
        norm = make_norm(self.norm, self.group, fields)
        return nn.Sequential(OrderedDict(conv=conv, bn=norm, relu=nn.ReLU(inplace=True)))


def decoder_width(encoder: StagedNetwork, width: int | None) -> int:
    """Dense channels of a decoder at the size of the image.

    Args:
        encoder: whose first stage says what is usual.
        width: that was asked for; None for half of that stage's, a quarter if it halves the image, in whole fields.
    """
    if width is not None:
        return width
    first, order = encoder.feature_info[0], encoder.group.order
    return max(first["num_chs"] // (2 * first["reduction"]) // order, 1) * order
