"""Group-equivariant wide ResNets, 28-10 and 16-8, with optional restriction of the group along the depth.

Source: Zagoruyko and Komodakis 2016, arXiv 1605.07146; with restriction: Weiler and Cesa 2019, arXiv 1911.08251.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
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
    field_count,
    image_stem,
    make_norm,
)
from eqmodels.fields import Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers import (
    AnyPoolMode,
    BasisName,
    ExactDownsample2d,
    FieldDropout2d,
    GroupPoolMode,
    Restrict,
    SteerableConv2d,
)

__all__ = ["WIDE_RESNETS", "PreActivationBlock", "WideResNetName", "WideSteerableResNet"]

WideResNetName = Literal["wide_resnet28_10", "wide_resnet16_8"]

WIDE_RESNETS: dict[str, tuple[int, int]] = {"wide_resnet28_10": (28, 10), "wide_resnet16_8": (16, 8)}
"""Depth and widening factor, by architecture."""


class PreActivationBlock(ResidualBlock):
    """Norm, ReLU and k x k steerable convolution, twice, with dropout between and a shortcut.

    ``(B, |G| in_fields, H, W) -> (B, |G| fields, H', W')``; a block that halves the map pools it after its first ReLU,
    for both branches.
    """

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
        dropout: float,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.group = group
        self.in_field, self.out_field = Regular(group, in_fields), Regular(group, fields)
        self.projects = in_fields != fields
        self.bn1 = make_norm(norm, group, in_fields)
        self.relu = nn.ReLU(inplace=True)
        self.pool = ExactDownsample2d() if halve else nn.Identity()
        self.conv1 = SteerableConv2d(group, in_fields, fields, kernel_size, dilation=dilation, bias=False, basis=basis)
        self.bn2 = make_norm(norm, group, fields)
        self.dropout = FieldDropout2d(group, dropout) if dropout is None or dropout != 0 else nn.Identity()
        self.conv2 = SteerableConv2d(group, fields, fields, kernel_size, dilation=dilation, bias=False, basis=basis)
        self.downsample = SteerableConv2d(group, in_fields, fields, 1, bias=False) if self.projects else nn.Identity()

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """Residual and shortcut added, ``(B, |G| in_fields, H, W) -> (B, |G| fields, H', W')``."""
        activated = self.pool(self.relu(self.bn1(maps)))
        # As in the original: a projection sees the activated map, the identity the raw one.
        shortcut = self.downsample(activated) if self.projects else self.pool(maps)
        residual = self.dropout(self.relu(self.bn2(self.conv1(activated))))
        total: Tensor = self.kept(self.conv2(residual)) + shortcut
        return total


@register_backbone(*WIDE_RESNETS)
class WideSteerableResNet(Backbone):
    """A wide pre-activation ResNet of group convolutions: three stages, and `layer4` as the final norm and ReLU.

    Args:
        architecture: ``"wide_resnet28_10"`` or ``"wide_resnet16_8"``.
        group: the group of the first stage, or its name.
        width: dense channels of the first stage; None for 160 (28-10) or 128 (16-8).
        restrict: the groups of the three stages, each a subgroup of the one before, for instance
            ``("d8", "d4", "d1")``; None keeps `group` throughout. The output is equivariant under the last one.
        dropout: probability of dropping a field inside a block.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: ``"invariant"``, ``"regular"``, ``"invariant+regular"``, ``"canonical"`` or
            ``"canonical-soft"``, see `GlobalPool`; of a canonical one the pose is untrained.
        group_pool: ``"max"``, ``"mean"`` or ``"norm"``, see `GroupPool`.
        stem: ``"small"`` for 28 .. 64 pixels, ``"imagenet"`` for 96 and more.
        kernel_size: of the spatial convolutions; None for the default of each stage's group, 3 or 5.
        basis: ``"pixel"``, ``"harmonic"`` or None for the default of each stage's group.
        norm: ``"batch"`` or ``"layer"``.
        output_stride: how many times smaller than the image the last map is at most, 8, 16 or 32; later stages dilate
            their kernels instead of halving the map: with the same weights exactly equivariant, with other features.
        pose_hidden: of a canonical pooling, dense channels of the hidden layer of what predicts the pose.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if an argument breaks its rule; the sentence names it.
    """

    def __init__(
        self,
        architecture: str = "wide_resnet28_10",
        group: PlanarGroup | str = "d4",
        *,
        width: int | None = None,
        restrict: Sequence[PlanarGroup | str] | None = None,
        dropout: float = 0.0,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "max",
        stem: StemName = "small",
        kernel_size: int | None = None,
        basis: BasisName | None = None,
        norm: NormName = "batch",
        output_stride: int = 32,
        pose_hidden: int = 2048,
    ) -> None:
        check_option("architecture", architecture, WideResNetName)
        first = PlanarGroup.parse(group)
        groups = _stage_groups(first, restrict)
        super().__init__(groups[-1], in_chans, num_classes)
        depth, widening = WIDE_RESNETS[architecture]
        width = 16 * widening if width is None else width
        field_count(first, width)
        self.structure |= {"width": width, "restrict": None if restrict is None else [g.name for g in groups]}
        # The stem is `widening` times narrower than the first stage, as far as whole fields go.
        stem_fields = -(-width // (widening * first.order))
        k = check_kernel_size(kernel_size, first)
        lifting, pool, reduction = image_stem(stem, first, in_chans, stem_fields, k, basis)
        self.add_stage("stem", nn.Sequential(lifting), stem_fields * first.order, reduction)
        strides = Dilations(output_stride, reduction * (1 if isinstance(pool, nn.Identity) else 2))
        block = partial(PreActivationBlock, basis=basis, norm=norm, dropout=dropout)
        previous, channels = first, stem_fields * first.order
        for index, stage_group in enumerate(groups):
            halve = strides.enter(halves=index > 0)
            k = check_kernel_size(kernel_size, stage_group)
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            if index == 0 and not isinstance(pool, nn.Identity):
                blocks["pool"] = pool
            if stage_group != previous:
                blocks["restrict"] = Restrict(previous, stage_group)
            fields = field_count(stage_group, width * 2**index)
            for number in range((depth - 4) // 6):
                before = channels // stage_group.order
                blocks[str(number)] = block(
                    stage_group, before, fields, halve=halve and number == 0, kernel_size=k, dilation=strides.dilation
                )
                channels = width * 2**index
            previous = stage_group
            self.add_stage(f"layer{index + 1}", nn.Sequential(blocks), channels, strides.reduction)
        final = OrderedDict(bn=make_norm(norm, self.group, channels // self.group.order), relu=nn.ReLU(inplace=True))
        self.add_stage("layer4", nn.Sequential(final), channels, strides.reduction)
        self.finish(global_pool, group_pool, pose_hidden)


def _stage_groups(first: PlanarGroup, restrict: Sequence[PlanarGroup | str] | None) -> list[PlanarGroup]:
    """The groups of the three stages.

    Raises:
        TypeError: if `restrict` is one name.
        ValueError: if it does not name three groups, beginning with the first.
    """
    if isinstance(restrict, str):
        raise TypeError(f"restrict must name a group for each of the three stages; got {restrict!r}. Pass a tuple.")
    groups = [first] * 3 if restrict is None else [PlanarGroup.parse(name) for name in restrict]
    if len(groups) != 3 or groups[0] != first:
        raise ValueError(
            f"restrict must name the groups of the three stages, the first being {first}; got "
            f"{[str(g) for g in groups]}. Pass, say, ({first.name!r}, {first.name!r}, 'c1')."
        )
    return groups
