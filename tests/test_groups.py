"""C_N and D_N are groups, and what they do to images and to regular feature maps are actions."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from eqmodels.groups import PlanarGroup, circular_mask, rotate
from eqmodels.layers import Restrict

DTYPES = [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [(5, 5), (6, 6), (4, 7), (5, 9), (1, 4)]
SIZE = 32
INTERPOLATION = 0.08  # relative error

groups = st.builds(PlanarGroup, st.integers(1, 24), st.booleans())
exact_groups = st.sampled_from([PlanarGroup.parse(name) for name in ("c1", "c2", "c4", "d1", "d2", "d4")])


@st.composite
def group_and_elements(draw, count: int, groups=groups):
    group = draw(groups)
    return group, *(draw(st.sampled_from(group.elements)) for _ in range(count))


@cache
def smooth_images(seed: int, *, size: int = SIZE, count: int = 4) -> torch.Tensor:
    """Random images that a bilinear interpolation represents well and that vanish outside the inscribed circle."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    images = torch.zeros(count, size, size, dtype=torch.float64)
    # Bumps around a wheel: without a symmetry, and different at every angle.
    for i in range(count):
        for _ in range(8):
            radius, angle, height = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
            centre = [size * (0.12 + 0.16 * radius) * f(2 * math.pi * angle) for f in (math.cos, math.sin)]
            squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
            images[i] += (height - 0.3) * torch.exp(-squared / (2 * (size / 14) ** 2))
    return images


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


# The axioms.


@given(group_and_elements(3))
def test_the_product_is_associative_and_closed(drawn):
    group, g, h, k = drawn
    assert group.compose(g, h) in group.elements
    assert group.compose(group.compose(g, h), k) == group.compose(g, group.compose(h, k))


@given(group_and_elements(1))
def test_the_identity_is_neutral_and_every_element_has_an_inverse(drawn):
    group, g = drawn
    assert group.compose(g, group.identity) == g == group.compose(group.identity, g)
    assert group.compose(g, group.inverse(g)) == group.identity == group.compose(group.inverse(g), g)


@given(groups)
def test_the_order_counts_rotations_and_reflections(group):
    assert group.order == len(group.elements) == group.rotations * (1 + group.reflections)
    assert sum(group.reflected(g) for g in group.elements) == group.rotations * group.reflections


@given(group_and_elements(1))
def test_a_turn_by_360_over_n_has_order_n_and_a_reflection_order_2(drawn):
    group, g = drawn
    power, order = g, 1
    while power != group.identity:
        power, order = group.compose(g, power), order + 1
    if group.reflected(g):
        assert order == 2
    else:
        assert order == group.rotations // math.gcd(g, group.rotations)


@given(group_and_elements(2))
def test_relative_elements_are_inverse_times_element(drawn):
    group, g, h = drawn
    assert group.compose(g, int(group.relative_elements()[g, h])) == h


@given(group_and_elements(2))
def test_matrices_are_a_faithful_homomorphism_into_the_orthogonal_group(drawn):
    group, g, h = drawn
    product = group.matrix(g) @ group.matrix(h)
    torch.testing.assert_close(product, group.matrix(group.compose(g, h)), rtol=0, atol=1e-12)
    torch.testing.assert_close(group.matrix(g) @ group.matrix(g).T, torch.eye(2, dtype=torch.float64))
    assert torch.allclose(group.matrix(g), group.matrix(h), atol=1e-6) == (g == h)
    assert (torch.linalg.det(group.matrix(g)) < 0) == group.reflected(g)


# The action on images.


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("circular", [False, True])
def test_quarter_turns_and_flips_act_exactly_on_every_dtype_and_shape(dtype, shape, circular):
    group = PlanarGroup.parse("d4")
    images = torch.randint(0, 200, (2, 3, *shape)).to(dtype)
    for g in group.elements:
        # The quarter turn and the flip make the whole group.
        for h in (1, 4):
            twice = group.act(g, group.act(h, images, circular=circular), circular=circular)
            once = group.act(group.compose(g, h), images, circular=circular)
            assert once.dtype == dtype
            assert torch.equal(twice, once)
        assert torch.equal(group.act(group.identity, images), images)


def test_distinct_elements_move_an_image_differently():
    group, images = PlanarGroup.parse("d4"), torch.arange(9).view(3, 3)
    assert len({tuple(group.act(g, images).flatten().tolist()) for g in group.elements}) == group.order


def test_the_action_moves_content_as_the_matrix_moves_points():
    """A pixel at (x, y), y upwards, goes to matrix(g) (x, y)."""
    group, size = PlanarGroup.parse("d4"), 5
    for g in group.elements:
        for row, column in [(0, 1), (1, 4), (2, 3)]:
            image = torch.zeros(size, size)
            image[row, column] = 1
            x, y = group.matrix(g) @ torch.tensor([column - 2.0, 2.0 - row], dtype=torch.float64)
            moved = group.act(g, image)
            assert moved[round(2 - float(y)), round(2 + float(x))] == 1


def test_a_turn_is_counter_clockwise_on_the_screen():
    assert rotate(torch.tensor([[1, 2], [3, 4]]), 90.0).tolist() == [[2, 4], [1, 3]]
    assert rotate(torch.tensor([[1, 2, 3], [4, 5, 6]]), 90.0).tolist() == [[3, 6], [2, 5], [1, 4]]
    assert rotate(torch.tensor([[1, 2], [3, 4]]), -90.0).tolist() == [[3, 1], [4, 2]]
    assert rotate(torch.tensor([[1, 2], [3, 4]]), 450.0).tolist() == [[2, 4], [1, 3]]


def test_the_reflection_swaps_left_and_right():
    group = PlanarGroup.parse("d1")
    assert group.act(1, torch.tensor([[1, 2, 3], [4, 5, 6]])).tolist() == [[3, 2, 1], [6, 5, 4]]


@pytest.mark.parametrize("shape", [(16, 16), (17, 17), (16, 22), (23, 17), (9, 9)], ids=str)
@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0, 270.0])
def test_the_bilinear_path_meets_the_exact_one_at_quarter_turns(shape, degrees):
    side = min(shape)
    images = torch.randn(1, 2, *shape, dtype=torch.float64)

    def centre(planes):
        top, left = (planes.shape[-2] - side) // 2, (planes.shape[-1] - side) // 2
        # One pixel of margin: next to the border a bilinear sample mixes in the zeros outside.
        return planes[..., top + 1 : top + side - 1, left + 1 : left + side - 1]

    for nearly in (degrees - 1e-4, degrees + 1e-4):
        torch.testing.assert_close(
            centre(rotate(images, nearly)), centre(rotate(images, degrees)), rtol=0, atol=5e-4 * side / 16
        )


@given(group_and_elements(2), st.integers(0, 2**16))
def test_other_angles_act_up_to_interpolation(drawn, seed):
    """Three interpolations cost up to 5% on these images; any other element, be it 15 degrees away, 30% and more."""
    group, g, h = drawn
    images = smooth_images(seed)
    twice = group.act(g, group.act(h, images, circular=True), circular=True)
    product = group.compose(g, h)
    assert relative_error(twice, group.act(product, images, circular=True)) < INTERPOLATION
    for wrong in group.elements:
        if wrong != product:
            assert relative_error(twice, group.act(wrong, images, circular=True)) > 2 * INTERPOLATION


@given(st.integers(1, 24), st.integers(1, 24))
def test_an_angle_moves_content_as_the_matrix_moves_points(rotations, turns):
    group = PlanarGroup(rotations, reflections=True)
    for g in (turns % rotations, rotations + turns % rotations):
        centre = torch.tensor([7.0, 3.0], dtype=torch.float64)

        def bump(x, y):
            axis = torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2
            return torch.exp(-((axis[None] - x) ** 2 + (-axis[:, None] - y) ** 2) / 8)

        moved = group.act(g, bump(*centre))
        assert relative_error(moved, bump(*(group.matrix(g) @ centre))) < INTERPOLATION


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_images_turn_by_the_same_angle(dtype):
    images = smooth_images(0, size=128).to(dtype)
    difference = rotate(images, 30.0).double() - rotate(images.double(), 30.0)
    assert difference.abs().max() <= torch.finfo(dtype).eps * images.abs().max()


def test_no_image_turns_into_no_image():
    assert rotate(torch.zeros(0, 3, 8, 8), 30.0).shape == (0, 3, 8, 8)


def test_integer_images_do_not_turn_by_other_angles():
    with pytest.raises(TypeError, match=r"turning by 45 degrees .* got torch.uint8. Convert"):
        PlanarGroup.parse("c8").act(1, torch.zeros(3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("rotations", range(1, 25))
def test_an_element_is_exact_if_it_permutes_the_pixels(rotations):
    group = PlanarGroup(rotations, reflections=True)
    for g in group.elements:
        entries = group.matrix(g).abs()
        signed_permutation = bool(((entries < 1e-9) | (entries > 1 - 1e-9)).all())
        assert group.is_exact(g) == signed_permutation == (g in group.exact_elements)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (5, 5), (4, 7), (9, 6)])
def test_the_circular_mask_is_the_inscribed_circle(height, width):
    mask = circular_mask(height, width)
    for row in range(height):
        for column in range(width):
            distance = math.hypot(row - (height - 1) / 2, column - (width - 1) / 2)
            assert mask[row, column] == (distance <= min(height, width) / 2)
    for g in PlanarGroup(4, True).exact_elements:
        turned = PlanarGroup(4, True).act(g, mask)
        assert torch.equal(turned, circular_mask(*turned.shape))


def test_a_circular_action_shows_nothing_outside_the_circle():
    group, images = PlanarGroup.parse("c8"), torch.ones(2, 3, 12, 12)
    for g in group.elements:
        assert not (group.act(g, images, circular=True) * (1 - circular_mask(12, 12))).any()
        assert group.act(g, images, circular=True)[..., 3:9, 3:9].allclose(torch.ones(()))


# The action on regular features.


@given(group_and_elements(2), st.integers(1, 3))
def test_permuting_the_fibre_is_an_action(drawn, fields):
    group, g, h = drawn
    features = torch.randint(100, (2, group.order * fields, 3))
    twice = group.permute_fibre(g, group.permute_fibre(h, features))
    assert torch.equal(twice, group.permute_fibre(group.compose(g, h), features))
    assert torch.equal(group.permute_fibre(group.identity, features), features)


@given(group_and_elements(1), st.integers(1, 3))
def test_the_fibre_moves_by_left_multiplication(drawn, fields):
    """What sat at h sits at g h afterwards, field by field."""
    group, g = drawn
    features = torch.arange(group.order * fields).view(1, -1)
    moved = group.permute_fibre(g, features)
    for h in group.elements:
        for field in range(fields):
            assert moved[0, group.compose(g, h) * fields + field] == features[0, h * fields + field]


@given(group_and_elements(2, exact_groups), st.sampled_from(SHAPES))
def test_acting_on_fields_is_an_exact_action(drawn, shape):
    group, g, h = drawn
    maps = torch.randint(100, (2, 3 * group.order, *shape))
    twice = group.act_on_fields(g, group.act_on_fields(h, maps))
    assert torch.equal(twice, group.act_on_fields(group.compose(g, h), maps))


@given(group_and_elements(2), st.integers(0, 2**16))
def test_acting_on_fields_is_an_action_up_to_interpolation(drawn, seed):
    group, g, h = drawn
    assume(group.order <= 16)
    maps = smooth_images(seed, count=group.order)[None]
    twice = group.act_on_fields(g, group.act_on_fields(h, maps, circular=True), circular=True)
    product = group.compose(g, h)
    assert relative_error(twice, group.act_on_fields(product, maps, circular=True)) < INTERPOLATION


@given(group_and_elements(1))
def test_acting_on_fields_moves_fibre_and_pixels(drawn):
    group, g = drawn
    maps = torch.randn(1, 2 * group.order, 6, 6)
    moved = group.act_on_fields(g, maps, circular=True)
    assert torch.equal(moved, group.permute_fibre(g, group.act(g, maps, circular=True)))


def test_the_action_does_not_remember_where_it_was_first_used():
    """Neither the inference mode nor the default device of a first call may reach a later one."""
    group = PlanarGroup(23, reflections=True)
    with torch.inference_mode():
        group.permute_fibre(1, torch.zeros(1, 46))
    with torch.device("meta"):
        group.permute_fibre(2, torch.zeros(1, 46))
    features = torch.randn(1, 46, requires_grad=True)
    group.permute_fibre(1, features).square().sum().backward()
    torch.testing.assert_close(features.grad, 2 * features.detach())


# Restriction.

PAIRS = [
    (big, small)
    for big in ("d8", "c8", "d6", "d4", "c4", "d3", "d2", "c6", "c12")
    for small in ("d8", "d4", "d3", "d2", "d1", "c8", "c6", "c4", "c3", "c2", "c1")
    if PlanarGroup.parse(big).contains(PlanarGroup.parse(small))
]


def test_containment_is_that_of_the_matrices():
    every = [PlanarGroup(n, reflections) for n in (1, 2, 3, 4, 6, 8) for reflections in (False, True)]
    for group in every:
        for other in every:
            inside = all(
                any(torch.allclose(group.matrix(g), other.matrix(h), atol=1e-9) for g in group.elements)
                for h in other.elements
            )
            assert group.contains(other) == inside


@pytest.mark.parametrize(("big", "small"), PAIRS)
def test_an_embedded_element_is_the_same_motion(big, small):
    group, subgroup = PlanarGroup.parse(big), PlanarGroup.parse(small)
    for h in subgroup.elements:
        torch.testing.assert_close(group.matrix(group.embed(subgroup, h)), subgroup.matrix(h))


@pytest.mark.parametrize(("big", "small"), PAIRS)
def test_restriction_is_a_pure_reindexing(big, small):
    group, subgroup = PlanarGroup.parse(big), PlanarGroup.parse(small)
    index = group.restriction(subgroup)
    assert index.shape == (subgroup.order, group.order // subgroup.order)
    assert sorted(index.flatten().tolist()) == list(group.elements)


@pytest.mark.parametrize(("big", "small"), PAIRS)
def test_a_restricted_field_is_regular_fields_of_the_subgroup(big, small):
    group, subgroup = PlanarGroup.parse(big), PlanarGroup.parse(small)
    restrict, features = Restrict(group, subgroup), torch.randn(2, 3 * group.order, 2)
    for h in subgroup.elements:
        moved_first = restrict(group.permute_fibre(group.embed(subgroup, h), features))
        assert torch.equal(moved_first, subgroup.permute_fibre(h, restrict(features)))


# Names and bad arguments.


@given(groups)
def test_a_group_is_parsed_from_its_name(group):
    assert PlanarGroup.parse(group.name) == PlanarGroup.parse(str(group)) == PlanarGroup.parse(group) == group
    assert hash(PlanarGroup.parse(group.name)) == hash(group)


@pytest.mark.parametrize("name", ["", "c", "4", "c0", "d-1", "e4", "c4d", " c4", "c4.0", "so2"])
def test_an_impossible_name_is_refused(name):
    with pytest.raises(ValueError, match=r"a group is named c<N> .* Use, for instance, 'c4' or 'd4'"):
        PlanarGroup.parse(name)


@pytest.mark.parametrize("rotations", [0, -4])
def test_a_group_has_at_least_one_rotation(rotations):
    with pytest.raises(ValueError, match=f"rotations must be at least 1 .* got {rotations}"):
        PlanarGroup(rotations)


@pytest.mark.parametrize("g", [-1, 8, 1.5])
@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("use", ["matrix", "inverse", "degrees", "reflected", "is_exact", "describe"])
def test_what_is_no_element_is_refused(use, g):
    with pytest.raises(ValueError, match=f"an element of D4 is an integer from 0 to 7; got {g}"):
        getattr(PlanarGroup.parse("d4"), use)(g)


def test_features_of_another_group_are_refused():
    with pytest.raises(ValueError, match="regular features of D4 need a number of channels divisible by 8; got 12"):
        PlanarGroup.parse("d4").permute_fibre(1, torch.zeros(1, 12))


@pytest.mark.parametrize(("big", "small"), [("c4", "d4"), ("d4", "c3"), ("c4", "c8"), ("c4", "d1")])
def test_what_is_no_subgroup_is_refused(big, small):
    with pytest.raises(ValueError, match=f"{small.upper()} is not a subgroup of {big.upper()}; choose one of"):
        PlanarGroup.parse(big).restriction(PlanarGroup.parse(small))


def test_an_element_in_words():
    group = PlanarGroup.parse("d8")
    assert [group.describe(g) for g in (0, 1, 8, 10)] == ["0°", "45°", "flip, then 0°", "flip, then 90°"]
