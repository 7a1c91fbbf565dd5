"""Group-equivariant ResNet-18, -34, -50 and -101, exact for quarter turns and flips at every image size.

Source: He et al. 2016, arXiv 1512.03385; the group convolutions: Cohen and Welling 2016, arXiv 1602.07576.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.backbones.regularising import ResidualBlock
from eqmodels.backbones.stages import (
    Dilations,
    NormName,
    StemName,
    check_kernel_size,
    check_option,
    default_kernel_size,
    field_count,
    image_stem,
    make_norm,
)
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers import (
    AnyPoolMode,
    BasisName,
    ExactDownsample2d,
    GroupPoolMode,
    SteerableConv2d,
    default_basis,
)
from eqmodels.layers.declared import check_tied

__all__ = ["RESNETS", "RESNET_DEPTHS", "BasicBlock", "Bottleneck", "Downsampling", "SteerableResNet", "resnet_plan"]

Downsampling = Literal["pool", "stride"]
"""How a map is halved: a mean pooling before the convolution, exact at every size, or a stride of the convolution."""


class BasicBlock(ResidualBlock):
    """Two k x k steerable convolutions and a shortcut; a block that halves the map pools it first, for both branches.

    ``(B, |G| in_fields, H, W) -> (B, |G| fields, H', W')``. With ``downsampling="stride"`` the first convolution and
    that of the shortcut stride instead.
    """

    expansion = 1

    def __init__(
        self,
        group: PlanarGroup,
        in_fields: int,
        fields: int,
        *,
        halve: bool,
        kernel_size: int,
        basis: BasisName | None,
        norm: NormName,
        downsampling: Downsampling = "pool",
        tied: int = 1,
        dilations: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.group = group
        self.in_field, self.out_field = Regular(group, in_fields), Regular(group, fields)
        stride = 2 if halve and downsampling == "stride" else 1
        self.pool = ExactDownsample2d() if halve and stride == 1 else nn.Identity()
        self.conv1 = _spatial(group, in_fields, fields, kernel_size, stride, basis, dilations[0])
        self.bn1 = make_norm(norm, group, fields, tied=tied)
        self.conv2 = _spatial(group, fields, fields, kernel_size, 1, basis, dilations[1])
        self.bn2 = make_norm(norm, group, fields, tied=tied)
        self.relu = nn.ReLU(inplace=True)
        widens = in_fields != fields
        self.downsample = _shortcut(group, in_fields, fields, norm, stride, tied) if widens else nn.Identity()

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The activated sum of residual and shortcut, ``(B, |G| in_fields, H, W) -> (B, |G| out_fields, H', W')``."""
        maps = self.pool(maps)
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.bn2(self.conv2(residual))
        activated: Tensor = self.relu(self.kept(residual) + self.downsample(maps))
        return activated


class Bottleneck(ResidualBlock):
    """A 1 x 1, a k x k and a widening 1 x 1 steerable convolution and a shortcut; pools before the middle one.

    ``(B, |G| in_fields, H, W) -> (B, 4 |G| fields, H', W')``. With ``downsampling="stride"`` the middle convolution and
    that of the shortcut stride instead.
    """

    expansion = 4

    def __init__(
        self,
        group: PlanarGroup,
        in_fields: int,
        fields: int,
        *,
        halve: bool,
        kernel_size: int,
        basis: BasisName | None,
        norm: NormName,
        downsampling: Downsampling = "pool",
        tied: int = 1,
        dilations: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.group = group
        out_fields = fields * self.expansion
        self.in_field, self.out_field = Regular(group, in_fields), Regular(group, out_fields)
        stride = 2 if halve and downsampling == "stride" else 1
        self.pool = ExactDownsample2d() if halve and stride == 1 else nn.Identity()
        self.conv1 = SteerableConv2d(group, in_fields, fields, 1, bias=False)
        self.bn1 = make_norm(norm, group, fields, tied=tied)
        self.conv2 = _spatial(group, fields, fields, kernel_size, stride, basis, dilations[0])
        self.bn2 = make_norm(norm, group, fields, tied=tied)
        self.conv3 = SteerableConv2d(group, fields, out_fields, 1, bias=False)
        self.bn3 = make_norm(norm, group, out_fields, tied=tied)
        self.relu = nn.ReLU(inplace=True)
        widens = in_fields != out_fields
        self.downsample = _shortcut(group, in_fields, out_fields, norm, stride, tied) if widens else nn.Identity()

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The activated sum of residual and shortcut, ``(B, |G| in_fields, H, W) -> (B, |G| out_fields, H', W')``."""
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.relu(self.bn2(self.conv2(self.pool(residual))))
        residual = self.bn3(self.conv3(residual))
        activated: Tensor = self.relu(self.kept(residual) + self.downsample(self.pool(maps)))
        return activated


def _spatial(
    group: PlanarGroup,
    in_fields: int,
    out_fields: int,
    kernel_size: int,
    stride: int,
    basis: BasisName | None,
    dilation: int,
) -> SteerableConv2d:
    return SteerableConv2d(
        group, in_fields, out_fields, kernel_size, stride=stride, dilation=dilation, bias=False, basis=basis
    )


def _shortcut(group: PlanarGroup, in_fields: int, out_fields: int, norm: NormName, stride: int, tied: int) -> nn.Module:
    conv = SteerableConv2d(group, in_fields, out_fields, 1, stride=stride, bias=False)
    return nn.Sequential(conv, make_norm(norm, group, out_fields, tied=tied))


RESNET_DEPTHS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
"""Block and number of blocks in each stage, by architecture; the name of a network of the small stem ends in ``s``."""

RESNETS: tuple[str, ...] = (*RESNET_DEPTHS, *(f"{name}s" for name in RESNET_DEPTHS))
"""The architectures: ``resnet18`` has the ImageNet stem, ``resnet18s`` the small one, and so on."""


def resnet_plan(
    architecture: str,
) -> tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int], StemName]:
    """Block, number of blocks in each stage and stem of an architecture.

    Raises:
        ValueError: if the name is unknown.
    """
    if not is_one_of(architecture, RESNETS):
        raise ValueError(
            f"architecture must be one of {', '.join(map(repr, RESNETS))}; got {shown(architecture)}. Use 'resnet18s'."
        )
    block, depths = RESNET_DEPTHS[architecture.removesuffix("s")]
    return block, depths, "small" if architecture.endswith("s") else "imagenet"


@register_backbone(*RESNETS)
class SteerableResNet(Backbone):
    """A ResNet whose every layer is a group convolution.

    With C1 it is the control: an ordinary convolutional network that differs from the C4 one in the group alone.

    Args:
        architecture: ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"`` with the ImageNet stem, for
            images of 96 pixels and more; the same with an ``s`` at its end with the small one, for 28 .. 64 pixels.
        group: a `PlanarGroup` or its name.
        width: dense channels ``|G| * fields`` of the first stage; equal widths cost equal FLOPs.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: ``"invariant"``, ``"regular"``, ``"invariant+regular"``, ``"canonical"`` or
            ``"canonical-soft"``, see `GlobalPool`; of a canonical one the pose is untrained.
        group_pool: ``"max"``, ``"mean"`` or ``"norm"``, see `GroupPool`.
        kernel_size: of the spatial convolutions; None for 3 (pixel groups) or 5 (the others).
        basis: ``"pixel"``, ``"harmonic"`` or None for the group's default.
        norm: ``"batch"`` or ``"layer"``.
        downsampling: ``"pool"``, exact at every size, or ``"stride"``: convolutions of stride 2, as in torchvision's
            network, exact where sides are 1 mod 32 (small stem: 1 mod 8) and refused elsewhere.
        tied: number of fields that share the statistics of a batch norm and are pooled together, as the parts of one
            field of a larger group: 2 of a C8 network that is read as one of C4. Its kernels are those of `group`.
        output_stride: how many times smaller than the image the last map is at most, 8, 16 or 32; later stages dilate
            their kernels instead of halving the map: with the same weights exactly equivariant, with other features.
        pose_hidden: of a canonical pooling, dense channels of the hidden layer of what predicts the pose.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if an argument breaks its rule; the sentence names it.
    """

    def __init__(
        self,
        architecture: str = "resnet18s",
        group: PlanarGroup | str = "c4",
        *,
        width: int = 64,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "max",
        kernel_size: int | None = None,
        basis: BasisName | None = None,
        norm: NormName = "batch",
        downsampling: Downsampling = "pool",
        tied: int = 1,
        output_stride: int = 32,
        pose_hidden: int = 2048,
    ) -> None:
        super().__init__(group, in_chans, num_classes)
        block, depths, stem = resnet_plan(architecture)
        check_option("downsampling", downsampling, Downsampling)
        pools = downsampling == "pool"
        fields = field_count(self.group, width)
        if check_tied(fields, tied) == 1:
            del self.structure["tied"]  # files are those of before there were ties
        k = check_kernel_size(kernel_size, self.group)
        self.usual = {"kernel_size": default_kernel_size(self.group), "basis": default_basis(self.group)}
        self.structure |= {"kernel_size": k, "basis": default_basis(self.group) if basis is None else basis}
        lifting, pool, reduction = image_stem(stem, self.group, in_chans, fields, k, basis, every_size=pools)
        lifting |= {"bn": make_norm(norm, self.group, fields, tied=tied), "relu": nn.ReLU(inplace=True)}
        self.add_stage("stem", nn.Sequential(lifting), width, reduction)
        strides = Dilations(output_stride, reduction * (1 if isinstance(pool, nn.Identity) else 2))
        current = fields
        for index, depth in enumerate(depths):
            halve = strides.enter(halves=index > 0)
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            if index == 0 and not isinstance(pool, nn.Identity):
                blocks["pool"] = pool
            for number in range(depth):
                blocks[str(number)] = block(
                    self.group,
                    current,
                    fields * 2**index,
                    halve=halve and number == 0,
                    kernel_size=k,
                    basis=basis,
                    norm=norm,
                    downsampling=downsampling,
                    # A pooling that falls away stood before the first convolution, a stride in it.
                    dilations=(strides.dilation if pools or number > 0 else strides.before, strides.dilation),
                    tied=tied,
                )
                current = fields * 2**index * block.expansion
            self.add_stage(f"layer{index + 1}", nn.Sequential(blocks), current * self.group.order, strides.reduction)
        self.finish(global_pool, group_pool, pose_hidden, tied=tied)
