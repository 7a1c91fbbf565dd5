"""A network of equivision's structure and names, built of escnn's modules: what imported ones are compared with.

Structure: https://github.com/dmklee/equivision, a torchvision ResNet of `R2Conv`, `InnerBatchNorm` and `ReLU`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from eqmodels.backbones.escnn_modules import import_escnn
from eqmodels.groups import PlanarGroup

__all__ = ["Reference"]

DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}
BOTTLENECKS = ("resnet50", "resnet101")


class Residual(nn.Module):
    """A block of escnn's layers under equivision's names: the first spatial convolution strides."""

    def __init__(self, group: PlanarGroup, wide: int, fields: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        escnn = import_escnn()
        before, inner = escnn.regular(group, wide), escnn.regular(group, fields)
        after = escnn.regular(group, 4 * fields) if bottleneck else inner
        self.conv1 = convolution(before, inner, 1 if bottleneck else 3, 1 if bottleneck else stride)
        self.bn1 = escnn.nn.InnerBatchNorm(inner)
        self.conv2 = convolution(inner, inner, 3, stride if bottleneck else 1)
        self.bn2 = escnn.nn.InnerBatchNorm(inner)
        self.inner, self.outer = escnn.nn.ReLU(inner), escnn.nn.ReLU(after)
        if bottleneck:
            self.conv3, self.bn3 = convolution(inner, after, 1), escnn.nn.InnerBatchNorm(after)
        self.bottleneck, self.downsample = bottleneck, None
        if before != after:
            self.downsample = nn.Sequential(convolution(before, after, 1, stride), escnn.nn.InnerBatchNorm(after))

    def forward(self, maps: Any) -> Any:  # noqa: ANN401 (escnn's tensors)
        """The activated sum of residual and shortcut."""
        found = self.bn2(self.conv2(self.inner(self.bn1(self.conv1(maps)))))
        if self.bottleneck:
            found = self.bn3(self.conv3(self.inner(found)))
        return self.outer(found + (maps if self.downsample is None else self.downsample(maps)))


class Reference(nn.Module):
    """equivision's structure, as narrow as can be."""

    def __init__(self, architecture: str, name: str, fields: int, classes: int) -> None:
        super().__init__()
        escnn, group, bottleneck = import_escnn(), PlanarGroup.parse(name), architecture in BOTTLENECKS
        self.images, first = escnn.images(group, 3), escnn.regular(group, fields)
        self.conv1, self.bn1 = convolution(self.images, first, 7, 2), escnn.nn.InnerBatchNorm(first)
        self.relu = escnn.nn.ReLU(first)
        self.maxpool = escnn.nn.PointwiseMaxPool(first, kernel_size=3, stride=2, padding=1)
        wide = fields
        for stage, depth in enumerate(DEPTHS[architecture]):
            blocks = []
            for number in range(depth):
                inner, stride = fields * 2**stage, 2 if stage and not number else 1
                blocks.append(Residual(group, wide, inner, stride, bottleneck=bottleneck))
                wide = inner * (4 if bottleneck else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.gpool = escnn.nn.GroupPooling(escnn.regular(group, wide))
        self.fc = nn.Linear(wide, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(self.images(images)))))
        for number in range(1, 5):
            maps = self.get_submodule(f"layer{number}")(maps)
        pooled = maps.type(maps.tensor.mean((-2, -1), keepdim=True))
        scores: Tensor = self.fc(self.gpool(pooled).tensor.flatten(1))
        return scores


def convolution(before: Any, after: Any, pixels: int, stride: int = 1) -> nn.Module:  # noqa: ANN401 (escnn's)
    """Escnn's default `R2Conv`, as equivision has it."""
    options = {"stride": stride, "padding": pixels // 2, "bias": False, "initialize": False}
    conv: nn.Module = import_escnn().nn.R2Conv(before, after, pixels, **options)
    return conv
