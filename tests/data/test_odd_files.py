"""Odd files become what they show, or are refused for a reason that says what is odd: the same by every way in."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from eqmodels import create_model, load
from eqmodels.cli import main
from eqmodels.data import contact_sheet, load_data, summarise_folder
from eqmodels.data.file_images import image_maker
from eqmodels.data.pictures import BadFilesError, LeftOutWarning, open_picture, picture_at
from eqmodels.evaluation import embed
from eqmodels.transforms import Preprocessing
from tests.data.odd_files import BAD, GOOD, MANY, ODD_FILES, write_odd_files


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
        image_maker(None, odd.channels, "white")(picture_at(path, odd.channels))


def test_a_file_alone_is_named(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(
        ValueError, match=r"^path must be of an image; '.*a\.png' cannot be read: it is of none of [^\n]*\.$"
    ):
        open_picture(tmp_path / "a.png")


def test_no_two_have_one_name():
    assert len({one.name for one in ODD_FILES}) == len(ODD_FILES) >= 80


# All at once, by every way in.


def read_for(channels, ending):
    """Good and bad files that are read for so many channels, pictures or arrays, by name."""
    chosen = [one for one in ODD_FILES if one.channels == channels and one.name.endswith(".npy") == (ending == ".npy")]
    return sorted(chosen, key=lambda one: one.name)


@pytest.fixture(params=[(3, ".png"), (3, ".npy"), (13, ".png")], ids=str)
def odd(request, tmp_path):
    """A folder of odd files of a number of channels, and its files."""
    channels, ending = request.param
    files = read_for(channels, ending)
    write_odd_files(tmp_path / "odd/train", files)
    return channels, files, tmp_path / "odd"


def told(bad):
    return {one.path.name: one.reason for one in bad}


def test_a_folder_and_a_table_take_the_good_ones_and_name_the_bad_ones(odd, tmp_path):
    channels, files, root = odd
    good, bad = ([one for one in files if (one.shape is not None) == kind] for kind in (True, False))
    with pytest.raises(BadFilesError, match=rf"^{len(bad)} of {len(files)} files cannot be read as images\."):
        load_data("image_folder", root=root, size=4, channels=channels)
    with pytest.warns(LeftOutWarning):
        data = load_data("image_folder", root=root, size=4, channels=channels, skip_bad=True)
    assert data.images.shape == (len(good), channels, 4, 4)
    assert data.images.dtype == torch.float32
    assert told(data.skipped).keys() == {one.name for one in bad}
    for one, image in zip(good, data.images, strict=True):
        assert torch.equal(image, image_maker(4, channels, "white")(open_picture(root / "train" / one.name, channels)))
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "split"), *((f"odd/train/{one.name}", "train") for one in files)])
    with pytest.warns(LeftOutWarning):
        table = load_data("table", root=tmp_path / "t.csv", size=4, channels=channels, skip_bad=True)
    assert torch.equal(table.images, data.images)
    assert told(table.skipped) == told(data.skipped)


def test_the_summary_names_the_same_bad_ones_and_a_sheet_shows_the_others(odd):
    channels, files, root = odd
    found = summarise_folder(root, channels=channels)
    assert {name.rpartition("/")[2] for name in found.bad} == {one.name for one in files if one.shape is None}
    assert sum(found.channels.values()) == sum(found.bits.values()) == len(files) - len(found.bad)
    if channels == 13:
        assert (found.channels, found.bits, found.modes) == ({"13": 6}, {"16": 6}, {"array": 6})
        assert (
            "channels: 13 (6); bits: 16 (6); modes: array (6)\nother commands read them with --channels 13"
            in found.text()
        )
    sheet = np.asarray(contact_sheet(root, channels=channels, columns=40, rows=1, side=8))
    columns = [(sheet[:, start : start + 8] != 255).any() for start in range(4, 484, 12)]
    assert sum(columns) >= min(40, len(files)) - len(found.bad)


def test_features_are_those_of_the_good_ones(odd, randomised):
    channels, files, root = odd
    paths = [root / "train" / one.name for one in files]
    encoder = randomised(create_model("c4_resnet18s_w4", in_chans=channels, num_classes=0)).eval()
    encoder.preprocessing = Preprocessing((0.5,) * channels, (0.25,) * channels, (8, 8))
    found = embed(encoder, paths, skip_bad=True)
    assert [path.rpartition("/")[2] for path in found.paths] == [one.name for one in files if one.shape is not None]
    with pytest.warns(LeftOutWarning):
        images = load_data("image_folder", root=root, size=8, channels=channels, skip_bad=True).images
    with torch.inference_mode():
        expected = encoder(encoder.preprocessing.normalise(images))
    torch.testing.assert_close(found.features, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_command_says_the_flag_that_would_take_them(tmp_path, capsys):
    write_odd_files(tmp_path / "odd", [one for one in MANY if one.name == "pages.tif"])
    assert main(["data", str(tmp_path / "odd"), "--channels", "3", "--json"]) == 1
    reason = json.loads(capsys.readouterr().out)["bad"]["pages.tif"]
    assert reason.startswith("it has 13 channels where 3 are read: pass channels=, here 13 (--channels 13), or choose")
    encoder = load("c4_resnet18s_w16.rot_fmnist_simclr", num_classes=0, in_chans=3)
    with pytest.raises(BadFilesError, match=r"pass in_chans=, here 13 \(--in-chans 13\), or choose channels of it$"):
        embed(encoder, [tmp_path / "odd/pages.tif"])


def test_arrays_beside_pictures_are_no_images(tmp_path):
    write_odd_files(tmp_path, [one for one in GOOD if one.name in ("rgb.png", "flat.npy", "grey.png")])
    found = summarise_folder(tmp_path)
    assert (sum(found.splits.values()), found.ignored) == (2, {".npy": 1})
    np.save(tmp_path / "grey.npy", np.zeros((6, 8), np.uint8))
    for name in ("rgb.png", "grey.png"):
        (tmp_path / name).unlink()
    assert sum(summarise_folder(tmp_path).splits.values()) == 2
