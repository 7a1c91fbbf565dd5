"""The laws of fields: what a channel axis means acts as a representation, is written, read back and rearranged."""

from __future__ import annotations

import copy
import itertools
import pickle
import re

import pytest
import torch

from eqmodels.fields import Field, Regular, Scalars, Sum, turn_back
from eqmodels.groups import PlanarGroup

D2, D4 = PlanarGroup.parse("d2"), PlanarGroup.parse("d4")
UPSIDE_DOWN = (0, 3)
"""The subgroup of D2 that the vertical flip makes."""

FIELDS = [
    Scalars(3),
    Regular("c1", 4),
    Regular("c3", 2),
    Regular("c4", 2),
    Regular("d1", 3),
    Regular("d4", 2),
    Regular("c8", 1),
    Regular("d2", 2, UPSIDE_DOWN),
    Regular("c4", 2, (0, 2)),
    Regular("d4", 1, (0, 6, 2, 4)),
    Scalars(2) + Regular("d4", 1),
    Regular("c4", 1) + Scalars(1) + Regular("c4", 2),
    Regular("d4", 1) + Regular("d4", 2, (0, 5)),
]
each_field = pytest.mark.parametrize("field", FIELDS, ids=str)


def group_of(field: Field) -> PlanarGroup:
    return field.group or D4


def represented(field: Field) -> list[int]:
    return [g for g in group_of(field).elements if field.represents(group_of(field), g)]


def random_features(field: Field, *space: int) -> torch.Tensor:
    return torch.randn(3, field.channels, *space, dtype=torch.float64)


# The representation.


@each_field
@pytest.mark.parametrize("space", [(), (2,), (3, 4)], ids=str)
def test_transformations_compose_as_the_elements_do(field, space):
    group, features = group_of(field), random_features(field, *space)
    elements = represented(field)
    assert len(elements) >= 1
    for g, h in itertools.product(elements, elements):
        twice = field.transform(group, g, field.transform(group, h, features))
        assert torch.equal(twice, field.transform(group, group.compose(g, h), features))
    assert torch.equal(field.transform(group, group.identity, features), features)


@each_field
def test_a_transformation_permutes_channels_and_only_the_identity_leaves_all_of_a_regular_field(field):
    group, features = group_of(field), random_features(field)
    for g in represented(field):
        moved = field.transform(group, g, features)
        assert torch.equal(moved.sort(1).values, features.sort(1).values)
        if isinstance(field, Regular):
            assert torch.equal(moved, features) is (g == group.identity)


@pytest.mark.parametrize("name", ["c1", "c4", "d1", "d4", "c8", "d6"])
def test_a_regular_field_is_the_groups_permutation_of_the_fibre(name):
    group = PlanarGroup.parse(name)
    features = torch.randn(2, 3 * group.order, 2)
    for g in group.elements:
        assert torch.equal(Regular(group, 3).transform(group, g, features), group.permute_fibre(g, features))


@each_field
def test_acting_on_maps_moves_pixels_too_and_on_vectors_only_channels(field):
    group, maps, vectors = group_of(field), random_features(field, 4, 6), random_features(field)
    for g in represented(field):
        if group.is_exact(g):
            expected = group.act(g, field.transform(group, g, maps))
            assert torch.equal(field.act(group, g, maps), expected)
        assert torch.equal(field.act(group, g, vectors), field.transform(group, g, vectors))


def test_acting_may_be_seen_through_a_circle():
    field, maps = Regular("c8", 1), torch.ones(1, 8, 5, 5)
    assert field.act(field.group, 1, maps, circular=True)[..., 0, 0].abs().max() == 0


@pytest.mark.parametrize(
    ("field", "group", "said"),
    [
        (Regular("c4", 1), "c8", [0, 2, 4, 6]),
        (Regular("c4", 1), "d4", [0, 1, 2, 3]),
        (Regular("d4", 1), "c2", [0, 1]),
        (Regular("c1", 1), "c4", [0]),
        (Regular("d2", 1, UPSIDE_DOWN), "d4", [0, 6]),
        (Regular("d2", 1, UPSIDE_DOWN), "d1", [0]),
        (Regular("d4", 1) + Regular("d4", 2, (0, 5)), "d4", [0, 5]),
        (Scalars(1), "d4", list(range(8))),
        (Scalars(1) + Regular("c4", 1), "d4", [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_elements_of_other_groups_are_represented_where_they_move_images_alike(field, group, said):
    group = PlanarGroup.parse(group)
    assert [g for g in group.elements if field.represents(group, g)] == said
    own, features = group_of(field), random_features(field)
    for g in said:
        same = [e for e in own.elements if torch.allclose(own.matrix(e), group.matrix(g), atol=1e-9)]
        if field.group is not None:
            assert torch.equal(field.transform(group, g, features), field.transform(own, same[0], features))
    if silent := [g for g in group.elements if g not in said]:
        with pytest.raises(ValueError, match=r"says nothing of .* \(element \d of .*which is none of its elements"):
            field.transform(group, silent[0], features)


# Invariants and poses.


@each_field
@pytest.mark.parametrize("space", [(), (3, 3)], ids=str)
def test_invariants_do_not_change_under_any_represented_element(field, space):
    group, features = group_of(field), random_features(field, *space)
    invariants = field.invariants(features)
    assert invariants.shape[1] <= field.channels
    for g in represented(field):
        assert torch.equal(field.invariants(field.transform(group, g, features)), invariants)


def test_invariants_are_the_maximum_over_each_fibre_and_scalars_themselves():
    field = Scalars(1) + Regular("c4", 2)
    features = random_features(field)
    assert torch.equal(field.invariants(features)[:, :1], features[:, :1])
    assert torch.equal(field.invariants(features)[:, 1], features[:, 1::2].amax(1))


REGULAR = [field for field in FIELDS if isinstance(field, Regular)]


@pytest.mark.parametrize("field", REGULAR, ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_turning_back_undoes_what_moved_features_and_pose_alike(field, soft):
    features = random_features(field)
    logits = torch.randn(3, field.order, dtype=torch.float64)
    pose = Regular(field.group, 1, field.elements)
    upright = field.turned_back(features, logits, soft=soft)
    for g in represented(field):
        moved = field.transform(field.group, g, features), pose.transform(field.group, g, logits)
        torch.testing.assert_close(field.turned_back(*moved, soft=soft), upright, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("field", REGULAR, ids=str)
def test_a_known_pose_is_turned_back_exactly(field):
    features = random_features(field)
    for row, g in enumerate(field.rows):
        logits = torch.zeros(3, field.order, dtype=torch.float64)
        logits[:, row] = 1
        moved = field.transform(field.group, g, features)
        assert torch.equal(field.turned_back(moved, logits), features)


def test_of_a_sum_only_the_regular_parts_are_turned_back():
    field, logits = Scalars(2) + Regular("c4", 3), torch.randn(3, 4, dtype=torch.float64)
    features = random_features(field)
    turned = field.turned_back(features, logits)
    assert torch.equal(turned[:, :2], features[:, :2])
    assert torch.equal(turned[:, 2:], turn_back(PlanarGroup(4), features[:, 2:], logits))
    assert torch.equal(Scalars(2).turned_back(features[:, :2], logits), features[:, :2])


# escnn's order of channels.


@each_field
@pytest.mark.parametrize("space", [(), (3,), (2, 3)], ids=str)
def test_the_orders_of_channels_are_inverse_to_each_other(field, space):
    features = random_features(field, *space)
    assert torch.equal(field.from_escnn(field.to_escnn(features)), features)
    assert torch.equal(field.to_escnn(field.from_escnn(features)), features)


def test_escnns_order_keeps_the_fibre_of_a_field_together():
    """Group-major channel h * F + c becomes field-major channel c * |G| + h."""
    group_major = torch.tensor([[10 * field + h for h in range(4) for field in range(2)]])
    assert Regular("c4", 2).to_escnn(group_major).tolist() == [[0, 1, 2, 3, 10, 11, 12, 13]]
    mixed = torch.cat([torch.tensor([[7]]), group_major], 1)
    assert (Scalars(1) + Regular("c4", 2)).to_escnn(mixed).tolist() == [[7, 0, 1, 2, 3, 10, 11, 12, 13]]


# Text, equality, sums.


@each_field
def test_text_and_field_are_inverse(field):
    assert Field.parse(str(field)) == field
    assert str(Field.parse(str(field))) == str(field)
    assert hash(Field.parse(str(field))) == hash(field)


@each_field
def test_a_field_is_copied_and_pickled_as_a_value(field):
    assert copy.deepcopy(field) == field
    assert pickle.loads(pickle.dumps(field)) == field


def test_different_fields_are_written_differently():
    assert len({str(field) for field in FIELDS}) == len(set(FIELDS)) == len(FIELDS)


def test_sums_are_flat_and_a_sum_of_one_is_that_one():
    parts = Scalars(1), Regular("c4", 1), Scalars(2)
    assert parts[0] + parts[1] + parts[2] == parts[0] + (parts[1] + parts[2]) == Sum(parts)
    assert Sum.of(parts[1]) is parts[1]
    assert Sum(parts).channels == 7
    assert str(Sum(parts).group) == "C4"
    assert (Scalars(1) + Scalars(2)).group is None
    assert [part.shape[1] for part in Sum(parts).split(torch.zeros(2, 7))] == [1, 4, 2]


def test_all_elements_in_order_are_the_whole_group_and_in_another_order_other_rows():
    assert Regular("c4", 2, (0, 1, 2, 3)) == Regular("c4", 2)
    assert Regular("c4", 2, [0, 2]) == Regular("c4", 2, (0, 2))
    other = Regular("c4", 1, (0, 3, 2, 1))
    assert other != Regular("c4", 1)
    features = random_features(other)
    assert torch.equal(other.transform(other.group, 1, features)[:, 0], features[:, 1])


# Errors.


@pytest.mark.parametrize(
    ("build", "error", "sentence"),
    [
        (lambda: Scalars(-1), ValueError, "count must be at least 0; got -1."),
        (lambda: Scalars(2.0), TypeError, "count must be an integer; got 2.0."),
        (lambda: Regular("c4", True), TypeError, "count must be an integer; got True."),
        (lambda: Regular("x4", 1), ValueError, "a group is named c<N>"),
        (lambda: Regular("d4", 1, (0, 1)), ValueError, "elements must be a subgroup of D4"),
        (lambda: Regular("d4", 1, (3, 0)), ValueError, "elements must be a subgroup of D4"),
        (
            lambda: Regular("c4", 1) + Regular("d4", 1),
            ValueError,
            "fields of a sum must be of one group; got C4 and D4.",
        ),
        (lambda: Field.parse("8 regular(c4)"), ValueError, "a field is written as '8 x regular(c4) + 3 x scalar'; got"),
        (lambda: Field.parse(""), ValueError, "a field is written as"),
        (lambda: Field.parse(None), ValueError, "a field is written as"),
        (lambda: Field.parse("8 x regular(c4) + "), ValueError, "a field is written as"),
        (lambda: Field.parse("-1 x scalar"), ValueError, "a field is written as"),
        (lambda: Field.parse("1 x regular(c0)"), ValueError, "a group is named c<N>"),
        (lambda: Field.parse("1 x regular(c4:0,9)"), ValueError, "an element of C4 is an integer from 0 to 3; got 9."),
        (lambda: Regular("c4", 2).transform(D4, 8, torch.zeros(1, 8)), ValueError, "an element of D4 is an integer"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_field_is_answered_in_one_sentence(build, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        build()


@each_field
@pytest.mark.parametrize(
    "use",
    [
        lambda field, features: field.transform(group_of(field), 0, features),
        lambda field, features: field.act(group_of(field), 0, features),
        lambda field, features: field.invariants(features),
        lambda field, features: field.turned_back(features, torch.zeros(2, 4)),
        lambda field, features: field.to_escnn(features),
        lambda field, features: field.from_escnn(features),
    ],
    ids=["transform", "act", "invariants", "turned_back", "to_escnn", "from_escnn"],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_features_of_another_number_of_channels_are_answered_in_one_sentence(field, use):
    for features in (torch.zeros(2, field.channels + 1), torch.zeros(field.channels)):
        sentence = f"features of the field {field} have the shape (batch, {field.channels}, ...); got"
        with pytest.raises(ValueError, match=re.escape(sentence)):
            use(field, features)


@pytest.mark.usefixtures("no_shape_checks")
def test_a_pose_needs_one_logit_a_row():
    with pytest.raises(ValueError, match=r"predicted by logits of the shape \(batch, 2\); got \(3, 4\)"):
        Regular("d2", 2, UPSIDE_DOWN).turned_back(torch.zeros(3, 4), torch.zeros(3, 4))
