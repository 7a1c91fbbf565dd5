"""What every layer declares is true: its output moves as its output field says if its input moves as its input does."""

from __future__ import annotations

import inspect
import re

import pytest
import torch
from torch import nn

import eqmodels.layers
from eqmodels.fields import Field, Regular, Scalars, Vectors
from eqmodels.groups import PlanarGroup
from eqmodels.layers import (
    AnglePredictor,
    ExactDownsample2d,
    ExactUpsample2d,
    FieldBatchNorm2d,
    FieldDropout1d,
    FieldDropout2d,
    FieldLayerNorm2d,
    GlobalPool,
    GroupPool,
    JoinFields,
    OddSize2d,
    OutputConv2d,
    Restrict,
    SteerableConv2d,
    SteerableFilters,
    SteerableLinear,
    output_field,
    pose_predictor,
)
from eqmodels.layers.pool import reads_pose

C4, D4 = PlanarGroup.parse("c4"), PlanarGroup.parse("d4")
VECTORS, MAPS, PIXELS = (), (7, 6), (1, 1)


def pooled(mode: str, group: str = "d4") -> GlobalPool:
    pose = pose_predictor(group, 2, hidden=32) if reads_pose(mode) else None
    return GlobalPool(group, mode, pose=pose)


# A layer, the field of its input, the space of its input, and the field of its output.
LAYERS = [
    (SteerableConv2d("d4", 3, 2, 3, lifting=True), Scalars(3), MAPS, Regular("d4", 2)),
    (SteerableConv2d("c4", 2, 3, 3), Regular("c4", 2), MAPS, Regular("c4", 3)),
    (SteerableConv2d("c8", 1, 2, 5), Regular("c8", 1), MAPS, Regular("c8", 2)),
    (SteerableConv2d("c1", 3, 2, 3), Scalars(3), MAPS, Regular("c1", 2)),
    (OutputConv2d("d4", 2, Scalars(3)), Regular("d4", 2), MAPS, Scalars(3)),
    (SteerableLinear("d4", 2, 3), Regular("d4", 2), VECTORS, Regular("d4", 3)),
    (SteerableLinear("d6", 1, 2), Regular("d6", 1), VECTORS, Regular("d6", 2)),
    (FieldBatchNorm2d("d4", 2), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (FieldLayerNorm2d("c4", 2), Regular("c4", 2), MAPS, Regular("c4", 2)),
    (FieldDropout2d("c4"), Regular("c4", 3), MAPS, Regular("c4", 3)),
    (FieldDropout1d("c4"), Regular("c4", 3), VECTORS, Regular("c4", 3)),
    (ExactDownsample2d(), Regular("d4", 1), MAPS, Regular("d4", 1)),
    (ExactDownsample2d("max"), Scalars(1) + Regular("d4", 1), MAPS, Scalars(1) + Regular("d4", 1)),
    (OddSize2d(), Regular("d2", 1, (0, 3)), MAPS, Regular("d2", 1, (0, 3))),
    (GroupPool("d4"), Regular("d4", 3), MAPS, Scalars(3)),
    (GroupPool("d4", "norm"), Regular("d4", 3), VECTORS, Scalars(3)),
    (GroupPool("c1"), Regular("c1", 3), MAPS, Regular("c1", 3)),
    (pooled("invariant"), Regular("d4", 2), MAPS, Scalars(2)),
    (pooled("regular"), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (pooled("invariant+regular"), Regular("d4", 2), MAPS, Scalars(2) + Regular("d4", 2)),
    (pooled("canonical"), Regular("d4", 2), MAPS, Scalars(16)),
    (pooled("canonical-soft"), Regular("d4", 2), MAPS, Scalars(16)),
    (pooled("weighted"), Regular("d4", 2), MAPS, Scalars(2)),
    (pooled("invariant", "c1"), Regular("c1", 2), MAPS, Regular("c1", 2)),
    (pooled("invariant+regular", "c1"), Scalars(2), MAPS, Regular("c1", 4)),
    (Restrict("d4", "c4"), Regular("d4", 2), MAPS, Regular("c4", 4)),
    (Restrict("d8", "d2"), Regular("d8", 1), VECTORS, Regular("d2", 4)),
    (Restrict("d4", "c1"), Regular("d4", 1), VECTORS, Regular("c1", 8)),
    (AnglePredictor("d4", 2, hidden=16), Regular("d4", 2), VECTORS, Vectors("d4", 1)),
    (pose_predictor("d4", 2, hidden=16), Regular("d4", 2), VECTORS, Regular("d4", 1)),
    # Stock modules, one of every rule.
    (nn.ReLU(), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (nn.Identity(), Regular("d2", 2, (0, 3)), VECTORS, Regular("d2", 2, (0, 3))),
    (nn.Dropout(), Scalars(2) + Regular("c4", 1), VECTORS, Scalars(2) + Regular("c4", 1)),
    (nn.MaxPool2d(3, 1, 1), Regular("c4", 2), MAPS, Regular("c4", 2)),
    (nn.AdaptiveAvgPool2d(1), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (nn.ZeroPad2d(2), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (nn.Flatten(), Regular("d4", 2), PIXELS, Regular("d4", 2)),
    (nn.PReLU(), Regular("d4", 2), MAPS, Regular("d4", 2)),
    (nn.PReLU(3), Scalars(3), MAPS, Scalars(3)),
    (nn.Linear(3, 5), Scalars(3), VECTORS, Scalars(5)),
    (nn.Linear(3, 5), Scalars(1) + Scalars(2), VECTORS, Scalars(5)),
    (nn.Linear(3, 5), Regular("c1", 3), VECTORS, Regular("c1", 5)),
    (nn.Conv2d(3, 5, 1), Scalars(3), MAPS, Scalars(5)),
    (nn.Conv2d(3, 5, 3), Regular("c1", 3), MAPS, Regular("c1", 5)),
    (nn.BatchNorm2d(3), Scalars(3), MAPS, Scalars(3)),
    (nn.GroupNorm(1, 3), Scalars(3), MAPS, Scalars(3)),
    (nn.InstanceNorm2d(3, affine=True), Scalars(3), MAPS, Scalars(3)),
    (nn.LayerNorm(3), Scalars(3), VECTORS, Scalars(3)),
    (nn.Sequential(), Regular("c4", 2), VECTORS, Regular("c4", 2)),
]
each_layer = pytest.mark.parametrize(
    ("layer", "in_field", "space", "out_field"), LAYERS, ids=[f"{type(case[0]).__name__}-{case[1]}" for case in LAYERS]
)


def elements_of(in_field: Field, out_field: Field, space: tuple[int, ...]) -> tuple[PlanarGroup, list[int]]:
    """Elements that both fields represent; of maps those that permute pixels."""
    group = out_field.group or in_field.group or D4
    said = [g for g in group.elements if in_field.represents(group, g) and out_field.represents(group, g)]
    return group, [g for g in said if not space or group.is_exact(g)]


@each_layer
@torch.no_grad()
def test_the_declared_output_field_is_the_true_one(layer, in_field, space, out_field, randomised):
    assert output_field(layer, in_field) == out_field
    layer = randomised(layer.double()).eval()
    features = torch.randn(2, in_field.channels, *space, dtype=torch.float64)
    outputs = layer(features)
    assert outputs.shape[1] == out_field.channels
    assert float(outputs.std()) > 0
    group, elements = elements_of(in_field, out_field, space)
    assert len(elements) > 1 or "c1" in str(out_field)
    for g in elements:
        moved, expected = layer(in_field.act(group, g, features)), out_field.act(group, g, outputs)
        torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-9)


MOVING = [case for case in LAYERS if case[3].group is not None and case[3].group.order > 1]


@pytest.mark.parametrize(
    ("layer", "in_field", "space", "out_field"), MOVING, ids=[f"{type(case[0]).__name__}-{case[1]}" for case in MOVING]
)
@torch.no_grad()
def test_scalars_would_be_a_wrong_declaration_of_what_keeps_a_fibre(layer, in_field, space, out_field, randomised):
    """The control: the law above tells fields apart."""
    layer, wrong = randomised(layer.double()).eval(), Scalars(out_field.channels)
    features = torch.randn(2, in_field.channels, *space, dtype=torch.float64)
    group, elements = elements_of(in_field, out_field, space)
    moved, unmoved = (layer(in_field.act(group, g, features)) for g in (elements[1], 0))
    assert float((moved - wrong.act(group, elements[1], unmoved)).abs().max()) > 1e-3


def test_every_layer_of_the_package_declares():
    """A layer that is added must declare, and stand in the list above."""
    classes = {
        value
        for value in vars(eqmodels.layers).values()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value is not SteerableFilters
    }
    # They take a size, or other maps, beside the maps, and are tested in tests/layers and tests/backbones.
    classes -= {ExactUpsample2d, JoinFields}
    assert all(hasattr(value, "output_field") for value in classes)
    assert classes <= {type(case[0]) for case in LAYERS}


@pytest.mark.parametrize(
    "case", [case for case in LAYERS if hasattr(case[0], "in_field")], ids=lambda c: str(c[0])[:30]
)
def test_layers_of_fixed_width_have_their_fields_as_attributes(case):
    layer, in_field, _, out_field = case
    assert layer.out_field == out_field
    assert layer.in_field.channels == in_field.channels


def test_a_sequential_is_folded():
    network = nn.Sequential(
        SteerableConv2d("d4", 3, 4, 3, lifting=True),
        nn.Sequential(FieldBatchNorm2d("d4", 4), nn.ReLU()),
        Restrict("d4", "c4"),
        SteerableConv2d("c4", 8, 2, 3),
        GlobalPool("c4", "invariant+regular"),
    )
    assert output_field(network, Scalars(3)) == Scalars(2) + Regular("c4", 2)
    assert output_field(network[:3], Scalars(3)) == Regular("c4", 8)


class _Fixed(nn.Module):
    out_field = Regular("c4", 1)


class _Encoder(nn.Module):
    in_chans, out_field = 3, Scalars(5)


def test_attributes_are_declarations():
    assert output_field(_Fixed(), Scalars(17)) == Regular("c4", 1)
    layer = _Fixed()
    layer.in_field = Scalars(2)
    assert output_field(layer, Scalars(2)) == Regular("c4", 1)
    with pytest.raises(ValueError, match=r"_Fixed\(\) takes the field 2 x scalar; got 3 x scalar"):
        output_field(layer, Scalars(3))


def test_an_encoder_takes_images():
    assert output_field(_Encoder(), Scalars(3)) == Scalars(5)
    with pytest.raises(ValueError, match="takes the field 3 x scalar"):
        output_field(_Encoder(), Scalars(1))


class _OwnReLU(nn.ReLU):
    """May do anything."""


class _OwnSequential(nn.Sequential):
    def forward(self, features):
        return features.flip(1)


class _Unknown(nn.Module):
    out_field = None


class _Irreps(Field):
    """A field whose elements mix channels, as e3nn's do."""

    channels, group = 2, None

    def represents(self, group, g):
        return True

    def _same(self, *arguments, **options):
        raise NotImplementedError

    transform = invariants = turned_back = to_escnn = from_escnn = _same

    def __str__(self):
        return "1 x frequency-1"


@pytest.mark.parametrize(
    ("module", "field", "sentence"),
    [
        (
            nn.Conv2d(8, 8, 3),
            Regular("c4", 2),
            "mixes or scales channels regardless of the group, and declares no field",
        ),
        (nn.Conv2d(3, 8, 3), Scalars(3), "reads a neighbourhood in one direction, and declares no field"),
        (nn.Conv2d(3, 8, 1), Scalars(4), "takes 3 channels; got the field 4 x scalar of 4"),
        (nn.Linear(8, 8), Regular("c4", 2), "mixes or scales channels regardless of the group"),
        (nn.Linear(8, 8), Scalars(4) + Regular("c4", 1), "mixes or scales channels regardless of the group"),
        (nn.Linear(72, 8), Scalars(8), "takes 72 channels; got the field 8 x scalar of 8"),
        (nn.BatchNorm2d(8), Regular("c4", 2), "mixes or scales channels regardless of the group"),
        (nn.PReLU(8), Regular("c4", 2), "mixes or scales channels regardless of the group"),
        (nn.Flatten(2), Regular("c4", 2), "declares no field, so that nothing is known of what its channels mean"),
        (nn.Softmax(1), Regular("c4", 2), "declares no field, so that nothing is known of what its channels mean"),
        (_OwnReLU(), Regular("c4", 2), "declares no field, so that nothing is known"),
        (_OwnSequential(nn.ReLU()), Regular("c4", 2), "_OwnSequential declares no field, so that nothing is known"),
        (nn.Sequential(nn.ReLU(), nn.Softmax(1)), Scalars(2), "Softmax(dim=1) declares no field"),
        (_Unknown(), Scalars(2), "declares no field of its output (out_field is None)"),
        (nn.ReLU(), _Irreps(), "ReLU() treats channels one by one and keeps a field only if its elements permute them"),
        (ExactDownsample2d("max"), _Irreps(), "treats channels one by one"),
        (nn.ReLU(), _Irreps() + Scalars(1), "treats channels one by one"),
        (SteerableConv2d("c4", 2, 2, 3), Scalars(8), "takes the field 2 x regular(c4); got 8 x scalar. Only a lifting"),
        (SteerableConv2d("c4", 2, 2, 3), Regular("c4", 3), "got 3 x regular(c4). Build it for this field."),
        (SteerableConv2d("c4", 4, 2, 3), Regular("d4", 2), "got 2 x regular(d4). Put Restrict('d4', 'c4') before it."),
        (SteerableConv2d("c4", 8, 2, 3, lifting=True), Regular("c4", 2), "Put GroupPool('c4') before it."),
        (SteerableLinear("c4", 1, 1), Regular("c4", 2, (0, 2)), "got 2 x regular(c4:0,2). Build it for this field."),
        (GroupPool("c4"), Scalars(8), "takes regular fields of C4; got 8 x scalar."),
        (GroupPool("c4"), Regular("c4", 1, (0, 2)), "takes regular fields of C4; got 1 x regular(c4:0,2)."),
        (GlobalPool("c4"), Regular("d4", 1), "takes regular fields of C4; got 1 x regular(d4). Put Restrict("),
        (FieldDropout2d("c4"), Scalars(1) + Regular("c4", 1), "takes regular fields of C4; got 1 x scalar + 1 x"),
        (FieldBatchNorm2d("d4", 2), Regular("d4", 1), "takes the field 2 x regular(d4); got 1 x regular(d4)."),
        (Restrict("d4", "c4"), Regular("c4", 2), "takes regular fields of D4; got 2 x regular(c4)."),
    ],
    ids=lambda value: str(value).split("(", maxsplit=1)[0][:30],
)
def test_what_is_not_declared_is_refused_in_a_sentence(module, field, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        output_field(module, field)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_every_field_is_one_of_the_trivial_group():
    """Nothing is claimed of it that could be wrong."""
    conv = SteerableConv2d("c1", 8, 2, 3)
    for field in (Scalars(8), Regular("c4", 2), Scalars(4) + Regular("c4", 1), Regular("c1", 8)):
        assert output_field(conv, field) == Regular("c1", 2)
        assert output_field(GroupPool("c1"), field) == Regular("c1", 8)
