"""Decoded images are streamed, or kept on the disk: the same to the last bit, and decoded no more than once."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import check_source, in_memory, in_parts, load_data, pictures, statistics, subset
from eqmodels.data.pictures import BadFilesError, LeftOutWarning
from eqmodels.storage import StorageError
from tests.data.files import write_image_folder


def spare_imports():
    """Processes are forked from one that has imported everything, once for all tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eqmodels.training"])
    return context


@pytest.fixture
def photos(tmp_path):
    """A folder of ten small images of two classes in each split."""
    write_image_folder(tmp_path / "photos")
    return tmp_path / "photos"


def opened(root, **options):
    return load_data("image_folder", "train", root=root, **options)


def assert_same(one, other):
    assert (one.name, one.classes, one.size, one.channels) == (other.name, other.classes, other.size, other.channels)
    assert torch.equal(one.labels, other.labels)
    numbers = torch.tensor([3, 0, 0, 1])
    for chosen in (slice(None), numbers % len(one), torch.tensor([-1]), torch.arange(0)):
        assert torch.equal(one.pixels(chosen), other.pixels(chosen))
    assert statistics(one) == statistics(other)


WAYS = {
    "streamed": lambda folder: {"stream": True},
    "cached": lambda folder: {"cache": folder / "cache"},
    "cached, as a word": lambda folder: {"cache": str(folder / "cache")},
}


@pytest.mark.parametrize("size", [None, 5, 24])
@pytest.mark.parametrize("way", WAYS)
def test_images_are_those_in_memory_to_the_last_bit(photos, tmp_path, size, way):
    found = opened(photos, size=size, **WAYS[way](tmp_path))
    assert check_source(found) is found
    assert_same(found, opened(photos, size=size))
    assert_same(subset(found, [4, 2]), subset(opened(photos, size=size), [4, 2]))


def test_sums_of_the_statistics_are_those_of_the_parts_of_any_source(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("eqmodels.data.source.PART", 3 * 3 * 5 * 5)
    data = opened(photos, size=5)
    assert len(list(in_parts(data))) == 4
    for options in ({"stream": True}, {"cache": tmp_path / "cache"}):
        assert statistics(opened(photos, size=5, **options)) == statistics(data)


def test_the_second_command_decodes_nothing(photos, tmp_path, decodes):
    first = opened(photos, size=5, cache=tmp_path / "cache")
    assert len(decodes) == 10
    decodes.clear()
    second = opened(photos, size=5, cache=tmp_path / "cache")
    second.pixels(slice(None))
    statistics(second)
    assert decodes == []
    assert_same(first, second)


def test_a_stream_decodes_what_is_asked_for_after_one_reading(photos, decodes):
    data = opened(photos, size=5, stream=True)
    assert len(decodes) == 10 + 1  # `load_data` looks at the first image
    decodes.clear()
    statistics(data)
    data.pixels(torch.tensor([7, 2]))
    assert sorted(decodes) == sorted([data.places[7].content(), data.places[2].content()])  # by two threads


@pytest.mark.parametrize("change", ["size", "content", "time", "new", "name"])
def test_other_files_and_another_size_are_another_cache(photos, tmp_path, decodes, change):
    opened(photos, size=5, cache=tmp_path / "cache")
    decodes.clear()
    file = next((photos / "train" / "ant").iterdir())
    if change == "content":
        Image.new("RGB", (8, 6), "red").save(file)
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "new":
        shutil.copy(file, file.with_name("new.png"))
    elif change == "name":
        file.rename(file.with_name("other.png"))
    found = opened(photos, size=7 if change == "size" else 5, cache=tmp_path / "cache")
    assert len(decodes) == len(found)
    assert len([place for place in (tmp_path / "cache").iterdir() if place.is_dir()]) == 2


def test_another_copy_of_the_folder_has_the_same_cache(photos, tmp_path, decodes):
    opened(photos, size=5, cache=tmp_path / "cache")
    decodes.clear()
    shutil.copytree(photos, tmp_path / "copy" / "photos")  # with the times of the files
    opened(tmp_path / "copy" / "photos", size=5, cache=tmp_path / "cache")
    assert decodes == []


def cached_file(folder):
    (place,) = (place for place in (folder / "cache").iterdir() if place.is_dir())
    return place / "pixels.bin"


def test_bytes_are_kept_as_bytes_and_what_was_resampled_as_floats(photos, tmp_path):
    opened(photos, cache=tmp_path / "cache")
    assert cached_file(tmp_path).stat().st_size == 10 * 3 * 6 * 8
    shutil.rmtree(tmp_path / "cache")
    opened(photos, size=5, cache=tmp_path / "cache")
    assert cached_file(tmp_path).stat().st_size == 4 * 10 * 3 * 5 * 5


def test_bytes_become_floats_where_one_image_needs_it(photos, tmp_path, monkeypatch):
    """A picture with transparency lies on white, unrounded; the images before it were bytes already."""
    monkeypatch.setattr("eqmodels.data.source.PART", 3 * 3 * 6 * 8)
    last = sorted((photos / "train" / "bee").iterdir(), key=str)[-1]
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    Image.fromarray(pixels, "RGBA").save(last)
    data = opened(photos)
    assert data.images.dtype == torch.float32
    assert_same(opened(photos, cache=tmp_path / "cache"), data)
    assert cached_file(tmp_path).stat().st_size == 4 * 10 * 3 * 6 * 8


def test_processes_decode_the_same(photos, tmp_path, decodes):
    spare_imports()
    assert_same(opened(photos, size=5, stream=True, workers=1), opened(photos, size=5))
    assert len(decodes) == 10  # by this process: those in memory


# Bad files.


def spoil(photos):
    file = photos / "train" / "ant" / "1.png"
    file.write_bytes(b"nonsense")
    return file


@pytest.mark.parametrize("way", WAYS)
def test_bad_files_are_listed_by_the_first_reading(photos, tmp_path, way):
    spoil(photos)
    with pytest.raises(BadFilesError, match=r"^1 of 10 files cannot be read as images\. Remove or replace them"):
        opened(photos, size=5, **WAYS[way](tmp_path))
    with pytest.warns(LeftOutWarning, match="They are left out"):
        found = opened(photos, size=5, skip_bad=True, **WAYS[way](tmp_path))
    with pytest.warns(LeftOutWarning):
        assert_same(found, opened(photos, size=5, skip_bad=True))


def test_a_cache_knows_the_bad_files_too(photos, tmp_path, decodes):
    spoil(photos)
    with pytest.raises(BadFilesError):
        opened(photos, size=5, cache=tmp_path / "cache")
    decodes.clear()
    with pytest.raises(BadFilesError, match=r"ant/1\.png: it is of none of the formats"):
        opened(photos, size=5, cache=tmp_path / "cache")
    with pytest.warns(LeftOutWarning, match=r"ant/1\.png: it is of none of the formats"):
        assert len(opened(photos, size=5, cache=tmp_path / "cache", skip_bad=True)) == 9
    assert decodes == []


def test_a_file_that_is_gone_later_is_named(photos):
    data = opened(photos, size=5, stream=True)
    data.places[3].file.unlink()
    assert data.pixels(torch.tensor([0, 1])).shape == (2, 3, 5, 5)
    with pytest.raises(BadFilesError, match=r"^1 of 2 files .* could be read before; put them back, and go on\.\n  .*"):
        data.pixels(torch.tensor([3, 4]))


@pytest.mark.parametrize("way", WAYS)
def test_several_sizes_are_refused_and_nothing_is_left(photos, tmp_path, way):
    Image.new("RGB", (5, 5)).save(photos / "train" / "ant" / "1.png")
    with pytest.raises(ValueError, match=r"must have one size; got 2, such as .* Pass size=, for instance 64"):
        opened(photos, **WAYS[way](tmp_path))
    assert not [place for place in tmp_path.glob("cache/*") if place.suffix != ".lock"]


# Whole or not at all.


def build(root, cache, dies_at):
    """Writes a cache in a process of its own, which dies at an image."""
    seen = []

    def deadly(content, *arguments, **options):
        seen.append(content)
        if len(seen) == dies_at:
            os._exit(9)
        time.sleep(0.01)
        return picture_of(content, *arguments, **options)

    picture_of, pictures.picture_of = pictures.picture_of, deadly
    opened(root, size=5, cache=cache)


def in_process(*arguments):
    context = spare_imports()
    process = context.Process(target=build, args=arguments)
    process.start()
    return process


def test_a_process_that_is_killed_leaves_no_cache_and_the_next_cleans_up(photos, tmp_path, decodes):
    process = in_process(photos, tmp_path / "cache", 7)
    process.join(60)
    assert process.exitcode == 9
    left = list((tmp_path / "cache").glob(".*.part"))
    assert len(left) == 1
    assert_same(opened(photos, size=5, cache=tmp_path / "cache"), opened(photos, size=5))
    assert len(decodes) == 20
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_of_two_processes_one_decodes(photos, tmp_path, decodes):
    process = in_process(photos, tmp_path / "cache", 0)
    while not list(tmp_path.glob("cache/.*.part/pixels.bin")) and process.exitcode is None:
        time.sleep(0.002)
    opened(photos, size=5, cache=tmp_path / "cache")
    process.join(60)
    assert (process.exitcode, decodes) == (0, [])


def test_a_cache_that_cannot_be_written_is_refused_in_a_sentence(photos, tmp_path, monkeypatch):
    def full(self, images):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eqmodels.data.cache._Writer.add", full)
    sentence = (
        rf"^decoded images could not be written into {re.escape(str(tmp_path))}.* \(No space left on device\), and"
    )
    with pytest.raises(StorageError, match=sentence):
        opened(photos, size=5, cache=tmp_path / "cache")
    assert not [place for place in (tmp_path / "cache").iterdir() if place.suffix != ".lock"]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"name another folder \(--cache\), or go on without one\.$"):
        opened(photos, size=5, cache=tmp_path / "file")


@pytest.mark.parametrize("damage", ["cut", "gone", "words"])
def test_a_damaged_cache_is_refused_in_a_sentence(photos, tmp_path, damage):
    opened(photos, size=5, cache=tmp_path / "cache")
    file = cached_file(tmp_path)
    if damage == "cut":
        os.truncate(file, 100)
    elif damage == "gone":
        file.unlink()
    else:
        file.with_name("about.json").write_text('{"shape": 3}')
    with pytest.raises(
        StorageError, match=r"is no whole cache of decoded images \(.*\)\. Delete this folder, and start"
    ):
        opened(photos, size=5, cache=tmp_path / "cache")


def test_images_read_from_a_cache_may_be_written_to(photos, tmp_path):
    data = opened(photos, cache=tmp_path / "cache")
    before = data.pixels(slice(None)).clone()
    data.pixels(slice(0, 2)).fill_(0.5)
    assert torch.equal(data.pixels(slice(None)), before)
    assert_same(in_memory(data), data)
