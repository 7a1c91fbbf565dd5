"""A folder of images is read from that folder alone, and nothing but images."""

from __future__ import annotations

import os
import re

import pytest
from PIL import EpsImagePlugin

from eqmodels.data import load_data
from tests.data.test_folder import save

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\n0 0 8 6 rectfill\nshowpage\n%%EOF\n"


@pytest.fixture
def root(tmp_path):
    for number in range(2):
        save(tmp_path / "root" / "train" / "ant" / f"{number}.png", seed=number)
        save(tmp_path / "root" / "test" / "ant" / f"{number}.png", seed=10 + number)
    return tmp_path / "root"


def refused(root, sentence, split="train"):
    with pytest.raises(ValueError, match=sentence):
        load_data("image_folder", split, root=root)


def test_no_program_is_started_for_what_is_called_an_image(root, monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    (root / "train/ant/2.png").write_bytes(POSTSCRIPT)
    refused(root, r"2\.png: it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP")
    assert not started


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("train/ant/again", ".."),
        ("train/ant/again", "."),
        ("train/ant/again", "../.."),
        ("train/ant/again", "../../test/ant"),
        ("train/bee", "../test/ant"),
        ("train/ant/more", "/elsewhere"),
    ],
)
def test_links_to_folders_are_refused(root, tmp_path, place, target):
    if target == "/elsewhere":
        save(tmp_path / "elsewhere" / "a.png")
        target = tmp_path / "elsewhere"
    (root / place).symlink_to(target)
    refused(root, f"^{re.escape(str(root / place))} is a link to a folder, and these are not followed")


def test_a_split_is_no_link_either(root, tmp_path):
    os.rename(root / "test", tmp_path / "others")
    (root / "test").symlink_to(tmp_path / "others")
    refused(root, "test is a link to a folder", "test")


def test_links_out_of_the_folder_are_refused(root, tmp_path):
    save(tmp_path / "secret.png")
    (root / "train/ant/2.png").symlink_to(tmp_path / "secret.png")
    refused(root, r"2\.png is a link out of .*root, and images are read from there alone\. Put the image itself there")


def test_links_within_it_are_read_and_so_is_a_folder_that_is_named_by_a_link(root, tmp_path):
    (root / "train/ant/2.png").symlink_to("0.png")
    (tmp_path / "link").symlink_to(root)
    for name in (root, tmp_path / "link"):
        images = load_data("image_folder", root=name).images
        assert len(images) == 3
        assert (images[0] == images[2]).all()
