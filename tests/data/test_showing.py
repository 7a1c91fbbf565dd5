"""Pictures on sheets and pages are what people would see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data.showing import as_seen


def test_of_many_channels_the_first_three_are_seen_in_their_own_range():
    pixels = torch.zeros(5, 4, 6)
    pixels[0, :, 3:], pixels[1, 2:] = 0.01, 0.02
    found = np.asarray(as_seen(pixels, 6))
    assert found.shape == (4, 6, 3)
    assert found[0].tolist() == [[0, 0, 0]] * 3 + [[128, 0, 0]] * 3
    assert found[3].tolist() == [[0, 255, 0]] * 3 + [[128, 255, 0]] * 3


def test_of_two_channels_the_first_is_seen_as_grey():
    found = np.asarray(as_seen(torch.stack([torch.eye(3), torch.ones(3, 3)]), 3))
    assert torch.equal(torch.from_numpy(found.copy())[..., 0], (torch.eye(3) * 255).to(torch.uint8))
    assert (found[..., :1] == found).all()


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_numbers_of_any_range_are_seen(mode):
    levels = np.array([[100, 300]] * 2)
    picture = Image.fromarray(levels.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    assert picture.mode == mode
    assert np.asarray(as_seen(picture, 2))[0].tolist() == [[0] * 3, [255] * 3]


def test_what_is_seen_through_lies_on_white_and_a_note_of_the_camera_is_followed():
    picture = Image.new("RGBA", (2, 4), (10, 20, 30, 0))
    picture.putpixel((0, 0), (10, 20, 30, 255))
    picture.getexif()[0x0112] = 3
    found = np.asarray(as_seen(picture, 4))
    assert found.shape == (4, 2, 3)
    assert found[3, 1].tolist() == [10, 20, 30]
    assert (found.reshape(-1, 3)[:-1] == 255).all()
