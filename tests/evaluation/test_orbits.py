"""What images are moved by is one key, wherever it comes from, and no two motions share one."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eqmodels.evaluation.orbits import QUARTERS, UPRIGHT, Motion, Orbits, View, quarter_orbits
from eqmodels.groups import PlanarGroup

GROUPS = [PlanarGroup(n, flips) for n in (1, 2, 3, 4, 5, 6, 8, 12) for flips in (False, True)]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_motion_moves_images_as_the_element_that_it_is_of(group):
    images = torch.rand(2, 1, 9, 9)
    for g in group.elements:
        for circular in (False, True):
            view = View(Motion.of(group, g), circular)
            torch.testing.assert_close(view.of(images), group.act(g, images, circular=circular))
            assert view.motion.is_exact == group.is_exact(g)
            assert str(view.motion) == group.describe(g)


def test_one_motion_of_several_groups_is_one_key_and_others_are_others():
    quarter = Motion.by_degrees(90)
    assert {Motion.of(PlanarGroup(n), n // 4) for n in (4, 8, 12)} == {quarter, QUARTERS[1].motion}
    # The element, the quarter and the angle of one number are three motions.
    assert len({Motion.of(PlanarGroup(8), 1), UPRIGHT.turned(1).motion, Motion.by_degrees(1)}) == 3
    assert View(quarter) != View(quarter, circular=True)


@given(st.integers(1, 24), st.booleans(), st.data())
def test_the_smallest_group_of_a_motion_has_it(n, flips, data):
    group = PlanarGroup(n, flips)
    motion = Motion.of(group, data.draw(st.sampled_from(group.elements)))
    assert Motion.of(*motion.element) == motion
    assert group.contains(motion.element[0])


@given(st.fractions(0, 1, max_denominator=2000), st.booleans(), st.integers(-9, 9))
def test_quarters_follow_the_motion(turn, reflected, quarters):
    view = View(Motion(turn, reflected))
    assert view.turned(quarters).turned(-quarters) == view
    assert view.turned(4) == view
    images = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(
        view.turned(quarters).of(images), torch.rot90(view.of(images), quarters, (2, 3)), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_every_element_is_asked_once_whole_or_in_a_circle_and_the_quarters_by_everybody(group):
    orbits = Orbits.of(group)
    asked = {view.motion for view in (*orbits.whole, *orbits.circular)}
    assert asked == {Motion.of(group, g) for g in group.elements} | {view.motion for view in QUARTERS}
    assert orbits.whole[0] == UPRIGHT
    assert len(set(orbits.whole)) == len(orbits.whole)
    assert all(view.motion.is_exact and not view.circular for view in orbits.whole)
    assert not orbits.circular or orbits.circular[0] == View(circular=True)
    assert all(view.circular and not view.motion.is_exact for view in orbits.circular[1:])
    assert len({str(view) for view in (*orbits.whole, *orbits.circular)}) == len(orbits.whole) + len(orbits.circular)


def test_wrong_groups_are_asked_as_themselves():
    def keys(group, part):
        return [str(view) for view in getattr(Orbits.of(group), part)]

    assert keys(PlanarGroup(1, True), "whole") == ["0°", "flip, then 0°", "90°", "180°", "270°"]
    assert keys(PlanarGroup(2, True), "whole") == ["0°", "180°", "flip, then 0°", "flip, then 180°", "90°", "270°"]
    assert keys(PlanarGroup(3), "whole") == ["0°", "90°", "180°", "270°"]
    assert keys(PlanarGroup(3), "circular") == ["0° in a circle", "120° in a circle", "240° in a circle"]
    assert keys(PlanarGroup(1, True), "circular") == []


def test_the_curve_has_every_angle_once_in_orbits_of_four():
    curve = Orbits.curve(15)
    assert [view.motion.degrees for view in curve] == list(range(0, 360, 15))
    orbits = quarter_orbits(curve)
    assert len(orbits) == 6
    for orbit in orbits:
        assert len({view.motion.turn % Fraction(1, 4) for view in orbit}) == 1
    assert [view for orbit in quarter_orbits([UPRIGHT, View(circular=True)]) for view in orbit] == [
        UPRIGHT,
        View(circular=True),
    ]
