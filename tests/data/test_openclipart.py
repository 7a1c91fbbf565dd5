"""The Open Clip Art Library: which pictures are whose, and how transparent ones become squares."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import load_data
from eqmodels.data.backgrounds import behind
from eqmodels.data.openclipart import SMALLEST_CLASS, clipart_files, fitted, on_white
from tests.data.files import clipart_names, write_openclipart


def test_splits_share_no_picture_and_small_folders_are_no_classes(tmp_path):
    write_openclipart(tmp_path)
    found = {split: load_data("openclipart", split, root=tmp_path, size=4) for split in ("train", "test")}
    for split, data in found.items():
        assert data.classes == ("computer", "shapes")
        # Those of the third folder, which is too small, are none of a class.
        files = [path for path in clipart_files(tmp_path, split) if path.relative_to(tmp_path).parts[0] != "logos"]
        assert len(data) == len(files) > 0
        assert data.images.shape[1:] == (3, 4, 4)
        assert data.images.dtype == torch.uint8
    files = {split: set(clipart_files(tmp_path, split)) for split in found}
    assert not files["train"] & files["test"]
    assert {path.relative_to(tmp_path).as_posix() for path in files["test"]} <= set(clipart_names("test"))


def test_what_is_left_out_and_links_are_no_pictures(tmp_path):
    write_openclipart(tmp_path)
    before = clipart_files(tmp_path, "train")
    hidden, link = tmp_path / clipart_names("out")[0], tmp_path / "computer" / "link.png"
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_bytes(before[0].read_bytes())
    link.symlink_to(before[0])
    assert clipart_files(tmp_path, "train") == before


def test_the_table_divides_a_fifth_off():
    lines = (resources.files("eqmodels.data") / "openclipart.txt").read_text("utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 1507
    assert len(clipart_names("test")) == 1096
    assert not set(clipart_names("test")) & set(clipart_names("out"))


def test_a_picture_lies_in_the_middle_of_its_square_on_white():
    picture = Image.new("RGBA", (8, 4), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 4, 4))  # black, and transparent
    square = fitted(picture, 8)
    assert square.shape == (8, 8, 4)
    assert not square[:2].any()
    assert not square[6:].any()
    image = on_white(square)
    white, red = torch.full((3, 4, 2), 255), torch.tensor([255, 0, 0])[:, None, None].expand(3, 4, 2)
    assert torch.equal(image[:, 2:6, :2].int(), white.int())
    assert torch.equal(image[:, 2:6, 6:].int(), red.int())
    # The black of transparent pixels is seen nowhere: all between is between white and red.
    assert int(image[0].min()) == 255


@pytest.mark.parametrize("side", [5, 16, 31])
def test_it_is_enlarged_and_reduced_without_dark_edges(side):
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[4:12, 4:12] = (255, 255, 255, 255)
    assert int(on_white(fitted(Image.fromarray(picture), side)).min()) >= 254


@pytest.mark.parametrize("opacity", [0, 1, 100, 254, 255])
def test_white_shows_through_to_the_last_level(opacity):
    square = np.random.default_rng(0).integers(0, opacity + 1, (16, 16, 4), dtype=np.uint8)
    square[..., 3] = opacity
    assert torch.equal(on_white(square).int(), torch.from_numpy(square[..., :3]).movedim(-1, 0).int() + 255 - opacity)


def test_a_picture_has_the_same_background_each_time_and_another_one_than_others(tmp_path):
    write_openclipart(tmp_path)
    clear = Image.new("RGBA", (6, 6))
    for path in tmp_path.rglob("shapes/*.png"):
        clear.save(path)
    found = {}
    for kind in ("white", "colours", "pictures"):
        data = load_data("openclipart", root=tmp_path, size=6, background=kind)
        again = load_data("openclipart", root=tmp_path, size=6, background=kind)
        assert torch.equal(data.images, again.images)
        found[kind] = data.images[data.labels == 1]
    assert bool((found["white"] == 255).all())
    colours = found["colours"].flatten(2)
    assert torch.equal(colours, colours[..., :1].expand_as(colours))
    assert len(colours[..., 0].unique(dim=0)) == len(colours)
    # A third of the others are clear as well, of whose canvas the colour is left.
    is_plain = (found["pictures"].flatten(2) == found["pictures"].flatten(2)[..., :1]).all(2).all(1)
    assert 0 < int(is_plain.sum()) < len(is_plain)
    assert torch.equal(found["pictures"][is_plain], found["colours"][is_plain])


def test_without_a_picture_that_is_gone_others_keep_their_colours(tmp_path):
    write_openclipart(tmp_path)
    before = load_data("openclipart", root=tmp_path, size=6, background="colours").images
    clipart_files(tmp_path, "train")[0].unlink()
    after = load_data("openclipart", root=tmp_path, size=6, background="colours").images
    assert torch.equal(after, before[1:])


def test_behind_a_picture_lies_a_part_of_any_other_but_never_itself():
    sides = {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)}
    squares = [np.broadcast_to(np.uint8([*colour, 255]), (8, 8, 4)) for colour in sides.values()]
    for own in sides:
        seen = {
            tuple(int(value) for value in behind("pictures", 8, np.random.default_rng(seed), squares, own)[3, 3])
            for seed in range(20)
        }
        assert seen == {colour for number, colour in sides.items() if number != own}
    alone = behind("pictures", 8, np.random.default_rng(0), squares[:1])
    assert np.array_equal(alone, behind("colours", 8, np.random.default_rng(0)))


def test_a_part_of_a_picture_is_enlarged_to_the_field():
    left = np.zeros((20, 20, 4), np.uint8)
    left[:, :10] = (200, 0, 0, 255)
    shares = []
    for seed in range(30):
        canvas = behind("pictures", 20, np.random.default_rng(seed), [left, left])
        assert canvas.shape == (20, 20, 3)
        shares.append(float((canvas == (200, 0, 0)).all(-1).mean()))
    assert min(shares) < 0.2
    assert max(shares) > 0.8


def test_a_background_of_another_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="background must be one of white, colours, pictures; got 'black'"):
        load_data("openclipart", root=tmp_path, background="black")


def test_a_folder_without_its_pictures_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="Install Debian's package openclipart-png, or name the folder"):
        load_data("openclipart", root=tmp_path)
    with pytest.raises(ValueError, match="size must be at least 1; got 0"):
        load_data("openclipart", root=tmp_path, size=0)
    write_openclipart(tmp_path, classes=("logos",))
    with pytest.raises(FileNotFoundError, match=rf"classes of at least {SMALLEST_CLASS} pictures; the largest folder"):
        load_data("openclipart", root=tmp_path)
