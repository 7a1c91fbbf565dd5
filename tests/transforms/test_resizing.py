"""A picture that was turned by quarters or mirrored becomes the same tensor, turned, at every size, by every way in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from eqmodels import load
from eqmodels.data import load_data
from eqmodels.groups import PlanarGroup
from eqmodels.transforms import Preprocessing, Resize

D4 = PlanarGroup.parse("d4")

SHAPES = [(30, 30), (41, 23), (22, 40), (9, 7)]
"""Heights and widths of pictures, odd and even, larger and smaller than what they become."""

TURNS = [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270]

ORIENTATIONS = dict(enumerate((None, *(Image.Transpose(way) for way in (0, 3, 1, 5, 2, 6, 4))), start=1))
"""How a picture is put down for each orientation of EXIF."""


def levels(shape, channels=3, seed=0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(0, 256, (channels, *shape), dtype=np.uint8))


def picture_of(pixels):
    return Image.fromarray(pixels.movedim(0, -1).squeeze(-1).numpy())


def plain(size, rule, channels=3):
    return Preprocessing((0.0,) * channels, (1.0,) * channels, size, rule)


def deep(pixels):
    return Image.fromarray(pixels[0].numpy().astype(np.uint16) * 257)


def transparent(pixels):
    return Image.fromarray(torch.cat([pixels, pixels[:1]]).movedim(0, -1).numpy())


WAYS_IN = {
    "uint8": lambda pixels: pixels,
    "floats": lambda pixels: pixels / 255,
    "picture": picture_of,
    "transparent picture": transparent,
    "picture of 16 bits": deep,
}


@pytest.mark.parametrize("rule", ["crop", "squash"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (15, 15), (12, 9)], ids=str)
@pytest.mark.parametrize("way", WAYS_IN)
def test_it_commutes_with_every_turn_and_flip(rule, shape, size, way):
    pixels, made = levels(shape), WAYS_IN[way]
    upright = plain(size, rule).transform()(made(pixels))
    assert upright.shape == (3, *size)
    assert upright.std() > 0.05
    for g in D4.elements:
        turned = D4.act(g, upright)
        found = plain(tuple(turned.shape[-2:]), rule).transform()(made(D4.act(g, pixels).contiguous()))
        torch.testing.assert_close(found, turned, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photograph_that_lies_on_its_side_is_the_upright_one(orientation, tmp_path):
    picture, noted, way = picture_of(levels((41, 24))), Image.Exif(), ORIENTATIONS[orientation]
    noted[0x0112] = orientation
    (picture if way is None else picture.transpose(way)).save(tmp_path / "a.png", exif=noted)
    transform = plain((16, 16), "crop").transform()
    assert torch.equal(transform(Image.open(tmp_path / "a.png")), transform(picture))


def test_folders_have_what_the_transform_gives(tmp_path):
    (tmp_path / "train").mkdir()
    pictures = [picture_of(levels(shape, seed=number)) for number, shape in enumerate(SHAPES)]
    pictures += [transparent(levels((20, 31))), deep(levels((25, 18)))]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"train/{number}.png")
    expected = torch.stack([plain((16, 16), "crop").transform()(picture) for picture in pictures])
    assert torch.equal(load_data("image_folder", root=tmp_path, size=16).pixels(slice(None)), expected)
    for file in (tmp_path / "train").iterdir():
        Image.open(file).transpose(Image.Transpose.ROTATE_90).save(file)
    turned = load_data("image_folder", root=tmp_path, size=16).pixels(slice(None))
    torch.testing.assert_close(turned, torch.rot90(expected, 1, (-2, -1)), rtol=0, atol=1e-6)


def test_a_crop_is_the_middle_and_squashing_takes_all():
    pixels = torch.zeros(3, 10, 30)
    pixels[:, :, 10:20] = 1
    assert (Resize((10, 10), "crop")(pixels) == 1).all()
    torch.testing.assert_close(Resize((10, 30), "crop")(pixels), pixels)
    # 10 of 30 columns are white, and the edges of a third of a pixel are mixed.
    torch.testing.assert_close(Resize((10, 10), "squash")(pixels).mean(), torch.tensor(1 / 3), rtol=0, atol=0.01)


def test_what_is_transparent_is_laid_on_white():
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[..., :3], pixels[:, 2:, 3], pixels[:, 4:, 3] = (10, 20, 30), 128, 255
    found = plain((4, 6), "crop").transform()(Image.fromarray(pixels))
    colour, half = torch.tensor([10, 20, 30]) / 255, 128 / 255
    assert (found[:, :, :2] == 1).all()
    torch.testing.assert_close(found[:, 0, 2], colour * half + (1 - half))
    torch.testing.assert_close(found[:, 0, 5], colour)


def test_networks_whose_files_name_no_rule_keep_theirs():
    encoder = load("c4_resnet18s_w16.rot_fmnist_simclr", in_chans=3)
    assert encoder.preprocessing.resize == "squash_8bit"
    assert "resize" not in encoder.preprocessing.to_json()
    picture = picture_of(levels((41, 24)))
    former = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize((28, 28), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(encoder.preprocessing.mean, encoder.preprocessing.deviation),
        ]
    )
    assert torch.equal(encoder.transform()(picture), former(picture).as_subclass(torch.Tensor))
    assert encoder.transform(size=(20, 30))(picture).shape == (3, 20, 30)


@pytest.mark.parametrize("rule", ["crop", "squash", "squash_8bit"])
def test_what_a_file_says_is_read_again(rule):
    made = Preprocessing((0.5, 0.25), (0.25, 1.0), (20, 30), rule)
    assert Preprocessing.from_json(made.to_json()) == made


def test_a_rule_that_nobody_registered_is_refused():
    with pytest.raises(ValueError, match=r"'crops'.*'crop'"):
        Preprocessing.from_json({"mean": [0.5], "deviation": [0.5], "size": [8, 8], "resize": "crops"})
