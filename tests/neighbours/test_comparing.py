"""Two pictures are compared pixel by pixel, in all eight ways that one may lie."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from eqmodels.neighbours.comparing import MOVES, compare, miniature
from eqmodels.neighbours.duplicates import is_same
from tests.neighbours.conftest import draw

FLIP, TURNS = Image.Transpose.FLIP_LEFT_RIGHT, [getattr(Image.Transpose, f"ROTATE_{a}") for a in (90, 180, 270)]


def moved(picture, element):
    """Mirrored, then turned, by PIL."""
    picture = picture.transpose(FLIP) if element >= 4 else picture
    return picture.transpose(TURNS[element % 4 - 1]) if element % 4 else picture


@pytest.fixture
def picture(tmp_path):
    return Image.open(draw(tmp_path / "one.png", 0))


@pytest.mark.parametrize("element", MOVES.elements)
def test_the_element_that_moves_one_picture_onto_the_other_is_found(picture, element):
    found = compare(miniature(picture), miniature(moved(picture, element)))
    assert (found.element, found.same_shape) == (element, True)
    assert found.difference < 1e-3


def test_a_picture_that_lies_on_its_side_as_its_camera_noted_it_is_the_upright_one(picture, tmp_path):
    file, exif = tmp_path / "camera.png", Image.Exif()
    exif[0x0112] = 6  # turned by a quarter clockwise, to be shown upright
    picture.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    assert compare(miniature(picture), miniature(Image.open(file))).element == 0


def test_a_picture_compressed_and_resized_is_the_same(picture, tmp_path):
    for scale, quality in ((1.0, 60), (1.7, 80), (2.5, 95)):
        size = tuple(round(side * scale) for side in picture.size)
        picture.resize(size).save(tmp_path / "copy.jpg", quality=quality)
        assert is_same(compare(miniature(picture), miniature(Image.open(tmp_path / "copy.jpg"))))


def changed(picture):
    pixels = np.array(picture)
    pixels[10:18, 12:22] = 255 - pixels[10:18, 12:22]
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "other",
    [
        lambda picture: picture.crop((4, 3, 44, 32)),
        lambda picture: picture.resize((52, 32)),
        lambda picture: picture.point(lambda value: value * 7 // 10),
        lambda picture: Image.merge("RGB", picture.split()[::-1]),
        changed,
    ],
    ids=["cropped", "stretched", "darker", "recoloured", "changed in one place"],
)
def test_a_near_miss_is_another_picture(picture, other):
    assert not is_same(compare(miniature(picture), miniature(other(picture))))


def test_transparency_is_white(tmp_path):
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert is_same(compare(miniature(clear), miniature(Image.new("L", (40, 40), 255))))
    assert not is_same(compare(miniature(clear), miniature(Image.new("L", (20, 20), 0))))
