"""The law of bad input: an error of one sentence with the argument, the rule, the value and a way out."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from eqmodels import PlanarGroup, create_model
from eqmodels.backbones import StandardResNet, SteerableResNet, WideSteerableResNet
from eqmodels.layers import ExactDownsample2d, GlobalPool, GroupPool, Restrict, SteerableConv2d
from eqmodels.registry import UnknownNameError

pytestmark = pytest.mark.usefixtures("no_shape_checks")

FAMILIES = ["c4_resnet18s_w8", "c4_wide_resnet16_8_w8", "resnet18s_w8"]
each_family = pytest.mark.parametrize("name", FAMILIES)


@contextmanager
def refused(kind, *parts):
    """Expects an error of exactly this kind whose message holds, in this order, argument, rule, value and way out."""
    with pytest.raises(kind) as error:
        yield
    assert error.type is kind
    message, position = str(error.value), 0
    for part in parts:
        found = message.find(part, position)
        assert found >= 0, f"{part!r} is not in, or not in its place in: {message}"
        position = found + len(part)
    assert "\n" not in message
    assert message.endswith(".")


# Images -------------------------------------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize(
    "shape", [(2, 1, 16, 16), (2, 4, 16, 16), (3, 16, 16), (16, 16), (2, 3, 16), (1, 2, 3, 16, 16)], ids=str
)
def test_images_of_another_channel_count_or_rank(name, shape):
    model = create_model(name)
    for forward in (model, model.forward_features):
        with refused(
            ValueError,
            "images must have the shape (batch, 3, height, width)",
            f"got {shape}",
            "images[None]",
            "in_chans=",
        ):
            forward(torch.zeros(shape))


@each_family
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integer_images(name, dtype):
    with refused(TypeError, "images must be floating point", f"got {dtype}", "images.float() / 255"):
        create_model(name)(torch.zeros(1, 3, 16, 16, dtype=dtype))


# Groups -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["c0", "x4", "4", "", "so2", "c-4", "c4 ", None, 4])
def test_an_impossible_group(group):
    for build in (PlanarGroup.parse, lambda g: SteerableConv2d(g, 1, 1, 3), lambda g: SteerableResNet("resnet18s", g)):
        with refused(
            ValueError, "a group is named c<N>", "with N >= 1", f"got {group!r}", "Use, for instance, 'c4' or 'd4'"
        ):
            build(group)


@pytest.mark.parametrize(
    ("rotations", "kind"), [(0, ValueError), (-4, ValueError), (4.0, TypeError), (True, TypeError)]
)
def test_an_impossible_number_of_rotations(rotations, kind):
    rule = "rotations must be an integer" if kind is TypeError else "rotations must be at least 1"
    with refused(kind, rule, f"got {rotations!r}", "Pass, say, PlanarGroup(4)"):
        PlanarGroup(rotations)


def test_a_basis_that_the_group_does_not_have():
    with refused(ValueError, "the pixel basis needs a group of quarter turns", "got C8", "Use basis='harmonic'"):
        create_model("c8_resnet18s", basis="pixel")
    with refused(ValueError, "basis must be one of pixel, harmonic", "got 'fourier'", "Use None."):
        create_model("c4_resnet18s", basis="fourier")


@pytest.mark.parametrize(
    ("restrict", "parts"),
    [
        (("d8", "d4"), ("restrict must name the groups of the three stages", "got ['D8', 'D4']", "Pass, say")),
        (("d4", "d4", "d1"), ("restrict must", "the first being D8", "got ['D4', 'D4', 'D1']", "Pass, say")),
        (("d8", "d3", "d1"), ("D3 is not a subgroup of D8", "choose one of", "a divisor of 8")),
        (("d8", "c4", "d1"), ("D1 is not a subgroup of C4", "choose one of C_n with n a divisor of 4")),
        (("d8", "d4", "z2"), ("a group is named c<N>", "got 'z2'", "Use, for instance")),
    ],
    ids=str,
)
def test_an_impossible_restriction(restrict, parts):
    with refused(ValueError, *parts):
        create_model("d8_wide_resnet16_8_w16", restrict=restrict)


def test_restriction_to_what_is_no_subgroup():
    with refused(ValueError, "D4 is not a subgroup of C8", "choose one of C_n with n a divisor of 8"):
        Restrict("c8", "d4")


# Widths and counts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "width", "order", "group", "nearest"),
    [
        ("c4_resnet18s", 30, 4, "C4", "28 and 32"),
        ("d8_resnet50s", 40, 16, "D8", "32 and 48"),
        ("d8_resnet18s", 3, 16, "D8", "16"),
        ("d4_wide_resnet16_8", 100, 8, "D4", "96 and 104"),
        ("c4_resnet18s", 0, 4, "C4", "4"),
        ("c4_resnet18s", -8, 4, "C4", "4"),
        ("resnet18s", 0, 1, "C1", "1"),
    ],
)
def test_a_width_that_the_group_does_not_divide(name, width, order, group, nearest):
    rule = f"width counts dense channels and must be a positive multiple of the order {order} of {group}"
    with refused(ValueError, rule, f"got {width}", f"Nearest valid widths: {nearest}."):
        create_model(name, width=width)


@pytest.mark.parametrize("width", [64.0, "64", True])
def test_a_width_that_is_no_integer(width):
    for name in ("c4_resnet18s", "c4_wide_resnet16_8", "resnet18s"):
        with refused(TypeError, "width must be an integer", f"got {width!r}", "Use "):
            create_model(name, width=width)


@each_family
@pytest.mark.parametrize(
    ("option", "value", "kind", "rule"),
    [
        ("in_chans", 0, ValueError, "at least 1"),
        ("in_chans", "3", TypeError, "an integer"),
        ("in_chans", 3.0, TypeError, "an integer"),
        ("num_classes", -1, ValueError, "at least 0"),
        ("num_classes", None, TypeError, "an integer"),
        ("num_classes", True, TypeError, "an integer"),
    ],
)
def test_impossible_counts(name, option, value, kind, rule):
    way_out = "Pass a whole number" if kind is ValueError else "Use "
    with refused(kind, option, f"must be {rule}", f"got {value!r}", way_out):
        create_model(name, **{option: value})


@each_family
@pytest.mark.parametrize(("classes", "kind"), [(-2, ValueError), ("ten", TypeError), (2.5, TypeError)])
def test_impossible_classifiers(name, classes, kind):
    with refused(kind, "num_classes must be", f"got {classes!r}", "Pass a whole number of at least 0"):
        create_model(name).reset_classifier(classes)


# Options ------------------------------------------------------------------------------------------------------------


@each_family
def test_unknown_poolings(name):
    choices = "global_pool must be one of invariant, regular, invariant+regular"
    with refused(ValueError, choices, "got 'sum'", "Use 'invariant'"):
        create_model(name, global_pool="sum")
    with refused(ValueError, choices, "got 'sum'", "Use 'invariant'"):
        create_model(name).reset_classifier(3, "sum")


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("norm", "group", ("norm must be one of batch, layer", "got 'group'", "Use 'batch'")),
        ("group_pool", "sum", ("group_pool must be one of max, mean, norm", "got 'sum'", "Use 'max'")),
        ("kernel_size", 4, ("an even kernel cannot keep the size", "got kernel_size=4", "Pass, say")),
        ("kernel_size", 0, ("kernel_size must be at least 1", "got 0", "Pass a whole number of at least 1")),
        ("backend", "e2cnn", ("has the backends", "'native'", "got 'e2cnn'", "Use ")),
    ],
)
@pytest.mark.parametrize("name", FAMILIES[:2])
def test_unknown_options_values(name, option, value, parts):
    with refused(ValueError, *parts):
        create_model(name, **{option: value})


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_an_impossible_dropout(p):
    with refused(ValueError, "p must be a probability between 0 and 1", f"got {p}", "Use 0 for no dropout"):
        create_model("c4_wide_resnet16_8_w8", dropout=p)


def test_pooling_layers_name_their_modes():
    with refused(ValueError, "mode must be 'mean' or 'max'", "got 'sum'", "Use 'mean'"):
        ExactDownsample2d("sum")
    with refused(ValueError, "mode must be one of max, mean, norm", "got 'min'", "Use 'max'"):
        GroupPool("c4", "min")
    with refused(ValueError, "global_pool must be one of", "got 'sum'", "Use 'invariant'"):
        GlobalPool("c4", "sum")


@each_family
def test_an_option_that_the_network_does_not_have(name):
    with pytest.raises(TypeError, match="drop_path"):
        create_model(name, drop_path=0.1)


# Names --------------------------------------------------------------------------------------------------------------


def test_unknown_names():
    with refused(
        UnknownNameError, "no model is named 'c4_resnet19'", "the nearest names are", "c4_resnet18s", "list_models()"
    ):
        create_model("c4_resnet19")
    with refused(TypeError, "name must be a string", "got 18", "list_models()"):
        create_model(18)


def test_a_width_that_is_given_twice():
    with refused(ValueError, "the width is given twice", "'c4_resnet18s_w8'", "width=16", "drop one"):
        create_model("c4_resnet18s_w8", width=16)


def test_a_wide_resnet_without_a_group():
    with refused(ValueError, "wide_resnet16_8", "needs a group; the name has none", "Use", "'c1_wide_resnet16_8'"):
        create_model("wide_resnet16_8")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet18s", ("resnet18s with backend='escnn' needs a group", "the name has none", "Use 'c4_resnet18s'")),
        ("c4_wide_resnet16_8", ("wide_resnet16_8 has the backends 'native'", "got 'escnn'", "Use 'native'")),
    ],
)
def test_a_network_that_escnn_does_not_build(name, parts):
    with refused(ValueError, *parts):
        create_model(name, backend="escnn")


@pytest.mark.parametrize("family", [SteerableResNet, WideSteerableResNet, StandardResNet])
def test_an_unknown_architecture(family):
    with refused(ValueError, "architecture must be one of", "got 'resnet19'", "Use "):
        family("resnet19")


# Strides ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel_size", "padding", "size", "nearest"),
    [(3, 1, 32, "31 and 33"), (7, 3, 224, "223 and 225"), (2, 0, 15, "14 and 16")],
)
@pytest.mark.parametrize("group", ["c4", "d4"])
def test_a_strided_layer_at_a_size_that_breaks_exactness(group, kernel_size, padding, size, nearest):
    conv = SteerableConv2d(group, 1, 1, kernel_size, stride=2, padding=padding, lifting=True)
    rule = f"a {kernel_size}x{kernel_size} convolution of stride 2, padding {padding} and dilation 1 is exactly"
    with refused(
        ValueError,
        rule,
        f"{group.upper()}-equivariant only if (size + {2 * padding} - {kernel_size}) % 2 == 0",
        f"got size {size}",
        f"Nearest valid sizes: {nearest}",
        "ExactDownsample2d",
    ):
        conv(torch.zeros(1, 1, size, size))
    below = int(nearest.split()[0])
    conv(torch.zeros(1, 1, below, below))


# Weights ------------------------------------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(name, value):
    model = create_model(name)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state = {key: torch.zeros_like(tensor) for key, tensor in before.items()}
    state["layer1.0.conv1.weight"].view(-1)[0] = value
    with refused(
        ValueError,
        "weights must be finite",
        f"1 of {len(state)}",
        "'layer1.0.conv1.weight'",
        "Nothing of the encoder was loaded: use a",
    ):
        model.load_state_dict(state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


# Features -----------------------------------------------------------------------------------------------------------


def test_regular_features_of_another_number_of_channels():
    group = PlanarGroup.parse("c4")
    with refused(ValueError, "regular features of C4", "divisible by 4", "got 6", "already invariant"):
        group.permute_fibre(1, torch.zeros(1, 6))
    with refused(ValueError, "an element of C4 is an integer from 0 to 3", "got 4"):
        group.act(4, torch.zeros(1, 1, 4, 4))
