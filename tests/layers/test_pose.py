"""Regular features turned back by a predicted pose: invariant, and with nothing thrown away."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.fields import turn_back
from eqmodels.groups import PlanarGroup
from eqmodels.layers import GlobalPool, pose_predictor
from tests.layers.commuting import GROUPS, assert_commutes, randomise

FIELDS = 3
MODES = ("canonical", "canonical-soft")
each_group = pytest.mark.parametrize("name", GROUPS)
each_mode = pytest.mark.parametrize("mode", MODES)


def features_of(group: PlanarGroup, batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, FIELDS * group.order, dtype=torch.float64)


def logits_for(group: PlanarGroup, g: int, batch: int = 4) -> torch.Tensor:
    """Random logits, the largest of which is g's."""
    logits = torch.randn(batch, group.order, dtype=torch.float64)
    logits[:, g] = logits.amax(1) + 1
    return logits


def canonical(name: str, mode: str) -> GlobalPool:
    group = PlanarGroup.parse(name)
    return GlobalPool(name, mode, pose=randomise(pose_predictor(group, FIELDS, hidden=32 * group.order)))


# Predicting.


@each_group
def test_the_predicted_pose_moves_with_the_features(name):
    group = PlanarGroup.parse(name)
    pose = randomise(pose_predictor(group, FIELDS, hidden=5 * group.order + group.order - 1))
    assert pose.hidden.out_fields == 5
    features = features_of(group)
    assert pose(features).shape == (4, group.order)
    assert_commutes(pose, group, features, before="permute_fibre", after="permute_fibre", elements=group.elements)


# Turning back.


@each_group
def test_turning_back_undoes_every_element_exactly(name):
    group = PlanarGroup.parse(name)
    upright = features_of(group)
    for g in group.elements:
        moved = group.permute_fibre(g, upright)
        assert torch.equal(turn_back(group, moved, logits_for(group, g)), upright)


@each_group
def test_turning_back_is_the_inverse_of_the_most_likely_element(name):
    group = PlanarGroup.parse(name)
    features = features_of(group)
    for g in group.elements:
        expected = group.permute_fibre(group.inverse(g), features)
        assert torch.equal(turn_back(group, features, logits_for(group, g)), expected)


@each_group
def test_softly_it_is_the_average_over_the_poses(name):
    group = PlanarGroup.parse(name)
    features, logits = features_of(group), logits_for(group, 0)
    weights = logits.softmax(1)
    expected = sum(weights[:, g, None] * group.permute_fibre(group.inverse(g), features) for g in group.elements)
    torch.testing.assert_close(turn_back(group, features, logits, soft=True), expected, rtol=0, atol=1e-13)
    sure = logits_for(group, group.order - 1) * 1e3
    hard, soft = (turn_back(group, features, sure, soft=soft) for soft in (False, True))
    torch.testing.assert_close(soft, hard, rtol=0, atol=1e-13)


@each_group
@pytest.mark.parametrize("soft", [False, True])
def test_logits_that_move_with_the_features_make_them_invariant(name, soft):
    group = PlanarGroup.parse(name)
    features, logits = features_of(group), torch.randn(4, group.order, dtype=torch.float64)
    expected = turn_back(group, features, logits, soft=soft)
    for g in group.elements:
        moved = turn_back(group, group.permute_fibre(g, features), group.permute_fibre(g, logits), soft=soft)
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-13)


# Canonical pooling.


@each_group
@each_mode
def test_canonical_features_do_not_change_when_the_map_moves(name, mode):
    group, pool = PlanarGroup.parse(name), canonical(name, mode)
    maps = torch.randn(3, FIELDS * group.order, 6, 7, dtype=torch.float64)
    with torch.no_grad():
        features = pool(maps)
        assert features.shape == (3, pool.num_features(maps.shape[1])) == (3, maps.shape[1])
        for g in group.exact_elements:
            torch.testing.assert_close(pool(group.act_on_fields(g, maps)), features, rtol=0, atol=1e-10)


@each_group
def test_nothing_is_thrown_away(name):
    """Each field of the canonical features is a permutation of the regular one, and all fields the same."""
    group, pool = PlanarGroup.parse(name), canonical(name, "canonical")
    maps = torch.randn(5, FIELDS * group.order, 4, 4, dtype=torch.float64)
    regular = GlobalPool(name, "regular")(maps)
    with torch.no_grad():
        turned = pool(maps)
        pose = pool.pose(regular).argmax(1).tolist()
    fibres = [vectors.unflatten(1, (group.order, FIELDS)).sort(1).values for vectors in (turned, regular)]
    assert torch.equal(*fibres)
    for image, g in enumerate(pose):
        moved = group.permute_fibre(g, turned[image : image + 1])
        assert torch.equal(moved, regular[image : image + 1]), "the pose and the canonical features are all there is"


def test_canonical_features_tell_apart_what_pooled_ones_do_not():
    c4 = PlanarGroup(4)
    first = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)  # both fields at one element
    second = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)  # at neighbouring ones
    pose = randomise(pose_predictor(c4, 2, hidden=16))
    pools = [GlobalPool(c4, "invariant"), GlobalPool(c4, "canonical", pose=pose)]
    pooled, turned = ([pool(features[:, :, None, None]) for features in (first, second)] for pool in pools)
    assert torch.equal(*pooled)
    assert not torch.allclose(*turned)


@pytest.mark.parametrize("name", [name for name in GROUPS if name != "c1"])
@each_mode
def test_ties_of_symmetric_features_are_harmless(name, mode):
    """Features that some elements leave as they are have equal logits for several poses, all of them right."""
    group, pool = PlanarGroup.parse(name), canonical(name, mode)
    for h in {1, group.order // 2, group.order - 1}:
        vectors, cycle = features_of(group), [h]
        while cycle[-1] != group.identity:
            cycle.append(group.compose(h, cycle[-1]))
        symmetric = torch.stack([group.permute_fibre(g, vectors) for g in cycle]).mean(0)[:, :, None, None]
        with torch.no_grad():
            top = pool.pose(symmetric[:, :, 0, 0]).sort(1, descending=True).values
            assert float((top[:, 0] - top[:, 1]).abs().max()) < 1e-12
            expected = pool(symmetric)
            for g in group.elements:
                torch.testing.assert_close(pool(group.permute_fibre(g, symmetric)), expected, rtol=0, atol=1e-10)


@each_mode
def test_the_trivial_group_has_nothing_to_turn_back(mode):
    maps = torch.randn(2, FIELDS, 5, 5, dtype=torch.float64)
    assert torch.equal(canonical("c1", mode)(maps), maps.mean((2, 3)))


@pytest.mark.parametrize("name", ["c4", "d4", "c8"])
@each_mode
def test_gradients_flow(name, mode):
    group, pool = PlanarGroup.parse(name), canonical(name, mode)
    maps = torch.randn(2, FIELDS * group.order, 4, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(FIELDS * group.order, dtype=torch.float64)
    (pool(maps) @ weights).sum().backward()
    assert (maps.grad != 0).all()
    # The choice of a pose is a step: only an average over the poses teaches the predictor.
    assert [parameter.grad is not None for parameter in pool.pose.parameters()] == [mode == "canonical-soft"] * 3
    if mode == "canonical-soft":
        assert all(parameter.grad.any() for parameter in pool.pose.parameters())
    elif name == "c4":
        assert torch.autograd.gradcheck(pool, maps)


def test_types_are_kept():
    for dtype in (torch.float32, torch.bfloat16):
        for mode in MODES:
            pool = canonical("c4", mode).to(dtype)
            assert pool(torch.randn(2, 12, 3, 3, dtype=dtype)).dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert canonical("c4", "canonical").float()(torch.randn(2, 12, 3, 3)).isfinite().all()


def test_the_state_is_the_poses():
    names = ["pose.hidden.weight", "pose.hidden.bias", "pose.logits.weight"]
    assert list(canonical("d4", "canonical").state_dict()) == names
    assert not GlobalPool("d4", "invariant", pose=pose_predictor("d4", 2)).state_dict()


# What is refused.


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        *[
            (
                lambda mode=mode: GlobalPool("c4", mode),
                ValueError,
                f"global_pool={mode!r} reads a predicted pose and needs the module that predicts it; "
                "got pose=None. Pass the pose of an equivariant E-SSL head, or pose_predictor(group, fields).",
            )
            for mode in MODES
        ],
        *[
            (
                # Both read 8 channels, but a pose of C4 does not say whether the image is flipped.
                lambda mode=mode: GlobalPool("d4", mode, pose=pose_predictor("c4", 2))(torch.zeros(2, 8, 3, 3)),
                ValueError,
                "the pose over a group of 8 elements is predicted by logits of the shape (batch, 8); got (2, 4). "
                "Use a pose_predictor of the same group as the features.",
            )
            for mode in MODES
        ],
        (
            lambda: turn_back(PlanarGroup(4), torch.zeros(2, 6), torch.zeros(2, 4)),
            ValueError,
            "regular features over a group of 4 elements have the shape (batch, a multiple of 4, ...); got (2, 6). "
            "A regular field over a group G counts as |G| channels.",
        ),
        (
            lambda: pose_predictor("d4", 2, hidden=7),
            ValueError,
            "hidden must be at least 8; got 7. Pass a whole number of at least 8.",
        ),
        (
            lambda: pose_predictor("d4", 2, hidden=8.0),
            TypeError,
            "hidden must be an integer; got 8.0. Pass a whole number of at least 8.",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()
