"""What the layers of a dense network are made of: its group, its widths, a convolution with norm and ReLU, a head."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.stages import NormName, check_kernel_size, default_kernel_size, field_count, make_norm
from eqmodels.checks import check_count
from eqmodels.fields import Field
from eqmodels.groups import PlanarGroup
from eqmodels.layers import BasisName, OutputConv2d, SteerableConv2d, default_basis

__all__ = ["HEAD_FIELDS", "DecoderOptions", "OutputHead", "decoder_width"]

HEAD_FIELDS = 16
"""Usual regular fields of the hidden layer that an output is read off."""


@dataclass(frozen=True)
class DecoderOptions:
    """The options that decoders share.

    Attributes:
        group: of all of its layers.
        width: dense channels at the size of the image.
        kernel_size: of its convolutions; None for the group's default.
        basis: of the kernels; None for the group's default.
        norm: ``"batch"`` or ``"layer"``.
        head_fields: regular fields of the hidden layer that the output is read off.

    Raises:
        TypeError: if a count is no integer.
        ValueError: if an option breaks its rule.
    """

    group: PlanarGroup
    width: int
    kernel_size: int | None
    basis: BasisName | None
    norm: NormName
    head_fields: int

    def __post_init__(self) -> None:
        field_count(self.group, self.width)
        check_kernel_size(self.kernel_size, self.group)
        check_count("head_fields", self.head_fields)

    @property
    def usual(self) -> dict[str, Any]:
        """What stands for options that are left out."""
        return {"kernel_size": default_kernel_size(self.group), "basis": default_basis(self.group)}

    @property
    def structure(self) -> dict[str, Any]:
        """All options as they are, as a file holds them."""
        given = {"width": self.width, "norm": self.norm, "head_fields": self.head_fields}
        for name, value in self.usual.items():
            given[name] = value if getattr(self, name) is None else getattr(self, name)
        return given

    def fields(self, reduction: int = 1) -> int:
        """Regular fields of maps that are so many times smaller than the image."""
        return field_count(self.group, self.width * reduction)

    def head(self, out_field: Field) -> OutputHead:
        """What reads the output off maps of the size of the image."""
        hidden = self.convolution(self.fields(), self.head_fields, 1)
        return OutputHead(hidden, OutputConv2d(self.group, self.head_fields, out_field))

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


class OutputHead(nn.Module):
    """A hidden layer of every pixel, and the output that is linear in it.

    ``(B, |G| fields, H, W) -> (B, out_field.channels, H, W)``. The hidden layer is there because a linear map reads
    but *one* invariant number off a regular field, the sum over the group: of a decoder's few fields all scores of
    classes would lie in a space of as few dimensions, and nothing would be learnt (a U-Net of two fields for 11 classes
    stayed at the background). What a 1 x 1 convolution, a norm and a ReLU make of them has `head_fields` dimensions.

    Args:
        hidden: the hidden layer.
        output: from its fields to the output.

    Attributes:
        out_field: what the output means.
    """

    def __init__(self, hidden: nn.Module, output: OutputConv2d) -> None:
        super().__init__()
        self.hidden, self.output = hidden, output
        self.out_field = output.out_field

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H W"]:
        """The output, of the size of the maps."""
        read: Tensor = self.output(self.hidden(maps))
        return read


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
