"""The embedded clip art: colour pictures of 16 classes, under 6 MB, with their dedication."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hatchling.builders.wheel import WheelBuilder

from benchmarks.data import openclipart_mini as mini
from eqmodels.data import load_data

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "eqmodels" / "data" / "openclipart_mini"
COUNTS = {"train": 2000, "test": 500}


def test_it_is_in_colour_of_16_classes_and_as_balanced_as_they_allow():
    both = {split: load_data("openclipart_mini", split) for split in COUNTS}
    for split, data in both.items():
        assert data.images.shape == (COUNTS[split], 3, 64, 64)
        assert data.images.dtype == torch.uint8
        assert len(data.classes) == 16
        counts = data.labels.bincount()
        assert int(counts.min()) > 0
        # Classes that have enough are equally large, up to the one picture that makes the number round.
        assert int((counts >= counts.max() - 8).sum()) >= 7
        spread = data.pixels(slice(0, 200)).std(1).flatten(1).amax(1)
        assert float((spread > 0.05).float().mean()) > 0.5  # colours, in most
    train, test = ({image.numpy().tobytes() for image in data.images} for data in both.values())
    assert not train & test


def test_it_is_under_6_megabytes_with_its_dedication_and_in_the_wheel():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 6e6
    assert "public domain" in (FOLDER / "LICENSE").read_text("utf-8")
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_selected_project_files()}
    names = ("train.webp", "test.webp", "labels.json", "LICENSE")
    assert {f"eqmodels/data/openclipart_mini/{name}" for name in names} <= files


def test_it_has_no_folder():
    with pytest.raises(ValueError, match=r"^openclipart_mini is part of the package and has no folder; got root='x'\."):
        load_data("openclipart_mini", root="x")


def test_writing_a_sheet_gives_back_what_was_written(tmp_path, monkeypatch):
    data = load_data("openclipart_mini", "test").subset(range(45))  # one row and a part of one
    mini.write(data, tmp_path / "test.webp")
    (tmp_path / "labels.json").write_text(json.dumps({"classes": data.classes, "test": data.labels.tolist()}))
    monkeypatch.setattr("eqmodels.data.clipart_mini.resources.files", lambda _: Folder(tmp_path))
    read = load_data("openclipart_mini", "test")
    assert torch.equal(read.images, data.images)


class Folder:
    """A folder in whose place another one is read."""

    def __init__(self, place: Path):
        self.place = place

    def __truediv__(self, name: str) -> Path:
        return self.place


def test_what_is_chosen_is_as_balanced_as_it_can_be():
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    found = mini.chosen(labels, 20)
    counts = labels[found].bincount().tolist()
    assert len(found) == len(set(found.tolist())) == 20
    assert counts[1] >= 2
    assert abs(counts[0] - counts[2]) <= 2
