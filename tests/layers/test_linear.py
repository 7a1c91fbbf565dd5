"""The equivariant linear map is a 1 x 1 convolution, and commutes with the whole group."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.layers import SteerableConv2d, SteerableLinear
from tests.layers.commuting import GROUPS, assert_commutes, randomise
from tests.reference import group_convolution as reference


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("bias", [True, False])
def test_it_commutes_with_every_element(name, bias):
    linear = randomise(SteerableLinear(name, 3, 2, bias=bias))
    group, inputs = linear.group, torch.randn(4, linear.in_channels, dtype=torch.float64)
    assert_commutes(linear, group, inputs, before="permute_fibre", after="permute_fibre", elements=group.elements)


@pytest.mark.parametrize("name", GROUPS)
def test_it_is_a_1x1_convolution(name):
    linear, conv = randomise(SteerableLinear(name, 3, 2)), SteerableConv2d(name, 3, 2, 1).double()
    conv.load_state_dict(linear.state_dict())
    vectors = torch.randn(4, linear.in_channels, dtype=torch.float64)
    torch.testing.assert_close(linear(vectors), conv(vectors[:, :, None, None])[:, :, 0, 0])


@pytest.mark.parametrize("name", GROUPS)
def test_its_matrix_is_the_formula_written_with_loops(name):
    linear = randomise(SteerableLinear(name, 2, 3, bias=False))
    rotations, reflections = linear.group.rotations, linear.group.reflections
    constant = torch.ones(linear.group.order, 1, 1, 1, dtype=torch.float64)
    matrix = reference.filters(linear.weight.detach(), constant, rotations, reflections)[:, :, 0, 0]
    vectors = torch.randn(4, linear.in_channels, dtype=torch.float64)
    torch.testing.assert_close(linear(vectors), vectors @ matrix.T)


@pytest.mark.parametrize(
    ("features", "kind", "message"),
    [
        (torch.zeros(2, 6), ValueError, "takes features of the shape (batch, 8); got (2, 6). A regular field"),
        (torch.zeros(2, 8, 1, 1), ValueError, "takes features of the shape (batch, 8); got (2, 8, 1, 1)."),
        (torch.zeros(2, 8).long(), TypeError, "features must be floating point; got torch.int64. Convert them"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_features_are_answered_in_one_sentence(features, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        SteerableLinear("c4", 2, 2)(features)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("c4", 0, 1), ValueError, "in_fields must be at least 1; got 0."),
        (("c4", 1, True), TypeError, "out_fields must be an integer; got True."),
        (("q4", 1, 1), ValueError, "a group is named c<N> (N rotations)"),
    ],
)
def test_impossible_arguments_are_answered_in_one_sentence(arguments, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        SteerableLinear(*arguments)
