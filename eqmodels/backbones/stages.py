"""Parts that the equivariant families share: how wide a stage may be, the kernel size, the stem and the norms."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from eqmodels.checks import check_count
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup
from eqmodels.layers import (
    BasisName,
    ExactDownsample2d,
    FieldBatchNorm2d,
    FieldLayerNorm2d,
    OddSize2d,
    SteerableConv2d,
    default_basis,
)

__all__ = [
    "OUTPUT_STRIDES",
    "Dilations",
    "NormName",
    "StemName",
    "check_kernel_size",
    "check_option",
    "default_kernel_size",
    "field_count",
    "image_stem",
    "make_norm",
]

LARGEST_KERNEL = 15
"""Pixels along a side: the tables of a basis grow with the fourth power, also on the device `meta`."""

OUTPUT_STRIDES = (1, 2, 4, 8, 16, 32)
"""How many times smaller than the image the last map may be at most."""

NormName = Literal["batch", "layer"]
StemName = Literal["small", "imagenet"]


def check_option(name: str, value: str, choices: object) -> None:
    """Raises a `ValueError` unless the value is one of a ``Literal``'s choices."""
    allowed = get_args(choices)
    if not is_one_of(value, allowed):
        words = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} must be one of {words}; got {shown(value)}. Use {allowed[0]!r}.")


@dataclass
class Dilations:
    """Which stages halve the map, and how far apart the pixels of their kernels are, for a given output stride.

    A stage that would make the map smaller than ``1 / output_stride`` of the image leaves its size, and from there on
    kernels reach as far as they would on the smaller map (Chen et al. 2018, arXiv 1706.05587). A dilated kernel is as
    symmetrical as the kernel itself: the network stays exactly equivariant, with the same weights and other features.

    Args:
        output_stride: 8, 16 or 32; for a network that makes maps less small also 1, 2 or 4.
        reduction: of the map that comes in.

    Attributes:
        dilation: of the stage that `enter` told of last.
        before: of the stage before it.

    Raises:
        ValueError: if the stride is another, or the map that comes in is smaller already.
    """

    output_stride: int
    reduction: int
    dilation: int = 1
    before: int = 1

    def __post_init__(self) -> None:
        allowed = [stride for stride in OUTPUT_STRIDES if stride >= self.reduction]
        if isinstance(self.output_stride, bool) or not is_one_of(self.output_stride, allowed):
            raise ValueError(
                f"output_stride must be one of {', '.join(map(str, allowed))}, as the maps of the first stage are "
                f"{self.reduction} times smaller than the image; got {shown(self.output_stride)}. Use 32 for no "
                "dilation."
            )

    def enter(self, *, halves: bool) -> bool:
        """Goes on to the next stage, which would halve the map or not; returns whether it does."""
        self.before = self.dilation
        if not halves:
            return False
        if self.reduction >= self.output_stride:
            self.dilation *= 2
            return False
        self.reduction *= 2
        return True


def field_count(group: PlanarGroup, channels: int) -> int:
    """The number of regular fields in so many dense channels.

    Raises:
        TypeError: if `channels` is not an integer.
        ValueError: if it is not a positive multiple of the group's order.
    """
    if isinstance(channels, bool) or not isinstance(channels, int):
        raise TypeError(f"width must be an integer; got {shown(channels)}. Pass a multiple of {group.order}.")
    if channels >= 2**31:
        raise ValueError(
            f"width must be below 2^31; got {shown(channels)}. Pass, say, {64 // group.order * group.order}."
        )
    if channels < 1 or channels % group.order:
        below = max(channels // group.order, 1) * group.order
        nearest = f"{below} and {below + group.order}" if channels > below else f"{below}"
        raise ValueError(
            f"width counts dense channels and must be a positive multiple of the order {group.order} of {group}; "
            f"got {shown(channels)}. Nearest valid widths: {nearest}."
        )
    return channels // group.order


def check_kernel_size(kernel_size: int | None, group: PlanarGroup) -> int:
    """The kernel size itself, or the group's default for None.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is below 1 or above 15.
    """
    if kernel_size is None:
        return default_kernel_size(group)
    if check_count("kernel_size", kernel_size) > LARGEST_KERNEL:
        raise ValueError(f"kernel_size must be at most {LARGEST_KERNEL}; got {kernel_size}. Use 3, 5 or 7.")
    return kernel_size


def default_kernel_size(group: PlanarGroup) -> int:
    """3 for groups that permute the pixels, else 5: a turned 3 x 3 kernel is too coarse for finer angles."""
    return 3 if default_basis(group) == "pixel" else 5


def make_norm(norm: NormName, group: PlanarGroup, fields: int, *, tied: int = 1) -> nn.Module:
    """The normalisation of so many regular fields.

    Args:
        norm: ``"batch"`` or ``"layer"``.
        group: of the fields.
        fields: their number.
        tied: number of fields that share a batch norm's statistics, see `FieldBatchNorm2d`.

    Raises:
        ValueError: if the name is unknown, or fields of a layer norm are to be tied, which has no statistics.
    """
    check_option("norm", norm, NormName)
    if norm == "layer" and tied > 1:
        raise ValueError(f"tied is of batch norms alone; got tied={tied} and norm='layer'. Use norm='batch'.")
    return FieldBatchNorm2d(group, fields, tied=tied) if norm == "batch" else FieldLayerNorm2d(group, fields)


def image_stem(
    stem: StemName,
    group: PlanarGroup,
    in_chans: int,
    fields: int,
    kernel_size: int,
    basis: BasisName | None,
    *,
    every_size: bool = True,
) -> tuple[OrderedDict[str, nn.Module], nn.Module, int]:
    """The lifting layers in front of the first stage.

    ``"small"`` (28 .. 64 pixels) is one lifting convolution; ``"imagenet"`` (96 ..) a 7 x 7 one of stride 2, made exact
    at every size by `OddSize2d` for the price of a two-pixel average, and a max-pooling that opens the first stage.

    Args:
        stem: ``"small"`` or ``"imagenet"``.
        group: that images are lifted to.
        in_chans: channels of the images.
        fields: regular fields that the lifting convolution puts out.
        kernel_size: of the small stem.
        basis: of the kernels, see `SteerableConv2d`.
        every_size: whether even sizes are made odd first; else the stride refuses them.

    Returns:
        The named layers, the pooling that the first stage starts with, and the reduction that the layers make.

    Raises:
        ValueError: if the name is unknown.
    """
    check_option("stem", stem, StemName)
    if stem == "small":
        conv = SteerableConv2d(group, in_chans, fields, kernel_size, bias=False, basis=basis, lifting=True)
        return OrderedDict(conv=conv), nn.Identity(), 1
    conv = SteerableConv2d(group, in_chans, fields, 7, stride=2, padding=3, bias=False, basis=basis, lifting=True)
    layers: OrderedDict[str, nn.Module] = OrderedDict(odd=OddSize2d()) if every_size else OrderedDict()
    layers["conv"] = conv
    return layers, ExactDownsample2d("max"), 2
