"""The embedded subset: balanced, small, licensed, and the very files that were published."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hatchling.builders.wheel import WheelBuilder

from benchmarks.data import fashion_mnist_mini as mini
from eqmodels.data import load_data

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "eqmodels" / "data" / "fashion_mnist_mini"
SHA256 = {
    "train": "0a7aa31b8e12ebbd99ff16b32dbd43a836b3d127911adbc4d3bfa7aa67a92a4a",
    "test": "349696021bb575d6da36bf6a35f185c29e90a1f4ef523d03608c09dafab53cc5",
}
COUNTS = {"train": 6000, "test": 2000}
each_split = pytest.mark.parametrize("split", COUNTS)


@each_split
def test_it_is_balanced_over_ten_classes(split):
    data = load_data("fashion_mnist_mini", split)
    assert data.images.shape == (COUNTS[split], 1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    assert data.labels.bincount().tolist() == [COUNTS[split] // 10] * 10
    assert data.classes[:2] == ("T-shirt/top", "Trouser")
    assert len(set(data.classes)) == 10


def test_images_are_images_and_none_is_in_both_splits():
    both = [load_data("fashion_mnist_mini", split) for split in COUNTS]
    for data in both:
        assert float(data.pixels().flatten(1).std(1).min()) > 0.02
        # The mean of all pixels of the full data set is 0.286.
        assert data.statistics()[0][0] == pytest.approx(0.286, abs=0.005)
    train, test = ({image.numpy().tobytes() for image in data.images} for data in both)
    assert not train & test


@each_split
def test_the_files_are_those_that_were_published(split):
    assert hashlib.sha256((FOLDER / f"{split}.npz").read_bytes()).hexdigest() == SHA256[split]


def test_it_is_under_5_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 5e6


@each_split
def test_no_pickle_is_inside(split):
    with np.load(FOLDER / f"{split}.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["classes", "images", "labels"]
        assert all(arrays[name].dtype != object for name in arrays)


def test_the_licence_and_the_source_lie_beside_it():
    text = (FOLDER / "LICENSE").read_text(encoding="utf-8")
    for words in (
        "The MIT License (MIT) Copyright © 2017 Zalando SE, https://tech.zalando.com",
        "Permission is hereby granted, free of charge",
        "1708.07747",
    ):
        assert words in text


def test_the_wheel_has_it_and_its_licence():
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_selected_project_files()}
    assert {f"eqmodels/data/fashion_mnist_mini/{name}" for name in ("train.npz", "test.npz", "LICENSE")} <= files


def test_writing_a_subset_gives_back_what_was_written(tmp_path, monkeypatch):
    data = load_data("fashion_mnist_mini", "test").balanced_subset(20)
    mini.write(data, tmp_path / "test.npz")
    with np.load(tmp_path / "test.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], data.images[:, 0].numpy())
        assert np.array_equal(arrays["labels"], data.labels.numpy())
        assert tuple(arrays["classes"]) == data.classes
