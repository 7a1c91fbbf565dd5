"""What decoders are made of: maps resampled to any size, fields side by side, and outputs of any field."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from eqmodels.fields import Field, Regular, Scalars, Vectors
from eqmodels.groups import PlanarGroup
from eqmodels.layers import ExactUpsample2d, JoinFields, OutputConv2d

D4 = PlanarGroup.parse("d4")


def random_maps(channels, height, width):
    return torch.randn(2, channels, height, width, dtype=torch.float64)


def gap(resample, size, target):
    """The largest difference between what is resampled and moved, and what is moved and resampled."""
    maps = random_maps(2, *size)
    gaps = []
    for g in D4.elements:
        turned = g % 2 == 1
        moved = resample(D4.act(g, maps), target[::-1] if turned else target)
        gaps.append(float((D4.act(g, resample(maps, target)) - moved).abs().max()))
    return max(gaps)


def test_upsampling_commutes_with_every_turn_and_flip_at_every_size():
    up = ExactUpsample2d()
    sizes = [(1, 1), (1, 4), (2, 3), (3, 2), (5, 5), (7, 4), (14, 15), (27, 30)]
    targets = [(1, 1), (2, 2), (3, 5), (9, 8), (13, 14), (30, 27), (64, 47)]
    assert max(gap(up, size, target) for size in sizes for target in targets) < 1e-12


@pytest.mark.slow
def test_upsampling_commutes_at_all_sizes():
    up = ExactUpsample2d()
    assert max(gap(up, (n, 9), (m, 17)) for n in range(1, 41) for m in range(1, 82)) < 1e-12


def test_the_nearest_pixel_does_not_commute():
    assert gap(lambda maps, size: F.interpolate(maps, size, mode="nearest"), (2, 2), (3, 3)) > 0.1
    assert gap(lambda maps, size: F.interpolate(maps, size, mode="nearest-exact"), (2, 2), (3, 3)) > 0.1


def test_upsampling_is_what_its_formula_says():
    (row,) = ExactUpsample2d()(torch.tensor([[[[0.0, 1.0, 4.0]]]]), (1, 6))[0, 0]
    torch.testing.assert_close(row, torch.tensor([0.0, 0.25, 0.75, 1.75, 3.25, 4.0]))


def test_fields_are_joined_row_by_row():
    join, one, other = JoinFields("d4", 2, 3), random_maps(16, 3, 4), random_maps(24, 3, 4)
    joined = join(one, other)
    assert join.out_field == Regular("d4", 5)
    for g in D4.elements:
        moved = join(join.first.act(D4, g, one), join.second.act(D4, g, other))
        assert torch.equal(moved, join.out_field.act(D4, g, joined))
    rows = joined.unflatten(1, (8, 5))
    assert torch.equal(rows[:, 3, :2], one.unflatten(1, (8, 2))[:, 3])


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("group", ["c1", "c2", "c4", "d1", "d4", "c8", "d6"])
def test_an_output_is_of_the_field_that_was_asked_for(group, kernel_size):
    own = PlanarGroup.parse(group)
    vectors = Vectors(group, 2) + Vectors(group, 1, 2)
    for field in (Scalars(3), Vectors(group, 1), Scalars(2) + vectors + Regular(group, 2)):
        conv = OutputConv2d(group, 2, field, kernel_size).double()
        torch.nn.init.normal_(conv.bias)
        maps = random_maps(conv.in_channels, 4, 5)
        for g in own.exact_elements:
            found = conv(conv.in_field.act(own, g, maps))
            torch.testing.assert_close(found, field.act(own, g, conv(maps)), rtol=0, atol=1e-12)


def test_every_linear_map_to_vectors_is_one_of_the_output():
    """Of C4 a vector has two numbers an input field: (v, turned v, ...), whichever v."""
    conv = OutputConv2d("c4", 1, Vectors("c4", 1), bias=False).double()
    jacobian = torch.func.jacrev(lambda weight: torch.func.functional_call(conv, {"weight": weight}, _one()))
    assert torch.linalg.matrix_rank(jacobian(conv.weight.detach()).flatten(0, 3).flatten(1)) == 2


def _one():
    return torch.eye(4, dtype=torch.float64)[:1, :, None, None]


def test_an_output_follows_its_weight_to_another_type():
    conv = OutputConv2d("c4", 2, Vectors("c4", 1))
    maps = torch.randn(1, 8, 3, 3)
    assert conv.double()(maps.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert conv.float()(maps).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (Vectors("d4", 1), r"of the whole group C4, and have a channel; got 1 x vector\(d4\)\. Use, say"),
        (Regular("c4", 1, (0, 2)), r"got 1 x regular\(c4:0,2\)"),
        (Scalars(0), r"got 0 x scalar"),
    ],
)
def test_a_field_that_no_map_is_known_to_is_refused(field, words):
    with pytest.raises(ValueError, match=words):
        OutputConv2d("c4", 2, field)


# The field of vectors itself.


@pytest.mark.parametrize("frequency", [1, 2, 3])
@pytest.mark.parametrize("group", ["c1", "c3", "c4", "d1", "d4", "c8", "d6"])
def test_vectors_are_moved_as_the_elements_compose(group, frequency):
    field = Vectors(group, 3, frequency)
    own, features = field.group, random_maps(6, 2, 2)
    for g in own.elements:
        lengths = field.invariants(field.transform(own, g, features))
        torch.testing.assert_close(lengths, field.invariants(features))
        for h in own.elements:
            twice = field.transform(own, g, field.transform(own, h, features))
            torch.testing.assert_close(twice, field.transform(own, own.compose(g, h), features))
    assert Field.parse(str(field)) == field
    assert torch.equal(field.from_escnn(field.to_escnn(features)), features)


def test_a_vector_turns_as_the_image_does():
    """The gradient of an image is a vector; it is right at all quarter turns and flips, y upwards."""
    images, field = random_maps(1, 9, 9), Vectors("d4", 1)

    def gradient(images):
        x = images.roll(-1, -1) - images.roll(1, -1)
        y = images.roll(1, -2) - images.roll(-1, -2)
        return torch.cat([x, y], 1)

    for g in D4.elements:
        torch.testing.assert_close(gradient(D4.act(g, images)), field.act(D4, g, gradient(images)))


def test_a_line_at_twice_its_angle_turns_as_a_vector_of_frequency_2():
    angle = torch.tensor(0.3, dtype=torch.float64)
    field = Vectors("d4", 1, 2)
    line = torch.stack([(2 * angle).cos(), (2 * angle).sin()])[None]
    turned = torch.stack([(2 * (angle + torch.pi / 2)).cos(), (2 * (angle + torch.pi / 2)).sin()])[None]
    torch.testing.assert_close(field.transform(D4, 1, line), turned)
    mirrored = torch.stack([(2 * (torch.pi - angle)).cos(), (2 * (torch.pi - angle)).sin()])[None]
    torch.testing.assert_close(field.transform(D4, 4, line), mirrored)


def test_vectors_are_turned_back_by_a_pose():
    field, logits = Vectors("d4", 2), torch.randn(3, 8, dtype=torch.float64)
    regular, vectors = Regular("d4", 1), torch.randn(3, 4, dtype=torch.float64)
    for soft in (False, True):
        upright = field.turned_back(vectors, logits, soft=soft)
        for g in D4.elements:
            moved = field.turned_back(field.transform(D4, g, vectors), regular.transform(D4, g, logits), soft=soft)
            torch.testing.assert_close(moved, upright)


def test_vectors_say_nothing_of_other_elements():
    with pytest.raises(ValueError, match=r"1 x vector\(c4\) says nothing of 45"):
        Vectors("c4", 1).transform(PlanarGroup.parse("c8"), 1, torch.ones(1, 2))
