"""Shards of webdataset: the images in them, and no tar that would fill the memory."""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile

import numpy as np
import pytest
import torch

from eqmodels.data import load_data
from eqmodels.data.pictures import BadFilesError, LeftOutWarning
from tests.data.files import png, write_shards, write_tar


def test_samples_are_images_and_labels(tmp_path):
    images = torch.from_numpy(write_shards(tmp_path))
    train, test = (load_data("shards", split, root=tmp_path) for split in ("train", "test"))
    assert torch.equal(train.images, images[:6])
    assert torch.equal(test.images, images[6:])
    assert train.classes == test.classes == ("8", "9", "10")  # by their size
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2] * 2, [0, 1, 2])
    assert train.name == f"shards:{tmp_path.name}"


def test_a_label_may_be_of_words_or_in_json_or_nowhere(tmp_path):
    content = png(0)[1]
    members = {"a.png": content, "a.cls": b"sea\n", "b.png": content, "b.json": json.dumps({"label": "land"}).encode()}
    write_tar(tmp_path / "train.tar", members | {"notes.md": b"no sample", "c.JSON": b"{}"})
    data = load_data("shards", root=tmp_path / "train.tar")
    assert (data.classes, data.labels.tolist()) == (("land", "sea"), [1, 0])
    write_tar(tmp_path / "train.tar", {**members, "c.png": content, "c.json": b"{}"})
    with pytest.raises(ValueError, match=r"must have a label, or none; 1 of 3 have none\. Add them as 0001\.cls, or"):
        load_data("shards", root=tmp_path)
    write_tar(tmp_path / "train.tar", {"a.png": content, "a.json": b'{"label": [1]}'})
    with pytest.raises(ValueError, match=r"the label of a must be a number or a word; got \[1\]"):
        load_data("shards", root=tmp_path)
    write_shards(tmp_path / "plain", labelled=False)
    data = load_data("shards", root=tmp_path / "plain")
    assert (data.classes, set(data.labels.tolist())) == ((), {-1})


def test_shards_that_are_called_anything_are_split_by_the_names_inside(tmp_path):
    members = {f"deep/{number:03}.png": png(number)[1] for number in range(40)}
    write_tar(tmp_path / "some.tar", dict(list(members.items())[:25]))
    write_tar(tmp_path / "more/train-0.tar", dict(list(members.items())[25:]))
    counts = {split: len(load_data("shards", split, root=tmp_path)) for split in ("train", "test")}
    assert sum(counts.values()) == 40
    assert 2 <= counts["test"] <= 16
    write_tar(tmp_path / "val/0.tar", members)
    (tmp_path / "some.tar").unlink()
    assert [len(load_data("shards", split, root=tmp_path)) for split in ("test", "validation")] == [40, 40]
    write_tar(tmp_path / "test-0.tar", dict(list(members.items())[:3]))
    assert [len(load_data("shards", split, root=tmp_path)) for split in ("test", "validation")] == [3, 40]


def test_images_of_other_sizes_and_channels_get_those_that_are_asked_for(tmp_path):
    write_tar(tmp_path / "train.tar", {"a.png": png(0, (9, 12))[1], "b.png": png(1)[1]})
    assert load_data("shards", root=tmp_path, size=5, channels=1).images.shape == (2, 1, 5, 5)
    np.save(tmp_path / "a.npy", np.zeros((6, 8, 13), np.uint16))
    write_tar(tmp_path / "train.tar", {"a.npy": (tmp_path / "a.npy").read_bytes()})
    assert load_data("shards", root=tmp_path, channels=13).images.shape == (1, 13, 6, 8)


def test_bad_images_are_listed_and_left_out_if_that_is_asked_for(tmp_path):
    write_tar(tmp_path / "train.tar", {"a.png": png(0)[1], "a.cls": b"1", "b.png": b"no image", "b.cls": b"2"})
    with pytest.raises(BadFilesError, match=r"(?s)^1 of 2 files .*train\.tar/b\.png: it is of none of the formats"):
        load_data("shards", root=tmp_path)
    with pytest.warns(LeftOutWarning):
        data = load_data("shards", root=tmp_path, skip_bad=True)
    assert (len(data), data.classes, [one.path.name for one in data.skipped]) == (1, ("1", "2"), ["b.png"])


def huge(file):
    """A member that takes a few bytes, by a hole in it, and claims a terabyte."""
    told = tarfile.TarInfo("a.png")
    told.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)}
    told.pax_headers["GNU.sparse.name"] = "a.png"
    file.write_bytes(told.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + bytes(1024))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(gzip.compress(file.read_bytes())),
        lambda file: file.write_bytes(b"no tar"),
        lambda file: file.write_bytes(file.read_bytes()[:700]),
        huge,
    ],
    ids=["compressed", "none", "short", "huge"],
)
def test_a_tar_that_is_damaged_or_a_bomb_is_refused(tmp_path, spoil):
    write_shards(tmp_path)
    spoil(tmp_path / "train-0.tar")
    start = re.escape(f"{tmp_path / 'train-0.tar'} cannot be read as a shard, a tar that is not compressed (")
    with pytest.raises(ValueError, match=rf"^{start}[^\n]*\)\. Write it anew, or move it out of "):
        load_data("shards", root=tmp_path)


def test_links_out_of_the_folder_and_pipes_are_refused(tmp_path):
    write_shards(tmp_path / "elsewhere")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train.tar").symlink_to(tmp_path / "elsewhere/train-0.tar")
    with pytest.raises(ValueError, match=r"train\.tar is a link out of .*mine, and images are read from there alone"):
        load_data("shards", root=tmp_path / "mine")
    (tmp_path / "mine/train.tar").unlink()
    os.mkfifo(tmp_path / "mine/train.tar")
    with pytest.raises(ValueError, match=r"cannot be read as a shard, .*it is a named pipe, and no regular file"):
        load_data("shards", root=tmp_path / "mine")


def test_no_shards_and_no_images_are_said(tmp_path):
    with pytest.raises(ValueError, match=r"^shards needs the folder of the files of tar; got none\. Name it by root="):
        load_data("shards")
    with pytest.raises(FileNotFoundError, match=r"^shards reads files of tar; .* has none\. Name a folder of \*\.tar"):
        load_data("shards", root=tmp_path)
    write_tar(tmp_path / "train.tar", {"a.png": png(0)[1]})
    with pytest.raises(
        FileNotFoundError, match=r"has no images for split='test'\. Add some, five or more, as 0001\.jpg"
    ):
        load_data("shards", "test", root=tmp_path)


def test_members_that_do_not_lie_together_are_refused_instead_of_losing_labels(tmp_path):
    content = png(0)[1]
    write_tar(tmp_path / "train.tar", {"a.png": content, "b.png": content, "a.cls": b"1", "b.cls": b"2"})
    with pytest.raises(ValueError, match=r"what is called a does not lie together in it"):
        load_data("shards", root=tmp_path)


def test_an_ending_may_have_a_word_before_it(tmp_path):
    write_tar(tmp_path / "train.tar", {"a.rgb.png": png(0)[1], "a.cls": b"1", "b.rgb.png": png(1)[1], "b.cls": b"2"})
    data = load_data("shards", root=tmp_path)
    assert (data.classes, len(data)) == (("1", "2"), 2)


def test_a_class_is_made_of_one_of_several_labels_or_of_more(tmp_path):
    told = [
        {"stage": "egg", "tags": ["wing", "leg"], "box": {"x": 1}},
        {"stage": "adult", "tags": []},
        {"stage": "adult", "tags": ["leg"]},
    ]
    members = {}
    for number, one in enumerate(told):
        members |= {f"{number}.png": png(number)[1], f"{number}.cls": str(number % 2).encode()}
        members[f"{number}.json"] = json.dumps(one).encode()
    write_tar(tmp_path / "train.tar", members)

    def classes(column):
        data = load_data("shards", root=tmp_path, label_column=column)
        return [data.classes[label] for label in data.labels.tolist() if data.classes]

    assert classes("-") == []
    assert classes(None) == classes("cls") == ["0", "1", "0"]
    assert classes("stage") == ["egg", "adult", "adult"]
    assert classes("cls,stage") == ["0 / egg", "1 / adult", "0 / adult"]
    assert classes("tags:leg") == ["leg", "no leg", "leg"]
    with pytest.raises(ValueError, match=r"has no column 'box' among stage, tags, cls\. Name another by label_column="):
        classes("box")
