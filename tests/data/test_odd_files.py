"""Odd files become what they show, or are refused for a reason that says what is odd: the same by every way in."""

from __future__ import annotations

import pytest
import torch

from eqmodels.data.file_images import image_maker
from eqmodels.data.pictures import open_picture
from eqmodels.transforms import Preprocessing
from tests.data.odd_files import BAD, GOOD, MANY, ODD_FILES


@pytest.fixture
def file(tmp_path, request):
    odd = request.param
    odd.write(tmp_path / odd.name)
    return odd, tmp_path / odd.name


@pytest.mark.parametrize("file", [*GOOD, *MANY], ids=lambda one: one.name, indirect=True)
def test_a_good_one_becomes_the_pixels_that_it_has(file):
    odd, path = file
    picture = open_picture(path, odd.channels)
    image = image_maker(None, odd.channels, "white")(picture)
    assert image.shape == odd.shape
    pixels = image / 255 if image.dtype == torch.uint8 else image
    if odd.corner is not None:
        torch.testing.assert_close(pixels[:, 0, 0], torch.tensor(odd.corner), rtol=0, atol=2e-6)
    # The network's own way is the same.
    count = odd.channels
    transform = Preprocessing((0.0,) * count, (1.0,) * count, odd.shape[1:]).transform()
    torch.testing.assert_close(transform(picture), pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize("file", BAD, ids=lambda one: one.name, indirect=True)
def test_a_bad_one_says_what_is_wrong(file):
    odd, path = file
    with pytest.raises(ValueError, match=rf"^{odd.reason}[^\n]*"):
        image_maker(None, odd.channels, "white")(open_picture(path, odd.channels))


def test_no_two_have_one_name():
    assert len({one.name for one in ODD_FILES}) == len(ODD_FILES) >= 80
