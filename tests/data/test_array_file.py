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
        (
            np.zeros((2, 3, 4, 4)),
            "must hold images (N, channels, height, width) in uint8, uint16 or float32, at least ",
        ),
        (np.zeros((2, 4), np.uint8), "must hold images (N, channels, height, width) in uint8, uint16 or float32, at "),
        (np.array([{"a": 1}]), "must be an array as numpy.save writes it; it cannot be read ("),
        (b"nothing", "must be an array as numpy.save writes it; it cannot be read ("),
    ],
    ids=["doubles", "rows", "pickled", "damaged"],
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


def test_16_bits_and_floats_are_what_they_are(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (4, 2, 5, 7), dtype=np.uint16)
    for array in (deep, (deep / 65535).astype(np.float32)):
        np.save(tmp_path / "train.npy", array)
        data = load_data("array", root=tmp_path)
        assert isinstance(data.array, np.memmap)
        torch.testing.assert_close(data.pixels(slice(None)), torch.from_numpy(deep / 65535).float(), rtol=0, atol=1e-7)
    for wrong in (2.0, np.nan, -0.5):
        array[3] = wrong
        np.save(tmp_path / "train.npy", array)
        with pytest.raises(ValueError, match=r"^floats of array:.* must be in \[0, 1\]; got pixels from "):
            load_data("array", root=tmp_path).pixels(slice(2, 4))


@pytest.mark.parametrize("kind", ["files", "packed", "one file"])
def test_labels_are_read_where_there_are_any(tmp_path, kind):
    images = write_array(tmp_path)
    labels = {"train": np.array([7, 10] * 6), "test": np.array([[2], [10]] * 6)}
    root = tmp_path
    for split in images:
        if kind == "files":
            np.save(tmp_path / f"{split}_labels.npy", labels[split])
        else:
            (tmp_path / f"{split}.npy").unlink()
            np.savez(tmp_path / f"{split}.npz", images=images[split], labels=labels[split])
    if kind == "one file":
        root = tmp_path / "mine.npz"
        both = {
            f"{name}_{what}": of[split]
            for what, of in (("images", images), ("labels", labels))
            for name, split in (("train", "train"), ("val", "test"))
        }
        np.savez(root, **both)
    train, test = (load_data("array", split, root=root) for split in ("train", "test"))
    assert train.classes == test.classes == ("2", "7", "10")
    assert (train.labels.tolist(), test.labels.tolist()) == ([1, 2] * 6, [0, 2] * 6)
    assert torch.equal(test.pixels(slice(None)), torch.from_numpy(images["test"]).float() / 255)


@pytest.mark.parametrize("kind", ["files", "packed", "one file"])
def test_a_class_is_made_of_one_of_several_labels_or_of_more(tmp_path, kind):
    images = write_array(tmp_path, count=4)
    labels = {
        split: {
            "species": np.array(words),
            "stage": np.array([1, 2] * 2),
            "tags": np.array(["wing;leg", "", "leg", "wing"]),
            "seen": np.eye(4, 3, dtype=bool),
        }
        for split, words in (("train", ["ant", "bee"] * 2), ("test", ["bee", "fly"] * 2))
    }
    root = tmp_path
    for split, named in labels.items():
        if kind == "files":
            for name, cells in named.items():
                np.save(tmp_path / f"{split}_{name}.npy", cells)
        elif kind == "packed":
            (tmp_path / f"{split}.npy").unlink()
            np.savez(tmp_path / f"{split}.npz", images=images[split], **named)
    if kind == "one file":
        root = tmp_path / "mine.npz"
        both = {f"{split}_{name}": cells for split, named in labels.items() for name, cells in named.items()}
        np.savez(root, **both, **{f"{split}_images": of for split, of in images.items()})

    def classes(column, split="train"):
        data = load_data("array", split, root=root, label_column=column)
        return [data.classes[label] for label in data.labels.tolist() if data.classes], data.classes

    assert classes(None) == classes("-") == ([], ())
    assert classes("species") == (["ant", "bee"] * 2, ("ant", "bee", "fly"))
    assert classes("stage", "test") == (["1", "2"] * 2, ("1", "2"))
    both = classes("species,stage", "test")
    assert both == (["bee / 1", "fly / 2"] * 2, ("ant / 1", "bee / 1", "bee / 2", "fly / 2"))
    assert classes("tags:wing")[0] == ["wing", "no wing", "no wing", "wing"]
    assert classes("seen:1")[0] == ["no 1", "1", "no 1", "no 1"]
    with pytest.raises(ValueError, match=r"^every row of .* must have a value in the column 'seen'"):
        classes("seen")
    with pytest.raises(ValueError, match=r"has no column 'sex' among .*tags.*\. Name another by label_column="):
        classes("sex")


def test_channels_may_come_last_or_be_one(tmp_path):
    images = write_array(tmp_path)["train"]
    np.save(tmp_path / "train.npy", np.moveaxis(images, 1, 3))
    data = load_data("array", root=tmp_path, channels=3)
    assert torch.equal(data.pixels(slice(None)), torch.from_numpy(images).float() / 255)
    with pytest.raises(
        ValueError, match=r"^channels must be those of .*train\.npy, 5, or of its last axis; got 4\. Leave"
    ):
        load_data("array", root=tmp_path, channels=4)
    np.save(tmp_path / "train.npy", images[:, 0])
    assert load_data("array", root=tmp_path).channels == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"labels": np.zeros(12)}, r"train\.npz must have the array 'images'; it has none\."),
        (
            {"images": np.zeros((3, 1, 4, 4), np.uint8), "labels": np.zeros(2, int)},
            "must be 3 integers or words, one an",
        ),
        ({"images": np.zeros((3, 1, 4, 4), np.uint8), "labels": np.zeros(3)}, "must be 3 integers or words, one an"),
        (b"nothing", r"train\.npz must be arrays as numpy\.savez writes them; it cannot be read \("),
    ],
)
def test_other_arrays_in_one_file_are_refused(tmp_path, content, message):
    if isinstance(content, bytes):
        (tmp_path / "train.npz").write_bytes(content)
    else:
        np.savez(tmp_path / "train.npz", **content)
    with pytest.raises(ValueError, match=message):
        load_data("array", root=tmp_path)
