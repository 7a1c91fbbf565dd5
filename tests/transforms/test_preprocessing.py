"""The transform of pretrained weights takes pictures of every mode for what they show, or refuses them."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.transforms import Preprocessing
from eqmodels.transforms.preprocessing import Pixels

pytestmark = pytest.mark.usefixtures("no_shape_checks")

SIZE = (6, 8)


def preprocessing(channels):
    return Preprocessing((0.0,) * channels, (1.0,) * channels, SIZE)


def colourful():
    """A picture of four colours, each a rectangle, and its pixels."""
    pixels = np.zeros((*SIZE, 3), dtype=np.uint8)
    pixels[:3, :4], pixels[:3, 4:], pixels[3:, :4], pixels[3:, 4:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
    return Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1) / 255


def stored(picture, kind):
    """As it comes back from a file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return Image.open(io.BytesIO(file.getvalue()))


def grey_of(pixels):
    return (pixels * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV"])
def test_colours_are_what_they_are_in_every_mode(mode):
    picture, pixels = colourful()
    # With a palette of its own colours; PIL's has others.
    picture = picture.quantize(4).convert(mode) if mode in ("P", "PA") else picture.convert(mode)
    assert picture.mode == mode
    torch.testing.assert_close(preprocessing(3).transform()(picture), pixels, rtol=0, atol=0.03)
    torch.testing.assert_close(preprocessing(1).transform()(picture), grey_of(pixels), rtol=0, atol=0.03)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_pictures_are_grey_in_every_mode(mode):
    grey = np.zeros(SIZE, dtype=np.uint8)
    grey[:, :3] = 255
    picture = Image.fromarray(grey).convert(mode)
    expected = torch.from_numpy(grey)[None] / 255
    torch.testing.assert_close(preprocessing(1).transform()(picture), expected, rtol=0, atol=0.01)
    torch.testing.assert_close(preprocessing(3).transform()(picture), expected.expand(3, -1, -1), rtol=0, atol=0.01)


# A GIF has one transparent colour, a PNG may have several.
PALETTES = [("GIF", None), ("GIF", 0), ("PNG", None), ("PNG", 0), ("PNG", bytes([0, 128, 255, 255]))]


@pytest.mark.parametrize(("kind", "transparency"), PALETTES)
def test_palettes_of_files_are_colours_on_white(kind, transparency):
    picture, pixels = colourful()
    palette = picture.quantize(4)
    opacity = np.ones(4, dtype=np.float32)
    if transparency is not None:
        palette.info["transparency"] = transparency
        opacity[: len(transparency) if isinstance(transparency, bytes) else 1] = (
            np.frombuffer(transparency, dtype=np.uint8) / 255 if isinstance(transparency, bytes) else 0
        )
    opened = stored(palette, kind)
    assert opened.mode == "P"
    visible = torch.from_numpy(opacity[np.asarray(palette)])
    expected = pixels * visible + (1 - visible)
    torch.testing.assert_close(preprocessing(3).transform()(opened), expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["LA", "RGBA", "RGBa"])
def test_what_is_transparent_lies_on_white_whatever_colour_is_below(mode, channels):
    """A black drawing on nothing, whose nothing is black too: the left half drawn, the middle half seen through."""
    pixels = np.zeros((*SIZE, 4), dtype=np.uint8)
    pixels[:, :4, 3], pixels[:, 4:6, 3] = 255, 128
    expected = torch.ones(channels, *SIZE)
    expected[..., :4], expected[..., 4:6] = 0, 127 / 255
    found = preprocessing(channels).transform()(Image.fromarray(pixels).convert(mode))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("background", "paper"), [("black", (0.0, 0.0, 0.0)), ("#ff8000", (1.0, 128 / 255, 0.0))])
def test_what_is_transparent_lies_on_the_background_that_is_said(background, paper, channels):
    pixels = np.zeros((*SIZE, 4), dtype=np.uint8)
    pixels[:, :4], pixels[:, 4:6] = (0, 0, 255, 255), (0, 0, 255, 51)
    made = Preprocessing((0.0,) * channels, (1.0,) * channels, SIZE, background=background)
    assert Preprocessing.from_json(made.to_json()) == made
    blue, ground = (torch.tensor(colour)[:, None, None].expand(-1, *SIZE) for colour in ((0.0, 0.0, 1.0), paper))
    laid = torch.cat([blue[..., :4], (0.2 * blue + 0.8 * ground)[..., 4:6], ground[..., 6:]], -1)
    transform = made.transform()
    assert f"{channels}, {background!r}" in repr(transform)
    for picture, colours in ((Image.fromarray(pixels), laid), (Image.new("LA", SIZE[::-1], (0, 0)), ground)):
        expected = colours if channels == 3 else grey_of(colours)
        torch.testing.assert_close(transform(picture), expected, rtol=0, atol=2e-4 if channels == 1 else 1e-6)


def test_a_white_background_is_not_written():
    assert preprocessing(3).to_json().keys() == {"mean", "deviation", "size", "resize"}
    assert Preprocessing.from_json(preprocessing(3).to_json()).background == "white"


@pytest.mark.parametrize("background", ["whitish", "#ffffff80", "", "9"])
def test_what_is_no_colour_is_refused(background):
    sentence = f"^background must be a colour that hides what is below, .*; got '{background}'"
    with pytest.raises(ValueError, match=sentence):
        Preprocessing.from_json({**preprocessing(3).to_json(), "background": background})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("mode", "key"), [("L", 0), ("RGB", (0, 0, 0))])
def test_one_transparent_colour_of_a_file_without_a_palette_is_white(mode, key, channels):
    file = io.BytesIO()
    Image.new(mode, SIZE[::-1]).save(file, "PNG", transparency=key)
    found = preprocessing(channels).transform()(Image.open(io.BytesIO(file.getvalue())))
    torch.testing.assert_close(found, torch.ones(channels, *SIZE), rtol=0, atol=0.01)


WAYS = dict(enumerate((None, *(Image.Transpose(way) for way in (0, 3, 1, 5, 2, 6, 4))), start=1))
"""How a picture is put down for each orientation of EXIF."""


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", WAYS)
def test_photographs_are_turned_upright_as_the_camera_noted_it(orientation, kind):
    picture, pixels = colourful()
    file, noted, way = io.BytesIO(), Image.Exif(), WAYS[orientation]
    noted[0x0112] = orientation
    (picture if way is None else picture.transpose(way)).save(file, kind, exif=noted)
    found = preprocessing(3).transform()(Image.open(file))
    torch.testing.assert_close(found, pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_pictures_of_16_bits_are_floats(mode, channels):
    found = preprocessing(channels).transform()(Image.new(mode, (8, 6), 3000))
    torch.testing.assert_close(found, torch.full((channels, *SIZE), 3000 / 65535))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_floats_are_in_their_range_or_refused(channels):
    transform = preprocessing(channels).transform()
    torch.testing.assert_close(transform(Image.new("F", (8, 6), 0.25)), torch.full((channels, *SIZE), 0.25))
    with pytest.raises(ValueError, match=r"^transform takes floats in \[0, 1\]; got pixels from 7 to 7"):
        transform(Image.new("F", (8, 6), 7.0))
    sentence = "^transform takes pictures of 8 or 16 bits a channel; got one of PIL's mode 'I', .* floats in"
    with pytest.raises(ValueError, match=sentence):
        transform(Image.new("I", (8, 6), 7))


@pytest.mark.parametrize("mode", Image.MODES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_mode_becomes_an_input_or_a_sentence(mode, channels):
    transform, picture = preprocessing(channels).transform(), Image.new(mode, (8, 6))
    bands = len(picture.getbands())
    is_odd = mode == "La"
    if mode == "I" or (is_odd if channels in (1, 3) else mode in ("1", "P", "PA") or bands != channels):
        with pytest.raises(ValueError, match=r"^transform takes [^\n]*$"):
            transform(picture)
        return
    found = transform(picture)
    assert found.shape == (channels, *SIZE)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGBA", 4), ("CMYK", 4)])
def test_networks_for_other_channels_get_the_bands(mode, channels):
    picture = Image.new(mode, (8, 6), tuple(range(0, 51 * channels, 51)))
    expected = torch.arange(channels)[:, None, None].expand(-1, *SIZE) / 5
    torch.testing.assert_close(preprocessing(channels).transform()(picture), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "error", "sentence"),
    [
        (torch.zeros(2, 6, 8), ValueError, r"images of 1 or 3 channels, .*; got the shape \(2, 6, 8\). Choose"),
        (
            torch.zeros(3, 6, 8, dtype=torch.int64),
            TypeError,
            r"pixels as uint8, uint16 or as floats in \[0, 1\]; got torch.int64",
        ),
        (np.zeros((6, 8, 3), dtype=np.int32), TypeError, "got torch.int32"),
        ("picture.png", TypeError, "got str. Open files with eqmodels.data.open_picture"),
        (None, TypeError, "got NoneType"),
        (
            torch.linspace(0, 255, 144).view(3, 6, 8),
            ValueError,
            r"floats in \[0, 1\]; got pixels from 0 to 255. Divide those of 0 .. 255 by 255, clamp",
        ),
        (torch.full((3, 6, 8), -0.1), ValueError, r"floats in \[0, 1\]; got pixels from -0.1 to -0.1"),
        (torch.full((3, 6, 8), torch.nan), ValueError, r"floats in \[0, 1\]; got pixels from nan to nan"),
        (np.full((6, 8, 3), np.inf), ValueError, r"floats in \[0, 1\]; got pixels from inf to inf"),
        (torch.zeros(3, 0, 8, dtype=torch.uint8), ValueError, r"at least one pixel; got the shape \(3, 0, 8\)"),
    ],
    ids=["channels", "int64", "int32", "name", "None", "levels", "negative", "NaN", "infinite", "empty"],
)
def test_what_is_no_picture_is_refused(picture, error, sentence):
    with pytest.raises(error, match=f"^transform takes .*{sentence}"):
        preprocessing(3).transform()(picture)


def test_arrays_and_tensors_are_what_pictures_are():
    picture, pixels = colourful()
    transform = preprocessing(3).transform()
    expected = transform(picture)
    assert torch.equal(transform(np.array(picture)), expected)
    assert torch.equal(transform((pixels * 255).round().to(torch.uint8)), expected)
    torch.testing.assert_close(transform(pixels), expected)
    batch = (pixels * 255).round().to(torch.uint8).expand(2, 4, -1, -1, -1)
    assert torch.equal(transform(batch)[1, 2], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_rounding_is_no_wrong_range(dtype):
    above = torch.nextafter(torch.ones((), dtype=torch.float32), torch.tensor(2.0)).to(dtype)
    assert Pixels(3)(torch.full((3, 6, 8), float(above), dtype=dtype)).dtype == dtype


def test_a_transform_is_shown_and_sent_to_other_processes():
    transform, (picture, _) = preprocessing(1).transform(), colourful()
    assert "Pixels(\n" in repr(transform)
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):
        assert torch.equal(other(picture), transform(picture))
