"""Networks of escnn's modules without escnn, and modules of this package among escnn's."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eqmodels import create_model
from eqmodels.backbones import as_escnn, from_escnn
from eqmodels.backbones.escnn_modules import import_escnn
from eqmodels.fields import Regular, Scalars, Sum
from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableConv2d
from tests.reference.test_escnn import distance, randomise_norms

pytestmark = pytest.mark.escnn


@pytest.fixture(scope="module")
def enn():
    return import_escnn().nn


def fields(enn, space, scalars, regular, last=0):
    """Some scalars, some regular fields, and scalars again, so that those of one size do not lie side by side."""
    kinds = scalars * [space.trivial_repr] + regular * [space.regular_repr] + last * [space.trivial_repr]
    return enn.FieldType(space, kinds)


def sequential(enn, space):
    """Every layer that is covered, of fields of two sizes, one of which is not contiguous."""
    images, mixed, wide = fields(enn, space, 3, 0), fields(enn, space, 2, 2, 1), fields(enn, space, 0, 3)
    return enn.SequentialModule(
        enn.MaskModule(images, 17),
        enn.R2Conv(images, mixed, 5, padding=2),
        enn.InnerBatchNorm(mixed),
        enn.ELU(mixed, inplace=True),
        enn.PointwiseAvgPoolAntialiased(mixed, 0.66, 2),
        enn.R2Conv(mixed, wide, 3, padding=1, dilation=1, padding_mode="circular"),
        enn.FieldDropout(wide, 0.3),
        enn.PointwiseDropout(wide, 0.3),
        enn.InnerBatchNorm(wide),
        enn.ReLU(wide),
        enn.PointwiseMaxPoolAntialiased(wide, 2),
        enn.R2Upsampling(wide, 2),
        enn.PointwiseAvgPool(wide, 2),
        enn.GroupPooling(wide),
        enn.PointwiseAdaptiveAvgPool(fields(enn, space, 3, 0), 1),
    )


def network(enn, space):
    """A small wide ResNet in the way of escnn's examples: blocks and a network with a forward of their own."""

    class Block(enn.EquivariantModule):
        def __init__(self, kind):
            super().__init__()
            self.in_type = self.out_type = kind
            self.conv1, self.norm = enn.R2Conv(kind, kind, 3, padding=1, bias=False), enn.InnerBatchNorm(kind)
            self.relu, self.conv2 = enn.ReLU(kind, inplace=True), enn.R2Conv(kind, kind, 3, padding=1, bias=False)

        def forward(self, maps):
            assert maps.type == self.in_type
            residual = self.conv2(self.relu(self.norm(self.conv1(maps))))
            residual += maps
            return residual

        def evaluate_output_shape(self, input_shape):
            return input_shape

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.images, first = fields(enn, space, 1, 0), fields(enn, space, 0, 2)
            self.lift, self.block1 = enn.R2Conv(self.images, first, 5, padding=2), Block(first)
            restriction = enn.RestrictionModule(first, (None, 2))
            split = enn.DisentangleModule(restriction.out_type)
            self.restrict = enn.SequentialModule(restriction, split)
            self.block2, self.pool = Block(split.out_type), enn.GroupPooling(split.out_type)
            self.fc = nn.Linear(self.pool.out_type.size, 5)

        def forward(self, images):
            maps = enn.GeometricTensor(images, self.images)
            maps = self.pool(self.block2(self.restrict(self.block1(self.lift(maps))))).tensor
            batch, channels, height, width = maps.shape
            return self.fc(F.avg_pool2d(maps, (height, width)).view(batch, channels))

    return Network()


@pytest.mark.parametrize(("rotations", "reflections"), [(4, False), (2, True), (3, False)])
def test_a_sequential_module_computes_the_same_without_escnn(enn, rotations, reflections):
    torch.manual_seed(0)
    space = import_escnn().space(PlanarGroup(rotations, reflections))
    theirs = sequential(enn, space).train()
    randomise_norms(theirs)
    images = torch.randn(2, 3, 17, 17)
    for module in theirs.modules():
        if isinstance(module, enn.FieldDropout | enn.PointwiseDropout):
            module.eval()  # draws are others
    for mode in ("train", "eval"):
        if mode == "eval":
            theirs.eval()
        plain = from_escnn(theirs)
        assert not any(type(part).__module__.startswith("escnn") for part in plain.modules())
        with torch.no_grad():
            expected = theirs(enn.GeometricTensor(images, theirs.in_type)).tensor
            assert distance(plain(images), expected) < 1e-5
        assert [part.training for _, part in plain.named_children()].count(True) == (mode == "train") * 10


def test_running_statistics_gradients_and_weights_are_theirs(enn):
    torch.manual_seed(0)
    theirs = network(enn, import_escnn().space(PlanarGroup(4, True))).train()
    plain = from_escnn(theirs)
    images = torch.randn(3, 1, 12, 12)
    for one in (theirs, plain):
        one(images).square().sum().backward()
    weights = {name: value.grad for name, value in theirs.named_parameters()}
    for name in ("lift.weights", "block2.conv1.weights", "fc.weight"):
        assert distance(plain.get_parameter(name).grad, weights[name]) < 1e-4
    assert (
        distance(plain.block1.norm.norms["8"].running_var, theirs.block1.norm.get_buffer("batch_norm_[8].running_var"))
        < 1e-5
    )


def test_a_network_with_a_forward_of_its_own_is_traced_pickled_and_exported(enn):
    torch.manual_seed(0)
    theirs = network(enn, import_escnn().space(PlanarGroup(4, True))).eval()
    randomise_norms(theirs)
    plain, images = from_escnn(theirs), torch.randn(2, 1, 12, 12)
    with torch.no_grad():
        expected = theirs(images)
        assert distance(plain(images), expected) < 1e-5
        assert distance(pickle.loads(pickle.dumps(plain))(images), expected) < 1e-5
        program = torch.export.export(plain, (images,)).module()
        assert distance(program(images), expected) < 1e-5


def test_what_is_not_covered_is_named_layer_by_layer(enn):
    space = import_escnn().space(PlanarGroup(4))
    kind = fields(enn, space, 0, 2)
    odd = enn.SequentialModule(enn.R2Conv(kind, kind, 3), enn.NormMaxPool(kind, 2), enn.IIDBatchNorm2d(kind))
    with pytest.raises(ValueError, match=r"not covered: 1: NormMaxPool; 2: IIDBatchNorm2d\. Convert"):
        from_escnn(odd)
    stale = enn.SequentialModule(enn.R2Conv(kind, kind, 3)).eval()
    with torch.no_grad():
        stale[0].weights.mul_(2)
    with pytest.raises(ValueError, match="is not what its weights give now"):
        from_escnn(stale)
    with pytest.raises(TypeError, match="a Linear has none"):
        from_escnn(nn.Linear(2, 2))


@pytest.mark.parametrize("name", ["c4_resnet18s_w8", "d1_resnet18s_w4"])
def test_an_encoder_and_a_stage_stand_among_escnns_modules(enn, name):
    torch.manual_seed(0)
    encoder = create_model(name, in_chans=3, num_classes=0, global_pool="regular").eval()
    whole, stage = as_escnn(encoder), as_escnn(encoder.layer1)
    images = enn.GeometricTensor(torch.randn(2, 3, 17, 17), whole.in_type)
    for module in (whole, enn.SequentialModule(enn.R2Conv(whole.in_type, stage.in_type, 3, padding=1), stage)):
        expected = module(images)
        assert module.evaluate_output_shape((2, 3, 17, 17)) == expected.tensor.shape
        for element in whole.in_type.gspace.testing_elements:
            moved = module(images.transform(element)).tensor
            torch.testing.assert_close(moved, expected.transform(element).tensor, atol=1e-5, rtol=1e-4)
    assert torch.equal(whole(images).tensor[..., 0, 0], encoder.out_field.to_escnn(encoder(images.tensor)))
    assert whole.module is encoder


def test_fields_of_a_layer_are_declared_or_asked_for(enn):
    layer = SteerableConv2d("c4", 3, 2, 3, lifting=True)
    assert as_escnn(layer).out_type.size == 8
    plain = nn.Conv2d(3, 2, 1)
    with pytest.raises(ValueError, match="in_field must be given where the module does not declare it"):
        as_escnn(plain)
    assert as_escnn(plain, in_field=Scalars(3), out_field=Scalars(2), group="c4").in_type.size == 3
    with pytest.raises(ValueError, match="group must be one, that of both fields; got None"):
        as_escnn(plain, in_field=Scalars(3), out_field=Scalars(2))
    mixed = Sum.of(Scalars(1), Regular(PlanarGroup(4), 2))
    assert as_escnn(nn.Identity(), in_field=mixed, out_field=mixed).in_type.size == 9
    with pytest.raises(ValueError, match="in_field must be scalars and regular fields of a whole group"):
        as_escnn(nn.Identity(), in_field=Regular(PlanarGroup(4), 2, (0, 2)), out_field=Scalars(1))
    with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module"):
        as_escnn(len)
