"""Every source of pictures in files is streamed, cached and decoded by processes in one way, to the last bit."""

from __future__ import annotations

import csv
import os
import pickle

import pytest
import torch

from eqmodels.data import SOURCES, load_data
from eqmodels.data.pictures import BadFilesError
from eqmodels.data.registry import READING
from eqmodels.options import options_of
from tests.data.files import png, write_hf_disk, write_shards, write_tar


def write_table(root):
    """A table of six pictures beside it."""
    (root / "images").mkdir(parents=True)
    for number in range(6):
        (root / f"images/{number}.png").write_bytes(png(number)[1])
    with (root / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("path", "label", "split"), *((f"images/{n}.png", n % 2, "train") for n in range(6))]
        )


WRITERS = {"table": (write_table, "list.csv"), "shards": (write_shards, "."), "hf_disk": (write_hf_disk, ".")}
STREAMED = [name for name in SOURCES.names() if "stream" in options_of(SOURCES.find(name), without=("split",))]


@pytest.fixture(params=sorted(WRITERS))
def source(request, tmp_path):
    """The name and the root of six training pictures."""
    write, place = WRITERS[request.param]
    write(tmp_path / "set")
    return request.param, (tmp_path / "set" / place).resolve()


def test_these_are_all_of_them():
    # What reads folders has tests of its own.
    assert {*STREAMED} == {*WRITERS, "image_folder", "imagenet"}
    for name in STREAMED:
        assert set(READING) <= set(options_of(SOURCES.find(name)))


@pytest.mark.parametrize("way", ["stream", "cache"])
def test_images_are_those_in_memory(source, tmp_path, way):
    name, root = source
    in_memory = load_data(name, root=root, size=5)
    found = load_data(name, root=root, size=5, **{way: True if way == "stream" else tmp_path / "cache"})
    assert torch.equal(found.pixels(slice(None)), in_memory.images)
    assert torch.equal(found.pixels(torch.tensor([4, 0, 4])), in_memory.images[[4, 0, 4]])
    assert torch.equal(found.labels, in_memory.labels)
    assert (found.name, found.classes) == (in_memory.name, in_memory.classes)


def test_the_second_command_decodes_nothing_until_the_pictures_change(source, tmp_path, decodes):
    name, root = source
    load_data(name, root=root, size=5, cache=tmp_path / "cache")
    assert len(decodes) == 6
    load_data(name, root=root, size=5, cache=tmp_path / "cache")
    assert len(decodes) == 6
    for file in (tmp_path / "set").rglob("*.*"):
        os.utime(file, ns=(1, 1))
    load_data(name, root=root, size=5, cache=tmp_path / "cache")
    assert len(decodes) == 12


def test_another_process_finds_the_same_pictures(source):
    name, root = source
    data = load_data(name, root=root, size=5, stream=True)
    again = pickle.loads(pickle.dumps(list(data.places)))
    assert [place.content() for place in again] == [place.content() for place in data.places]
    assert [place.mark(root) for place in again] == [place.mark(root) for place in data.places]


def test_a_shard_that_became_shorter_is_named(tmp_path):
    write_tar(tmp_path / "train.tar", {f"{number}.png": png(number)[1] for number in range(3)})
    data = load_data("shards", root=tmp_path, stream=True)
    os.truncate(tmp_path / "train.tar", data.places[2].start + 5)
    assert len(data.pixels(slice(0, 2))) == 2
    with pytest.raises(BadFilesError, match=r"train\.tar/2\.png: the file of tar ends before it does"):
        data.pixels(slice(2, 3))
