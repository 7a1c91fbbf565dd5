"""The standard ResNets of the benchmarks: torchvision's blocks behind the interface of this package.

Source: He et al. 2016, arXiv 1512.03385, as implemented by torchvision (strided 3 x 3 convolutions).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from eqmodels._shapes import Float
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.backbones.regularising import ResidualBlock
from eqmodels.backbones.resnet import RESNETS, resnet_plan
from eqmodels.backbones.stages import Dilations, field_count
from eqmodels.checks import check_placed, is_open
from eqmodels.layers import AnyPoolMode

__all__ = ["StandardResNet"]


class _StandardBlock(ResidualBlock):
    """What torchvision's two blocks share, and what is added to them."""

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    bn1: nn.Module
    bn2: nn.Module
    relu: nn.Module
    downsample: nn.Module | None

    def activated(self, residual: Float[Tensor, "B C H W"], maps: Float[Tensor, "B C2 H2 W2"]) -> Tensor:
        """The activated sum of the residual branch and the shortcut."""
        kept = self.kept(residual)
        # In place, as in torchvision: no copy of the map.
        kept += maps if self.downsample is None else self.downsample(maps)
        activated: Tensor = self.relu(kept)
        return activated


class StandardBasicBlock(torchvision_resnet.BasicBlock, _StandardBlock):  # type: ignore[misc]
    """torchvision's, whose residual branch can be left out and whose kernels can be dilated."""

    def dilate(self, first: int, dilation: int) -> None:
        """Sets how far apart the pixels of the kernels are, of the first convolution and of the other."""
        _dilate(self.conv1, first)
        _dilate(self.conv2, dilation)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The activated sum of residual and shortcut."""
        return self.activated(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps))))), maps)


class StandardBottleneck(torchvision_resnet.Bottleneck, _StandardBlock):  # type: ignore[misc]
    """torchvision's, whose residual branch can be left out and whose kernels can be dilated."""

    conv3: nn.Conv2d
    bn3: nn.Module

    def dilate(self, first: int, dilation: int) -> None:  # noqa: ARG002 (it has one kernel of several pixels)
        """Sets how far apart the pixels of the kernel are, for the first block of a stage by the stage before."""
        _dilate(self.conv2, first)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The activated sum of residual and shortcut."""
        residual = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps))))))
        return self.activated(self.bn3(self.conv3(residual)), maps)


def _dilate(conv: nn.Conv2d, dilation: int) -> None:
    conv.dilation = conv.padding = (dilation, dilation)


@register_backbone(*RESNETS, groups=False)
class StandardResNet(Backbone):
    """torchvision's ResNet, at any width and with either stem.

    At width 64 with the ImageNet stem it computes what torchvision's network of the same name does (see
    `from_torchvision`); the small stem is the usual one for CIFAR: a 3 x 3 convolution of stride 1, no max-pooling.

    Args:
        architecture: ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"`` with the ImageNet stem, for
            images of 96 pixels and more; the same with an ``s`` at its end with the small one, for 28 .. 64 pixels.
        width: channels of the first stage.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: accepted in every spelling of the equivariant networks; without a group all mean the same average,
            which ``"invariant+regular"`` repeats.
        output_stride: how many times smaller than the image the last map is at most, 8, 16 or 32; later stages dilate
            their kernels, as in torchvision's networks.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if an argument breaks its rule; the sentence names it.
    """

    def __init__(
        self,
        architecture: str = "resnet18s",
        *,
        width: int = 64,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: AnyPoolMode = "invariant",
        output_stride: int = 32,
    ) -> None:
        super().__init__("c1", in_chans, num_classes)
        steerable_block, depths, stem = resnet_plan(architecture)
        field_count(self.group, width)
        bottleneck = steerable_block.expansion > 1
        block: Any = StandardBottleneck if bottleneck else StandardBasicBlock
        small = stem == "small"
        conv = nn.Conv2d(in_chans, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        layers = OrderedDict(conv=conv, bn=nn.BatchNorm2d(width), relu=nn.ReLU(inplace=True))
        self.add_stage("stem", nn.Sequential(layers), width, 1 if small else 2)
        strides = Dilations(output_stride, 1 if small else 4)
        current = width
        for index, depth in enumerate(depths):
            stride = 2 if strides.enter(halves=index > 0) else 1
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            if index == 0 and not small:
                blocks["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
            for number in range(depth):
                stride = stride if number == 0 else 1
                channels = width * 2**index
                shortcut = _shortcut(current, channels * block.expansion, stride)
                made = block(current, channels, stride, shortcut)
                made.dilate(strides.before if number == 0 else strides.dilation, strides.dilation)
                blocks[str(number)] = made
                current = channels * block.expansion
            stage = nn.Sequential(blocks)
            for module in stage.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            self.add_stage(f"layer{index + 1}", stage, current, strides.reduction)
        self.finish(global_pool, "max")

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The last feature map; stock layers would explain what they cannot take in words of their own.

        Raises:
            TypeError: if the images are not floating point, or of another dtype than the weights.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``, hold no values, or, in train
                mode, leave the batch-norms a single value.
        """
        if isinstance(images, Tensor) and images.is_floating_point() and images.dim() == 4 and not is_open():
            self._check_placed(images)
            self._check_statistics(images)
        return super().forward_features(images)

    def _check_placed(self, images: Tensor) -> None:
        weight = next(self.parameters())
        # What shards, offloads or quantises puts other things in the place of parameters, until a layer is called.
        whole = type(weight) is nn.Parameter and weight.dim() == 4 and weight.is_floating_point()
        if whole and not weight.is_meta and (images.dtype != weight.dtype or images.is_meta):
            check_placed(images, weight, "images")

    def _check_statistics(self, images: Tensor) -> None:
        reduction, last = self.feature_info[-1]["reduction"], self.feature_info[-1]["module"]
        if not self.training or len(images) != 1 or max(images.shape[-2:]) > reduction:
            return
        if any(isinstance(norm, nn.BatchNorm2d) and norm.training for norm in self.get_submodule(last).modules()):
            raise ValueError(
                f"batch statistics need more than one value a channel; got images of the shape {tuple(images.shape)}, "
                f"whose last map is of one pixel. Use a larger batch, images of more than {reduction} pixels, or "
                "model.eval()."
            )


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    if stride == 1 and in_channels == out_channels:
        return None
    conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
