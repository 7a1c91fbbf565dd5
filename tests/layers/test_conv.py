"""A steerable convolution commutes with the group, is the literature's, and says where it would not be exact."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional as F

from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableConv2d
from tests.layers.commuting import (
    GROUPS,
    PIXEL_GROUPS,
    TOLERANCE,
    assert_commutes,
    enough_elements,
    equivariance_error,
    randomise,
)
from tests.reference import group_convolution as reference

CHOICES = [
    (name, basis) for name in GROUPS for basis in ("pixel", "harmonic") if basis != "pixel" or name in PIXEL_GROUPS
]

each_choice = pytest.mark.parametrize(("name", "basis"), CHOICES)
lifting_or_regular = pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "regular"])


def build(name, *args, **options):
    return randomise(SteerableConv2d(name, *args, **options))


def assert_equivariant(conv, *, height=10, width=10, elements=None):
    before = "act" if conv.lifting else "act_on_fields"
    inputs = torch.randn(2, conv.in_channels, height, width, dtype=torch.float64)
    assert_commutes(conv, conv.group, inputs, before=before, elements=elements)


# Exactness.


@each_choice
@lifting_or_regular
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_it_commutes_with_quarter_turns_and_flips(name, basis, lifting, kernel_size):
    conv = build(name, 2, 3, kernel_size, basis=basis, lifting=lifting)
    assert_equivariant(conv, height=8, width=9)


@each_choice
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "circular"])
def test_it_commutes_with_every_padding_mode(name, basis, padding_mode):
    assert_equivariant(build(name, 2, 2, 3, basis=basis, padding=2, padding_mode=padding_mode), height=8, width=7)


@each_choice
@pytest.mark.parametrize("dilation", [2, 3])
def test_it_commutes_when_dilated(name, basis, dilation):
    conv = build(name, 1, 2, 3, basis=basis, dilation=dilation)
    assert conv(torch.zeros(1, conv.in_channels, 9, 8).double()).shape[-2:] == (9, 8)
    assert_equivariant(conv, height=9, width=8)


@pytest.mark.parametrize("name", PIXEL_GROUPS)
@pytest.mark.parametrize(("kernel_size", "padding"), [(2, 0), (2, 1), (4, 1), (4, 2)])
def test_even_pixel_kernels_commute(name, kernel_size, padding):
    assert_equivariant(build(name, 2, 2, kernel_size, padding=padding), height=8, width=7)
    assert_equivariant(build(name, 2, 2, kernel_size, padding=padding, lifting=True), height=8, width=7)


@pytest.mark.parametrize("name", ["c3", "c8", "d8", "d6"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_quarter_turns_and_flips_of_finer_groups_are_exact_after_rounding(name, dtype):
    """The filters of exact elements are permuted pixels of each other, bit for bit."""
    conv = SteerableConv2d(name, 1, 1, 5, lifting=True).to(dtype)
    kernels = conv.expanded().detach()[:, 0]
    for g in conv.group.exact_elements:
        for h in conv.group.elements:
            assert torch.equal(kernels[conv.group.compose(g, h)], conv.group.act(g, kernels[h]))


# The formula.


@each_choice
@lifting_or_regular
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_its_filters_are_the_formula_written_with_loops(name, basis, lifting, kernel_size):
    conv = build(name, 1 if PlanarGroup.parse(name).order > 8 else 2, 1, kernel_size, basis=basis, lifting=lifting)
    rotations, reflections = conv.group.rotations, conv.group.reflections
    kind = basis if kernel_size > 1 else "pixel"
    functions = reference.turned_functions(kind, rotations, reflections, kernel_size)
    if kind == "harmonic":
        # The scale of each function is the package's own choice (see the variance laws in test_basis.py).
        ours = conv._functions.mT.unflatten(2, (kernel_size, kernel_size))
        scale = ours[0].flatten(1).norm(dim=1) / functions[0].flatten(1).norm(dim=1)
        functions = functions * scale[:, None, None]
    expected = reference.filters(conv.weight.detach(), functions, rotations, reflections)
    torch.testing.assert_close(conv.expanded().detach(), expected, rtol=0, atol=1e-6 if kind == "harmonic" else 0)


@pytest.mark.parametrize("name", ["c4", "d2"])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"), [(6, 1, 1, 1), (7, 2, 1, 1), (7, 1, 2, 2), (7, 2, 0, 1)]
)
def test_it_correlates_as_the_definition_does(name, size, stride, padding, dilation):
    conv = build(name, 1, 2, 3, stride=stride, padding=padding, dilation=dilation)
    maps = torch.randn(2, conv.in_channels, size, size, dtype=torch.float64)
    expected = reference.convolve(maps, conv.expanded().detach(), stride, padding, dilation)
    expected += conv.bias.detach().repeat(conv.group.order)[:, None, None]
    torch.testing.assert_close(conv(maps), expected)


@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_with_c4_it_is_the_group_convolution_of_cohen_and_welling(kernel_size):
    """Every orientation's filter is the first one, its pixels turned and its orientations shifted along."""
    fields = 3
    conv = build("c4", fields, 2, kernel_size, padding=1, bias=False)
    first = (
        conv.weight.detach().unflatten(0, (4, kernel_size, kernel_size)).permute(3, 0, 4, 1, 2)
    )  # (out, group, in, k, k)
    bank = torch.stack([first.roll(g, dims=1).rot90(g, dims=(-2, -1)) for g in range(4)])
    maps = torch.randn(2, 4 * fields, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(conv(maps), F.conv2d(maps, bank.flatten(0, 1).flatten(1, 2), padding=1))

    lift = build("c4", fields, 2, kernel_size, padding=1, bias=False, lifting=True)
    first = lift.weight.detach().unflatten(0, (kernel_size, kernel_size)).permute(2, 3, 0, 1)
    bank = torch.cat([first.rot90(g, dims=(-2, -1)) for g in range(4)])
    images = torch.randn(2, fields, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(lift(images), F.conv2d(images, bank, padding=1))


@lifting_or_regular
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}, {"padding": 0}], ids=str)
def test_with_the_trivial_group_it_is_an_ordinary_convolution(lifting, options):
    conv = build("c1", 3, 5, 3, lifting=lifting, **options)
    weight = conv.weight.unflatten(0, (3, 3)).permute(2, 3, 0, 1)
    padding = {"padding": options.get("dilation", 1)} | options
    maps = torch.randn(2, 3, 8, 10, dtype=torch.float64)
    torch.testing.assert_close(conv(maps), F.conv2d(maps, weight, conv.bias, **padding))


@pytest.mark.parametrize("padding_mode", ["reflect", "circular"])
def test_padding_is_that_of_conv2d(padding_mode):
    conv = build("c1", 3, 5, 3, padding=2, padding_mode=padding_mode)
    plain = torch.nn.Conv2d(3, 5, 3, padding=2, padding_mode=padding_mode).double()
    with torch.no_grad():
        plain.weight.copy_(conv.expanded())
        plain.bias.copy_(conv.bias)
    maps = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(conv(maps), plain(maps))


def test_without_a_bias_zero_stays_zero():
    conv = build("c4", 2, 2, 3, bias=False)
    assert conv.bias is None
    assert not conv(torch.zeros(1, 8, 4, 4).double()).any()


# Angles that the grid does not have.


def smooth(channels: int, size: int) -> torch.Tensor:
    """Random bumps some pixels wide in the middle of the image."""
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    centres = (torch.rand(channels, 6, 2, dtype=torch.float64) - 0.5) * size * 0.4
    heights = torch.randn(channels, 6, dtype=torch.float64)
    x, y = (torch.exp(-((axis - centres[..., i, None]) ** 2) / 18) for i in range(2))
    return torch.einsum("cb,cby,cbx->cyx", heights, y, x)[None]


@pytest.mark.parametrize("name", ["c8", "d8"])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@lifting_or_regular
@pytest.mark.usefixtures("no_shape_checks")
def test_turns_by_45_degrees_commute_approximately(name, kernel_size, lifting):
    """Within 18% on smooth maps; any other element is at least three times worse."""
    group = PlanarGroup.parse(name)
    conv = build(name, 8 if lifting else 2, 2, kernel_size, lifting=lifting, bias=False)
    act = group.act if lifting else group.act_on_fields
    inputs = smooth(conv.in_channels, 33)
    outputs = conv(inputs).detach()
    candidates = {h: group.act_on_fields(h, outputs) for h in group.elements}
    for g in set(group.elements) - set(group.exact_elements):
        moved = conv(act(g, inputs)).detach()
        errors = {h: float((moved - candidate).norm() / moved.norm()) for h, candidate in candidates.items()}
        right = errors.pop(g)
        assert right < 0.25
        assert min(errors.values()) > 2 * right


# Strides.


def strided_error(conv, height, width):
    """The equivariance error without the check of the size."""
    conv._mirrored = ()
    inputs = torch.randn(1, conv.in_channels, height, width, dtype=torch.float64)
    group = conv.group
    return equivariance_error(conv, inputs, group.act_on_fields, group.act_on_fields, enough_elements(group, inputs))


@torch.no_grad()
def raises(conv, height, width):
    try:
        conv(torch.zeros(1, conv.in_channels, height, width, dtype=torch.float64))
    except ValueError as error:
        # Otherwise the kernel is larger than the map.
        return "exactly" in str(error)
    return False


@pytest.mark.parametrize("name", ["c4", "d1"])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
@pytest.mark.usefixtures("no_shape_checks")
def test_a_strided_convolution_raises_exactly_where_it_would_not_be_exact(name, stride, kernel_size):
    for padding in (0, 1, 2):
        for dilation in (1, 2):
            conv = build(name, 1, 1, kernel_size, stride=stride, padding=padding, dilation=dilation)
            free = build(name, 1, 1, kernel_size, stride=stride, padding=padding, dilation=dilation)
            for size in range(5, 13):
                if size + 2 * padding <= dilation * (kernel_size - 1):
                    continue
                assert raises(conv, size, size) == (strided_error(free, size, size) > TOLERANCE), (
                    padding,
                    dilation,
                    size,
                )


@pytest.mark.parametrize(
    ("names", "height_free", "width_free"),
    [
        (("c1", "c3"), True, True),
        (("d1", "d3"), True, False),
        (("c2", "c4", "c6", "c8", "d2", "d4", "d6", "d8"), False, False),
    ],
)
def test_only_the_axes_that_an_exact_element_mirrors_are_checked(names, height_free, width_free):
    for name in names:
        conv, free = build(name, 1, 1, 3, stride=2), build(name, 1, 1, 3, stride=2)
        for height, width, allowed in [(8, 9, height_free), (9, 8, width_free), (9, 9, True)]:
            assert raises(conv, height, width) is not allowed
            assert (strided_error(free, height, width) < TOLERANCE) is allowed


def test_the_error_names_the_rule_the_value_and_the_way_out():
    conv = SteerableConv2d("c4", 2, 2, 3, stride=2, padding=1)
    message = (
        "a 3x3 convolution of stride 2, padding 1 and dilation 1 is exactly C4-equivariant only if "
        "(size + 2 - 3) % 2 == 0; got size 32. Nearest valid sizes: 31 and 33; ExactDownsample2d before a "
        "convolution of stride 1 is exact at every size."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv(torch.zeros(1, 8, 31, 32))


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize(
    ("kernel_size", "padding", "dilation"), [(3, 1, 1), (2, 0, 1), (5, 0, 1), (7, 3, 1), (3, 0, 3), (4, 2, 2)]
)
@pytest.mark.usefixtures("no_shape_checks")
def test_the_error_names_the_nearest_sizes_that_work(stride, kernel_size, padding, dilation):
    conv = build("c4", 1, 1, kernel_size, stride=stride, padding=padding, dilation=dilation)
    free = build("c4", 1, 1, kernel_size, stride=stride, padding=padding, dilation=dilation)
    smallest = max(1, dilation * (kernel_size - 1) + 1 - 2 * padding)
    works = [size for size in range(smallest, 40) if strided_error(free, size, size) < TOLERANCE]
    refused = [size for size in range(1, 20) if raises(conv, size, size)]
    assert refused
    for size in refused:
        nearest = [max([s for s in works if s < size], default=None), min(s for s in works if s > size)]
        named = " and ".join(str(s) for s in nearest if s)
        with pytest.raises(ValueError, match=f"got size {size}. Nearest valid sizes: {named};"):
            conv(torch.zeros(1, 4, size, size, dtype=torch.float64))


# Bad arguments.


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"in_fields": 0}, ValueError, "in_fields must be at least 1; got 0. Pass a whole number of at least 1."),
        ({"out_fields": 2.0}, TypeError, "out_fields must be an integer; got 2.0. Pass a whole number of at least 1."),
        (
            {"kernel_size": (3, 3)},
            TypeError,
            "kernel_size must be an integer; got (3, 3). Pass a whole number of at least 1.",
        ),
        ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1; got 0. Pass a whole number of at least 1."),
        ({"stride": 0}, ValueError, "stride must be at least 1; got 0. Pass a whole number of at least 1."),
        ({"stride": 2.0}, TypeError, "stride must be an integer; got 2.0. Pass a whole number of at least 1."),
        ({"dilation": 0}, ValueError, "dilation must be at least 1; got 0. Pass a whole number of at least 1."),
        ({"padding": -1}, ValueError, "padding must be at least 0; got -1. Pass a whole number of at least 0."),
        ({"padding": "same"}, TypeError, "padding must be an integer; got 'same'. Pass a whole number of at least 0."),
        ({"groups": 2}, ValueError, "groups must be 1 (grouped steerable convolutions are not built yet); got 2."),
        (
            {"padding_mode": "replicate"},
            ValueError,
            "padding_mode must be one of zeros, reflect, circular; got 'replicate'. Use 'zeros'.",
        ),
        (
            {"basis": "fourier"},
            ValueError,
            "basis must be one of pixel, harmonic; got 'fourier'. None picks the group's default.",
        ),
        (
            {"kernel_size": 4},
            ValueError,
            "an even kernel cannot keep the size, so padding must be given; got kernel_size=4. Pass, say, padding=0.",
        ),
        (
            {"kernel_size": 4, "basis": "harmonic", "padding": 0},
            ValueError,
            "the harmonic basis needs an odd kernel size, whose rings have a centre pixel; got 4. Use 3 or 5.",
        ),
        (
            {"group": "c8", "basis": "pixel"},
            ValueError,
            "the pixel basis needs a group of quarter turns and axis flips (C1, C2, C4, D1, D2, D4); got C8. "
            "Use basis='harmonic'.",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_an_impossible_argument_is_answered_in_one_sentence(options, kind, message):
    arguments = {"group": "c4", "in_fields": 2, "out_fields": 2, "kernel_size": 3} | options
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        SteerableConv2d(**arguments)


@pytest.mark.parametrize(
    ("maps", "kind", "message"),
    [
        (torch.zeros(1, 6, 5, 5), ValueError, r"of the shape \(batch, 8, height, width\); got \(1, 6, 5, 5\)"),
        (torch.zeros(8, 5, 5), ValueError, r"of the shape \(batch, 8, height, width\); got \(8, 5, 5\)"),
        (torch.zeros(1, 8, 5, 5, dtype=torch.uint8), TypeError, r"must be floating point; got torch.uint8\. Convert"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_maps_are_answered_in_one_sentence(maps, kind, message):
    with pytest.raises(kind, match=message):
        SteerableConv2d("c4", 2, 2, 3)(maps)


def test_it_prints_what_it_is():
    text = str(SteerableConv2d("d4", 2, 3, 5, stride=2, bias=False, lifting=True))
    assert (
        "D4, 2, 3, kernel_size=5, basis='pixel', lifting, stride=2, padding=2, padding_mode='zeros', bias=False" in text
    )
