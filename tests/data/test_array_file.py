"""Images in one array on the disk, of which only those that are asked for are read."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from eqmodels.data import ArrayFile, load_data, statistics
from tests.data.files import write_array


def test_the_files_are_the_splits(tmp_path):
    images = write_array(tmp_path / "bank")
    for split, expected in images.items():
        data = load_data("array", split, root=tmp_path / "bank")
        assert torch.equal(data.pixels(slice(None)), torch.from_numpy(expected).float() / 255)
        assert (data.name, data.channels, data.size, len(data)) == ("array:bank", 3, (5, 7), 12)
        assert (data.classes, set(data.labels.tolist())) == ((), {-1})


def test_the_array_is_mapped_and_not_read(tmp_path):
    write_array(tmp_path)
    data = load_data("array", root=tmp_path)
    assert isinstance(data.array, np.memmap)
    assert data.labels.untyped_storage().nbytes() == 8


def test_pixels_are_ones_own_and_not_the_files(tmp_path):
    images = write_array(tmp_path)["train"]
    data = load_data("array", root=tmp_path)
    for numbers in (slice(2, 9, 3), torch.tensor([7, 0, 7, -1]), torch.arange(12) % 5 == 0):
        pixels = data.pixels(numbers)
        chosen = numbers if isinstance(numbers, slice) else numbers.numpy()
        assert torch.equal(pixels, torch.from_numpy(images[chosen]).float() / 255)
        pixels.zero_()
    assert np.array_equal(data.array, images)
    with pytest.raises(IndexError, match=r"^images are numbered 0 \.\. 11; got 12 \.\. 12\."):
        data.pixels(torch.tensor([12]))


def test_an_array_in_any_order_of_memory_has_the_same_images(tmp_path):
    images = write_array(tmp_path)["train"]
    np.save(tmp_path / "train.npy", np.asfortranarray(images))
    data = load_data("array", root=tmp_path)
    assert torch.equal(data.pixels(slice(None)), torch.from_numpy(images).float() / 255)
    assert statistics(data) == statistics(ArrayFile("same", images))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 3, 4, 4), np.float32), "must hold images (N, channels, height, width) in uint8, at least one; "),
        (np.zeros((2, 4, 4), np.uint8), "must hold images (N, channels, height, width) in uint8, at least one; got "),
        (np.array([{"a": 1}]), "must be an array as numpy.save writes it; it cannot be read ("),
        (b"nothing", "must be an array as numpy.save writes it; it cannot be read ("),
    ],
    ids=["floats", "grey", "pickled", "damaged"],
)
def test_another_file_is_refused_in_one_sentence(tmp_path, content, message):
    file = tmp_path / "train.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file} {message}')}"):
        load_data("array", root=tmp_path)


def test_a_missing_folder_or_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^array needs the folder of train\.npy and test\.npy; got none\. Name "):
        load_data("array")
    with pytest.raises(FileNotFoundError, match=r"test\.npy, which is no file\. Write it with numpy\.save, or name "):
        load_data("array", "test", root=tmp_path)
