"""The wide ResNet that escnn publishes as its example, built anew, without escnn: equal outputs in both modes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eqmodels.backbones import from_escnn
from eqmodels.backbones.escnn_modules import import_escnn
from eqmodels.groups import PlanarGroup
from tests.reference.test_escnn import distance, randomise_norms

pytestmark = [pytest.mark.escnn, pytest.mark.slow]


def convolution(enn, into, out, size, stride=1):
    """As the example makes all of them: no bias, no smoothing ring, all frequencies up to three a pixel of radius."""
    options = {"sigma": None, "frequencies_cutoff": lambda radius: 3 * radius}
    return enn.R2Conv(into, out, size, stride=stride, padding=size // 2, bias=False, **options)


def build(enn, group, *, depth, widen, restrict):
    """The network: three stages, restricted before the second and third to subgroups with the given filters.

    Args:
        enn: `escnn.nn`.
        group: it begins with.
        depth: 6 n + 4, for n blocks a stage.
        widen: factor of the widths of all but the first layer.
        restrict: what `RestrictionModule` is asked for before the second and the third stage; None for nothing.
    """
    blocks = (depth - 4) // 6

    def fields(space, planes, kind="regular"):
        order = space.fibergroup.order()
        count = int(planes * math.sqrt(order) / (order if kind == "regular" else 1))
        return enn.FieldType(space, [space.regular_repr if kind == "regular" else space.trivial_repr] * count)

    class Block(enn.EquivariantModule):
        """Norm, ReLU, convolution, twice; a shortcut of one pixel where the type changes."""

        def __init__(self, into, inner, out, stride):
            super().__init__()
            self.in_type, self.out_type = into, out
            size = 3 if into.gspace.rotations_order in (0, 2, 4) else 5
            self.bn1, self.relu1 = enn.InnerBatchNorm(into), enn.ReLU(into, inplace=True)
            self.conv1 = convolution(enn, into, inner, size)
            self.bn2, self.relu2 = enn.InnerBatchNorm(inner), enn.ReLU(inner, inplace=True)
            self.dropout = enn.PointwiseDropout(inner, p=0.3)
            self.conv2 = convolution(enn, inner, out, size, stride)
            changes = stride != 1 or into != out
            self.shortcut = convolution(enn, into, out, 1, stride) if changes else None

        def forward(self, maps):
            normed = self.relu1(self.bn1(maps))
            result = self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(normed)))))
            result += maps if self.shortcut is None else self.shortcut(normed)
            return result

        def evaluate_output_shape(self, input_shape):
            return input_shape if self.shortcut is None else self.shortcut.evaluate_output_shape(input_shape)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.space = import_escnn().space(group)
            self.in_type = enn.FieldType(self.space, 3 * [self.space.trivial_repr])
            self.last = fields(self.space, 16)
            self.conv1 = convolution(enn, self.in_type, self.last, 5)
            self.layer1 = self.stage(16 * widen, 1)
            self.restrict1 = self.restriction(restrict[0])
            self.layer2 = self.stage(32 * widen, 2)
            self.restrict2 = self.restriction(restrict[1])
            self.layer3 = self.stage(64 * widen, 2, "trivial")
            self.bn = enn.InnerBatchNorm(self.last, momentum=0.9)
            self.relu = enn.ReLU(self.last, inplace=True)
            self.linear = nn.Linear(self.last.size, 10)

        def stage(self, planes, stride, kind="regular"):
            made, inner = [], fields(self.space, planes)
            for number in range(blocks):
                out = fields(self.space, planes, kind if number == blocks - 1 else "regular")
                made.append(Block(self.last, inner, out, 1 if number else stride))
                self.last = out
            return enn.SequentialModule(*made)

        def restriction(self, subgroup):
            if subgroup is None:
                return lambda maps: maps
            restricted = enn.RestrictionModule(self.last, subgroup)
            split = enn.DisentangleModule(restricted.out_type)
            self.last = split.out_type
            self.space = self.last.gspace
            return enn.SequentialModule(restricted, split)

        def forward(self, images):
            maps = self.layer1(self.conv1(enn.GeometricTensor(images, self.in_type)))
            maps = self.layer3(self.restrict2(self.layer2(self.restrict1(maps))))
            found = self.relu(self.bn(maps)).tensor
            batch, _, height, width = found.shape
            return self.linear(F.avg_pool2d(found, (height, width)).view(batch, -1))

    return Network()


@pytest.mark.parametrize(
    ("group", "restrict"),
    [
        pytest.param(PlanarGroup(4, True), (None, None), id="d4d4d4"),
        pytest.param(PlanarGroup(4, True), ((0, 2), (0, 1)), id="d4d2d1"),
        pytest.param(PlanarGroup(4), (None, 2), id="c4c4c2"),
        pytest.param(PlanarGroup(8, True), ((0, 4), (0, 1)), id="d8d4d1"),
    ],
)
def test_it_computes_the_same_without_escnn(group, restrict):
    torch.manual_seed(0)
    theirs = build(import_escnn().nn, group, depth=10, widen=1, restrict=restrict)
    randomise_norms(theirs)
    images = torch.randn(3, 3, 33, 33)
    for mode in ("train", "eval"):
        theirs.train(mode == "train")
        plain = from_escnn(theirs)
        for module in (*theirs.modules(), *plain.modules()):
            if "Dropout" in type(module).__name__:
                module.eval()  # draws are others
        with torch.no_grad():
            assert distance(plain(images), theirs(images)) < 1e-5
    assert not any(type(part).__module__.startswith("escnn") for part in plain.modules())
