"""The right cosets of a subgroup: a partition whose columns permute as the subgroup's own regular features."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eqmodels.groups import PlanarGroup


@st.composite
def groups_and_subgroups(draw):
    """A group and the subgroup that a few of its elements generate, the identity first, the others in any order."""
    group = draw(st.builds(PlanarGroup, st.integers(1, 12), st.booleans()))
    closed = {group.identity}
    fresh = set(draw(st.lists(st.sampled_from(group.elements), max_size=2)))
    while not fresh <= closed:
        closed |= fresh
        fresh = {group.compose(g, h) for g in closed for h in closed}
    others = draw(st.permutations(sorted(closed - {group.identity})))
    return group, (group.identity, *others)


@given(groups_and_subgroups())
def test_every_element_is_in_one_coset(drawn):
    group, elements = drawn
    table = group.cosets(elements)
    assert table.shape == (len(elements), group.order // len(elements))
    assert sorted(table.flatten().tolist()) == list(group.elements)


@given(groups_and_subgroups())
def test_row_h_is_h_after_the_first_row(drawn):
    group, elements = drawn
    table = group.cosets(elements)
    for row, h in zip(table.tolist(), elements, strict=True):
        assert row == [group.compose(h, t) for t in table[0].tolist()]


@given(groups_and_subgroups())
def test_columns_permute_as_the_regular_representation_of_the_subgroup(drawn):
    """``(u f)_{h t} = f_{u^-1 h t}``: the row of h takes what the row of ``u^-1 h`` had, in every column alike."""
    group, elements = drawn
    table, features = group.cosets(elements), torch.arange(group.order)[None]
    for u in elements:
        rows = [elements.index(group.compose(group.inverse(u), h)) for h in elements]
        moved = group.permute_fibre(u, features)[0]
        assert torch.equal(moved[table], features[0][table][rows])


@pytest.mark.parametrize(("name", "subgroup"), [("c4", "c2"), ("d4", "c4"), ("d4", "d2"), ("d6", "d3"), ("d4", "c1")])
def test_of_a_planar_subgroup_they_are_the_restriction(name, subgroup):
    group, small = PlanarGroup.parse(name), PlanarGroup.parse(subgroup)
    assert torch.equal(group.cosets(tuple(group.embed(small, h) for h in small.elements)), group.restriction(small))


def test_a_flip_about_another_axis_has_cosets_too():
    d2 = PlanarGroup.parse("d2")
    assert d2.cosets((0, 3)).tolist() == [[0, 1], [3, 2]]


@pytest.mark.parametrize("elements", [(), (0, 1), (1, 3), (2, 0), (0, 2, 2), (0, 1, 2)], ids=str)
def test_elements_that_are_no_subgroup_are_refused(elements):
    message = f"elements must be a subgroup of C4, each once and the identity 0 first; got {elements}. All of them are"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        PlanarGroup(4).cosets(elements)


def test_what_is_no_element_is_refused():
    with pytest.raises(ValueError, match=r"^an element of C4 is an integer from 0 to 3; got 4"):
        PlanarGroup(4).cosets((0, 4))
