"""Fields of space: their text, their action, their invariants, and what a frame turns back."""

from __future__ import annotations

import pytest
import torch

from eqmodels.fields import Field, Irreps, IrrepsPart, Regular, Scalars
from eqmodels.groups import PlanarGroup, PointGroup, SpaceGroup

SO3, O3 = SpaceGroup(), SpaceGroup(reflections=True)
TEXTS = ["4x0", "2x0+3x1", "2x0+3x1+2x2+1x3", "3x0e+2x0o+2x1o+1x1e+1x2e+1x2o"]
each_text = pytest.mark.parametrize("text", TEXTS)


def close(found, expected, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def features_of(field: Irreps, clouds: int = 3, points: int = 5) -> torch.Tensor:
    return torch.randn(clouds, field.channels, points, dtype=torch.float64)


@each_text
def test_a_field_is_read_back_from_its_text(text):
    field = Irreps(text)
    assert str(field) == text
    assert Field.parse(text) == field == Irreps(list(field.parts))
    assert field.group == (O3 if "e" in text else SO3)
    assert Field.parse(f"{text} + 3 x scalar").channels == field.channels + 3


@each_text
def test_channels_and_basis_are_those_of_e3nn(text):
    from e3nn import o3

    field = Irreps(text)
    theirs = o3.Irreps(text if "e" in text else "+".join(f"{part}{'eo'[part.degree % 2]}" for part in field.parts))
    assert field.channels == theirs.dim
    turn = SO3.random(1)[0]
    features = features_of(field)
    moved = torch.einsum("ij,bjn->bin", theirs.D_from_matrix(turn.float()).double(), features)
    close(field.transform(SO3, turn, features), moved, 1e-4)  # through Euler angles in float32


@each_text
def test_the_action_is_a_homomorphism(text):
    field = Irreps(text)
    first, second = field.group.random(2, torch.Generator().manual_seed(3))
    features = features_of(field)
    twice = field.transform(field.group, first, field.transform(field.group, second, features))
    close(field.transform(field.group, first @ second, features), twice)
    close(field.transform(field.group, torch.eye(3, dtype=torch.float64), features), features)


@pytest.mark.parametrize("name", ["o", "ih"])
def test_finite_groups_act_by_their_matrices(name):
    group, field = PointGroup(name), Irreps("1x0e+2x1o+1x2e+1x0o")
    features = features_of(field)
    for g in list(group.elements)[:: max(1, group.order // 6)]:
        close(field.transform(group, g, features), field.transform(O3, group.matrix(g), features))


def test_vectors_are_x_y_z_and_parities_are_signs():
    field = Irreps("1x0e+1x0o+1x1o+1x1e")
    features = torch.arange(1.0, 9.0)[None]
    assert field.transform(O3, -torch.eye(3), features).tolist() == [[1, -2, -3, -4, -5, 6, 7, 8]]


@each_text
def test_invariants_do_not_change_and_there_is_one_a_field(text):
    field = Irreps(text)
    features = features_of(field)
    invariants = field.invariants(features)
    assert invariants.shape == (3, field.invariant_count, 5)
    for element in field.group.random(4, torch.Generator().manual_seed(1)):
        close(field.invariants(field.transform(field.group, element, features)), invariants)


def test_the_length_of_zero_has_a_gradient():
    field = Irreps("1x1")
    features = torch.zeros(2, 3, requires_grad=True)
    field.invariants(features).sum().backward()
    assert torch.equal(features.grad, torch.zeros(2, 3))


@each_text
def test_frames_that_turn_with_the_clouds_turn_features_back(text):
    field = Irreps(text)
    frames, motions = (field.group.random(3, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    features = features_of(field)[..., 0]
    upright = field.turned_back(features, frames)
    close(field.turned_back(field.turned(features, motions), motions @ frames), upright)
    close(field.turned(upright, frames), features)


def test_a_field_of_rotations_says_nothing_of_reflections_nor_of_images():
    field = Irreps("2x0+1x1")
    assert field.represents(SO3, torch.eye(3))
    assert field.represents(PointGroup("o"), 5)
    assert not field.represents(O3, -torch.eye(3))
    assert not field.represents(PlanarGroup(4), 1)
    assert not Regular("c4", 1).represents(SO3, torch.eye(3))
    assert Scalars(3).represents(SO3, torch.eye(3))


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Irreps("3x"), r"irreps are written as '32x0e\+16x1o' or '32x0\+16x1'; got '3x'"),
        (lambda: Irreps([]), r"irreps are written as"),
        (lambda: Irreps("2x0e+1x1"), r"a parity each .* got 2x0e\+1x1"),
        (lambda: Irreps([IrrepsPart(1, 12, 0)]), r"at most 11; got 12"),
        (lambda: Irreps("1x1").transform(O3, -torch.eye(3), torch.zeros(1, 3)), r"says nothing of inversion, then 0°"),
        (lambda: Irreps("1x1").turned(torch.zeros(2, 3), torch.eye(3)[None]), r"one of 3 by 3 for each of 2 clouds"),
        (lambda: Irreps("1x1").turned_back(torch.zeros(1, 3), torch.eye(3)[None], soft=True), r"soft must be False"),
        (lambda: Irreps("1x1").split(torch.zeros(1, 4)), r"features of the field 1x1 have the shape \(batch, 3, ...\)"),
    ],
)
def test_what_is_no_field_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
