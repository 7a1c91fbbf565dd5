"""Pooling over space is exact at every size, and pooling over the group forgets the group alone."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional as F

from eqmodels.groups import PlanarGroup
from eqmodels.layers import ExactDownsample2d, GlobalPool, GroupPool, OddSize2d
from tests.layers.commuting import GROUPS, assert_commutes

SHAPES = [(size, size) for size in range(1, 21)] + [(28, 40), (7, 10), (10, 7), (1, 6), (5, 9)]

D4 = PlanarGroup.parse("d4")

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_shape
@pytest.mark.parametrize("layer", [ExactDownsample2d("mean"), ExactDownsample2d("max"), OddSize2d()], ids=str)
def test_pooling_over_space_is_exact_at_every_size(layer, shape):
    assert_commutes(layer, D4, torch.randn(2, 8, *shape, dtype=torch.float64))


@each_shape
@pytest.mark.parametrize("mode", ["mean", "max"])
def test_a_downsampled_axis_is_pooled_in_pairs_if_even_and_in_triples_if_odd(mode, shape):
    maps = torch.randn(2, 3, *shape, dtype=torch.float64)
    kernel = tuple(3 if size % 2 else 2 for size in shape)
    padding = tuple(size % 2 for size in shape)
    if mode == "mean":
        expected = F.avg_pool2d(maps, kernel, 2, padding, count_include_pad=False)
    else:
        expected = F.max_pool2d(maps, kernel, 2, padding)
    assert expected.shape[-2:] == tuple(-(-size // 2) for size in shape)
    torch.testing.assert_close(ExactDownsample2d(mode)(maps), expected, rtol=1e-12, atol=1e-12)


@each_shape
def test_an_even_axis_is_made_odd_by_averaging_neighbours(shape):
    maps = torch.randn(2, 3, *shape, dtype=torch.float64)
    expected = F.avg_pool2d(maps, tuple(2 - size % 2 for size in shape), 1)
    assert all(size % 2 for size in expected.shape[-2:])
    torch.testing.assert_close(OddSize2d()(maps), expected)


def test_the_usual_pooling_is_not_exact():
    """The reason for these layers: without them the law fails at even sizes."""
    maps = torch.randn(2, 8, 8, 8, dtype=torch.float64)
    with pytest.raises(AssertionError):
        assert_commutes(lambda x: F.max_pool2d(x, 3, 2, 1), D4, maps)


# Over the group.


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("mode", ["max", "mean", "norm"])
def test_group_pooling_is_a_reduction_over_each_field(name, mode):
    group = PlanarGroup.parse(name)
    features = torch.randn(2, 3 * group.order, 4, 4, dtype=torch.float64)
    pooled = GroupPool(name, mode)(features)
    reduce = {"max": torch.amax, "mean": torch.mean, "norm": torch.linalg.vector_norm}[mode]
    for field in range(3):
        torch.testing.assert_close(pooled[:, field], reduce(features[:, field::3], dim=1))
    assert_commutes(GroupPool(name, mode), group, features, after="act")


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("mode", ["max", "mean", "norm"])
def test_a_pooled_vector_does_not_change_under_any_element(name, mode):
    group = PlanarGroup.parse(name)
    vectors = torch.randn(2, 3 * group.order, dtype=torch.float64)
    for g in group.elements:
        moved = GroupPool(name, mode)(group.permute_fibre(g, vectors))
        torch.testing.assert_close(moved, GroupPool(name, mode)(vectors), rtol=0, atol=1e-12)


def test_the_norm_has_a_finite_gradient_at_zero():
    features = torch.zeros(2, 8, requires_grad=True)
    GroupPool("c4", "norm")(features).sum().backward()
    assert features.grad.isfinite().all()


# Over both.


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("group_pool", ["max", "mean", "norm"])
def test_global_features_are_invariant_or_permute(name, group_pool):
    group, fields = PlanarGroup.parse(name), 3
    maps = torch.randn(2, fields * group.order, 6, 7, dtype=torch.float64)
    invariant, regular, both = (
        GlobalPool(name, mode, group_pool) for mode in ("invariant", "regular", "invariant+regular")
    )
    torch.testing.assert_close(regular(maps), maps.flatten(2).mean(2))
    torch.testing.assert_close(invariant(maps), GroupPool(name, group_pool)(regular(maps)))
    assert torch.equal(both(maps), torch.cat([invariant(maps), regular(maps)], dim=1))
    assert_commutes(regular, group, maps, after="permute_fibre", elements=group.exact_elements)
    for g in group.exact_elements:
        torch.testing.assert_close(invariant(group.act_on_fields(g, maps)), invariant(maps), rtol=0, atol=1e-12)
    for pool in (invariant, regular, both):
        assert pool(maps).shape == (2, pool.num_features(maps.shape[1]))
        assert pool.group == group


# Bad arguments.


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ExactDownsample2d("median"), "mode must be 'mean' or 'max'; got 'median'. Use 'mean'."),
        (lambda: GroupPool("c4", "min"), "mode must be one of max, mean, norm; got 'min'. Use 'max'."),
        (
            lambda: GlobalPool("c4", "both"),
            "global_pool must be one of invariant, regular, invariant+regular, canonical, canonical-soft, weighted, or "
            "in timm's words avg, max, avgmax, catavgmax or '' for maps; got 'both'. Use 'invariant'.",
        ),
        (lambda: GlobalPool("c4", group_pool="min"), "mode must be one of max, mean, norm; got 'min'. Use 'max'."),
        (
            lambda: GroupPool("c4")(torch.zeros(2, 6)),
            "regular features over a group of 4 elements have the shape (batch, a multiple of 4, ...); got (2, 6).",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build()


def test_they_print_what_they_are():
    assert str(ExactDownsample2d("max")) == "ExactDownsample2d('max')"
    assert str(GroupPool("d4", "norm")) == "GroupPool(D4, 'norm')"
    assert str(GlobalPool("d4", "regular")).startswith("GlobalPool(\n  'regular'")
