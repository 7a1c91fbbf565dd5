"""The scalar bases span what they should, turn as they should, and keep the variance of the activations."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableConv2d, default_basis, scalar_basis
from tests.layers.commuting import GROUPS, PIXEL_GROUPS
from tests.reference import group_convolution as reference
from tests.reference import wide_limit

SAMPLED = [("c1", "harmonic", 3), ("c3", "harmonic", 3), ("d4", "harmonic", 3), ("d8", "harmonic", 3)]
SAMPLED += [("c4", "pixel", 3), ("d1", "pixel", 3), ("c8", "harmonic", 5)]
"""Every basis, kernel, and group without and with turns and flips: what is sampled each time."""
VARIANCE_GROUPS = ("c1", "c2", "c4", "d1", "d2", "d4", "c8", "d8", "c3", "d6")
DEPTH = 18


# What it spans.


@pytest.mark.parametrize("name", GROUPS)
def test_the_pixel_basis_is_the_default_where_it_exists(name):
    assert default_basis(PlanarGroup.parse(name)) == ("pixel" if name in PIXEL_GROUPS else "harmonic")


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(("kernel_size", "functions"), [(1, 1), (3, 8), (5, 21), (7, 40)])
def test_the_harmonics_are_independent(name, kernel_size, functions):
    """1 at the centre and 1 + 6r on the ring of radius r: cosine and sine of the frequencies up to 3r."""
    for turned in scalar_basis("harmonic", PlanarGroup.parse(name), kernel_size):
        assert len(turned) == functions == torch.linalg.matrix_rank(turned.flatten(1))


@pytest.mark.parametrize("name", PIXEL_GROUPS)
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_the_pixel_basis_is_one_delta_a_pixel(name, kernel_size):
    for turned in scalar_basis("pixel", PlanarGroup.parse(name), kernel_size):
        assert torch.equal(turned.flatten(1) @ turned.flatten(1).T, torch.eye(kernel_size**2).double())
        assert ((turned == 0) | (turned == 1)).all()


@pytest.mark.parametrize(
    ("name", "basis", "kernel_size", "dimension"),
    [
        ("c1", "pixel", 3, 9),
        ("c4", "pixel", 3, 36),
        ("d4", "pixel", 3, 72),
        ("c4", "harmonic", 3, 32),
        ("c8", "harmonic", 3, 64),
        ("c8", "harmonic", 5, 168),
        ("d4", "harmonic", 3, 64),
        ("d8", "harmonic", 5, 336),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_the_dimension_of_the_kernel_space_is_known(name, basis, kernel_size, dimension):
    """For harmonics these are the dimensions that escnn 1.0.11 finds by solving the kernel constraint."""
    conv = SteerableConv2d(name, 1, 1, kernel_size, basis=basis).double()
    kernels = []
    for unit in torch.eye(conv.weight.numel(), dtype=torch.float64):
        conv.weight = torch.nn.Parameter(unit.view_as(conv.weight))
        # The kernels into one element tell those into the others.
        kernels.append(conv.expanded()[0].detach().flatten())
    assert len(kernels) == dimension == torch.linalg.matrix_rank(torch.stack(kernels))


# How it turns.


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_the_harmonics_are_the_formula_up_to_a_scale_of_each_function(name, kernel_size):
    group = PlanarGroup.parse(name)
    functions = scalar_basis("harmonic", group, kernel_size)
    expected = reference.turned_functions("harmonic", group.rotations, group.reflections, kernel_size)
    scale = functions[0].flatten(1).norm(dim=1) / expected[0].flatten(1).norm(dim=1)
    torch.testing.assert_close(functions, expected * scale[:, None, None], rtol=0, atol=1e-10)
    # Cosine and sine of one frequency share their scale: only so is no direction preferred.
    torch.testing.assert_close(scale[2:8:2], scale[3:8:2])


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("basis", ["pixel", "harmonic"])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_exact_elements_permute_the_pixels_of_the_functions(name, basis, kernel_size):
    group = PlanarGroup.parse(name)
    if basis == "pixel" and name not in PIXEL_GROUPS:
        with pytest.raises(ValueError, match=r"the pixel basis needs a group of quarter turns and axis flips"):
            scalar_basis(basis, group, kernel_size)
        return
    functions = scalar_basis(basis, group, kernel_size)
    for g in group.exact_elements:
        for h in group.elements:
            assert torch.equal(functions[group.compose(g, h)], group.act(g, functions[h]))


# How strongly it answers.


@pytest.mark.parametrize("name", VARIANCE_GROUPS)
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_white_and_constant_inputs_pass_as_through_pixel_deltas(name, kernel_size):
    for functions in scalar_basis("harmonic", PlanarGroup.parse(name), kernel_size):
        assert float(functions.square().sum()) == pytest.approx(kernel_size**2, rel=0.01)
        assert float(functions.sum((1, 2)).square().sum()) == pytest.approx(kernel_size**2, rel=0.01)


@pytest.mark.parametrize("blur", [0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_inputs_in_between_pass_within_7_percent(kernel_size, blur):
    functions = scalar_basis("harmonic", PlanarGroup(1), kernel_size)[0].flatten(1)
    axis = torch.arange(kernel_size, dtype=torch.float64)
    line = (-((axis[:, None] - axis) ** 2) / (2 * blur**2)).exp()
    response = torch.einsum("jx,xy,jy->", functions, torch.kron(line, line), functions)
    assert float(response) == pytest.approx(kernel_size**2, rel=0.07)


@pytest.mark.parametrize(
    ("name", "basis", "kernel_size"),
    [(name, "harmonic", kernel_size) for name in VARIANCE_GROUPS for kernel_size in (3, 5, 7)]
    + [(name, "pixel", 3) for name in VARIANCE_GROUPS if name in PIXEL_GROUPS],
)
@pytest.mark.parametrize("blur", [0.1, 3.0], ids=["noise", "smooth"])
@pytest.mark.usefixtures("no_shape_checks")
def test_in_wide_networks_the_variance_stays_within_a_factor_2(name, basis, kernel_size, blur):
    """Through 18 layers, and from the image through the lifting layer (whose gain of 2 the ReLU takes back)."""
    group, size = PlanarGroup.parse(name), 10
    products = torch.tensor([[group.compose(g, r) for r in group.elements] for g in group.elements])
    distance = torch.minimum(torch.arange(size), size - torch.arange(size)).double()
    line = (-(distance**2) / (2 * blur**2)).exp()
    functions = scalar_basis(basis, group, kernel_size)
    found = wide_limit.variances(functions, products, depth=DEPTH, image=line[:, None] * line)
    assert 0.8 < found[0] / 2 < 1.25
    assert 0.5 < min(found) / found[0] <= max(found) / found[0] < 2


@pytest.mark.parametrize(
    ("name", "basis", "kernel_size"),
    [
        *SAMPLED,
        *(
            pytest.param(name, basis, 3, marks=pytest.mark.slow)
            for name in VARIANCE_GROUPS
            for basis in (("harmonic", "pixel") if name in PIXEL_GROUPS else ("harmonic",))
            if (name, basis, 3) not in SAMPLED
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
@torch.no_grad()
def test_in_sampled_networks_the_variance_stays(name, basis, kernel_size):
    """What each layer makes of the mean square of its input, averaged over networks and multiplied over 18 layers."""
    group, size = PlanarGroup.parse(name), 6
    fields = max(64 // group.order, 8)
    networks = 512 // fields
    options = {"basis": basis, "bias": False, "padding_mode": "circular"}
    distance = torch.minimum(torch.arange(size), size - torch.arange(size))
    blur = torch.fft.rfft2((-(distance[:, None] ** 2 + distance**2) / 2.0).exp())
    maps = [torch.fft.irfft2(torch.fft.rfft2(torch.randn(1, 16, size, size)) * blur) for _ in range(networks)]
    variance = 1.0
    for depth in range(DEPTH):
        before = sum(float(x.square().mean()) for x in maps)
        outputs = []
        for x in maps:
            if depth == 0:
                conv = SteerableConv2d(group, 16, fields, kernel_size, lifting=True, **options)
            else:
                conv = SteerableConv2d(group, fields, fields, kernel_size, **options)
            outputs.append(conv(x))
        after = sum(float(x.square().mean()) for x in outputs)
        # A symmetric distribution of weights: the ReLU passes half of the variance.
        variance *= after / before / 2
        maps = [(x / x.square().mean().sqrt()).relu() for x in outputs]
        # Factor 2, and what 512 fields leave of sampling noise.
        assert 0.4 < variance < 2.5


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("basis", ["pixel", "harmonic"])
@pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "regular"])
def test_weights_are_drawn_independently_with_the_variance_of_he(name, basis, lifting):
    if basis == "pixel" and name not in PIXEL_GROUPS:
        basis = None
    conv = SteerableConv2d(name, 40, 60, 3, basis=basis, lifting=lifting)
    weight = conv.weight.detach() * (conv.in_channels * 9 / 2) ** 0.5
    assert abs(float(weight.mean())) < 5 / weight.numel() ** 0.5
    assert abs(float(weight.var()) - 1) < 5 * (2 / weight.numel()) ** 0.5
    assert not conv.bias.any()


# Bad arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fourier", "c4", 3), "basis must be one of pixel, harmonic; got 'fourier'. None picks the group's default."),
        (
            ("pixel", "d3", 3),
            "the pixel basis needs a group of quarter turns and axis flips (C1, C2, C4, D1, D2, D4); got D3.",
        ),
        (("harmonic", "c8", 4), "the harmonic basis needs an odd kernel size, whose rings have a centre pixel; got 4."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(arguments, message):
    name, group, kernel_size = arguments
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        scalar_basis(name, PlanarGroup.parse(group), kernel_size)
