"""Restriction to a subgroup: what a channel axis means, rearranged without loss."""

from __future__ import annotations

import itertools
import re

import pytest
import torch

from eqmodels.groups import PlanarGroup
from eqmodels.layers import Restrict, SteerableConv2d
from tests.layers.commuting import assert_commutes, randomise


@pytest.mark.parametrize("chain", [("d8", "d4", "d2", "d1", "c1"), ("c8", "c4", "c2", "c1"), ("d6", "d3", "c3")])
def test_restriction_in_steps_lets_layers_of_the_smallest_group_follow(chain):
    """D8 -> D4 -> D2 ... : what comes out is regular under the last group, whatever the way."""
    features = torch.randn(2, 2 * PlanarGroup.parse(chain[0]).order, 5, 5, dtype=torch.float64)
    last, first = PlanarGroup.parse(chain[-1]), PlanarGroup.parse(chain[0])
    steps = torch.nn.Sequential(*(Restrict(*pair) for pair in itertools.pairwise(chain)))
    for h in last.elements:
        moved = steps(first.permute_fibre(first.embed(last, h), features))
        assert torch.equal(moved, last.permute_fibre(h, steps(features)))
    assert torch.equal(steps(features).sort(1).values, features.sort(1).values)


@pytest.mark.parametrize(("big", "small"), [("d4", "c4"), ("d4", "d1"), ("c8", "c4"), ("d8", "d4")])
def test_a_convolution_of_the_subgroup_after_restriction_commutes_with_the_subgroup(big, small):
    group, subgroup = PlanarGroup.parse(big), PlanarGroup.parse(small)
    conv = SteerableConv2d(subgroup, 2 * group.order // subgroup.order, 2, 3)
    layer = torch.nn.Sequential(SteerableConv2d(group, 2, 2, 3, lifting=True), Restrict(group, subgroup), conv)
    assert_commutes(randomise(layer), subgroup, torch.randn(1, 2, 7, 7, dtype=torch.float64), before="act")


def test_restriction_to_the_group_itself_changes_nothing():
    features = torch.randn(2, 16, 3)
    assert torch.equal(Restrict("d4", "d4")(features), features)


def test_restriction_adds_nothing_to_the_state():
    assert not Restrict("d4", "c4").state_dict()


@pytest.mark.parametrize("shape", [(2, 12), (2, 0), (8,)], ids=str)
@pytest.mark.usefixtures("no_shape_checks")
def test_broken_fibres_are_answered_in_one_sentence(shape):
    message = f"regular features over a group of 8 elements have the shape (batch, a multiple of 8, ...); got {shape}."
    with pytest.raises(ValueError, match=re.escape(message)):
        Restrict("d4", "c4")(torch.zeros(shape))


def test_what_is_no_subgroup_is_answered_in_one_sentence():
    with pytest.raises(ValueError, match="D4 is not a subgroup of C8; choose one of C_n with n a divisor of 8"):
        Restrict("c8", "d4")
