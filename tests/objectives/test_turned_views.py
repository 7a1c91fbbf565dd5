"""Where views are cut, by which angle they are turned, and what is pasted into them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from eqmodels.groups import PlanarGroup, rotate
from eqmodels.objectives.turned_views import crop_boxes, paste_masks, previous_chosen
from eqmodels.transforms.cutting import cut

IMAGES = F.interpolate(torch.rand(6, 3, 5, 5, generator=torch.Generator().manual_seed(0)).double(), 24, mode="bilinear")
WHOLE = torch.tensor([24.0, 12.0, 12.0]).expand(6, 3)


def test_the_whole_image_is_its_own_view():
    torch.testing.assert_close(cut(IMAGES, WHOLE, torch.zeros(6), 24), IMAGES, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degrees", [90.0, -90.0, 180.0])
def test_a_quarter_turn_is_that_of_the_group(degrees):
    turned = cut(IMAGES, WHOLE, torch.full((6,), degrees), 24)
    torch.testing.assert_close(turned, rotate(IMAGES, degrees), rtol=0, atol=1e-6)


@pytest.mark.parametrize("degrees", [37.0, -20.0])
def test_views_turn_as_everything_else_of_the_package_does(degrees):
    inside = (..., slice(8, 16), slice(8, 16))
    turned = cut(IMAGES, WHOLE, torch.full((6,), degrees), 24)
    torch.testing.assert_close(turned[inside], rotate(IMAGES, degrees)[inside], rtol=0, atol=1e-6)
    assert (turned[inside] - IMAGES[inside]).abs().max() > 0.01


def test_a_view_of_a_crop_is_that_part_of_the_image():
    boxes = torch.tensor([[8.0, 10.0, 14.0]]).expand(6, 3)
    views = cut(IMAGES, boxes, torch.zeros(6), 8)
    torch.testing.assert_close(views, IMAGES[..., 10:18, 6:14], rtol=0, atol=1e-12)


def test_turning_a_crop_of_a_rectangle_does_not_shear_it():
    wide = F.pad(IMAGES, (9, 3, 2, 0))
    boxes = torch.tensor([[12.0, 9 + 12.0, 2 + 12.0]]).expand(6, 3)
    square = torch.tensor([[12.0, 12.0, 12.0]]).expand(6, 3)
    angle = torch.full((6,), 30.0)
    torch.testing.assert_close(cut(wide, boxes, angle, 9), cut(IMAGES, square, angle, 9), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(24, 24), (20, 33)])
def test_turned_crops_stay_within_the_image(size):
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(5000, 3, generator=generator)
    degrees = torch.where(torch.rand(5000, generator=generator) < 0.5, 0.0, 45.0) * (2 * uniforms[:, 1] - 1)
    side, x, y = crop_boxes(uniforms, degrees, 0.35, size).unbind(1)
    height, width = size
    angle = torch.deg2rad(degrees)[:, None]
    for corner in (45, 135, 225, 315):
        reached = angle + math.radians(corner)
        across = x[:, None] + side[:, None] / math.sqrt(2) * reached.cos()
        down = y[:, None] - side[:, None] / math.sqrt(2) * reached.sin()
        assert -1e-4 <= float(across.min()) <= float(across.max()) <= width + 1e-4
        assert -1e-4 <= float(down.min()) <= float(down.max()) <= height + 1e-4


def test_the_area_of_upright_crops_is_uniform():
    uniforms = torch.rand(20000, 3, generator=torch.Generator().manual_seed(0))
    area = crop_boxes(uniforms, torch.zeros(20000), 0.35, (10, 16))[:, 0].square() / 100
    assert 0.35 <= float(area.min()) <= float(area.max()) <= 1
    assert float(area.mean()) == pytest.approx(0.675, abs=0.005)


def test_pasted_squares_cover_at_most_half():
    masks = paste_masks(torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)), 32)
    part = masks.float().mean((1, 2, 3))
    assert float(part.max()) <= 0.55
    assert float(part.mean()) == pytest.approx(0.25, abs=0.01)
    rows, columns = masks.any(3), masks.any(2)
    assert torch.equal(masks, rows[..., None] & columns[..., None, :])


def test_chosen_rows_are_paired_in_a_circle():
    chosen = torch.tensor([False, True, True, False, True])
    assert previous_chosen(chosen).tolist() == [0, 4, 1, 3, 2]
    assert previous_chosen(~chosen & chosen).tolist() == [0, 1, 2, 3, 4]
    assert previous_chosen(torch.tensor([False, True])).tolist() == [0, 1]


def test_an_eighth_of_a_turn_is_the_groups():
    c8 = PlanarGroup(8)
    turned, expected = cut(IMAGES, WHOLE, torch.full((6,), 45.0), 24), c8.act(1, IMAGES)
    torch.testing.assert_close(turned[..., 8:16, 8:16], expected[..., 8:16, 8:16], rtol=0, atol=1e-6)
