"""Training over widths and sizes."""

from __future__ import annotations

import pytest
import torch

from eqmodels.bench.capacity import Resized, measure_capacity
from eqmodels.data import load_data


@pytest.fixture(scope="module")
def clothes():
    return tuple(load_data("fashion_mnist_mini", split).balanced_subset(200) for split in ("train", "test"))


def test_images_of_another_size_keep_what_is_on_them(clothes):
    small = Resized(clothes[0], 7)
    assert (small.size, small.channels, len(small)) == ((7, 7), 1, 200)
    pixels, before = small.pixels(slice(0, 5)), clothes[0].pixels(slice(0, 5))
    assert pixels.shape == (5, 1, 7, 7)
    torch.testing.assert_close(pixels.mean((1, 2, 3)), before.mean((1, 2, 3)), atol=0.02, rtol=0)
    assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
    assert torch.equal(Resized(clothes[0], 28).pixels(slice(0, 5)), before)


def test_a_wider_network_learns_more_in_as_many_steps(clothes):
    narrow, wide = (measure_capacity("resnet18s", "width", width, clothes, steps=25) for width in (2, 16))
    assert wide.loss < narrow.loss
    assert measure_capacity("resnet18s", "width", 2, clothes, steps=25) == narrow
    assert measure_capacity("resnet18s", "width", 2, clothes, steps=25, seed=1) != narrow


def test_the_size_of_images_is_that_which_is_asked_for(clothes):
    found = measure_capacity("c4_resnet18s", "size", 8, clothes, steps=2)
    assert found.images == 200
    assert found.changed_turned < 0.05
