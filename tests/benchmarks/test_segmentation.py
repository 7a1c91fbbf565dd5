"""The worked example of segmentation: scenes and masks belong together, and the document is that of the results."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks._sections import read_section
from benchmarks.segmentation import scenes, tables, train
from benchmarks.segmentation.networks import NETWORKS, OUTPUTS, cost
from benchmarks.segmentation.scenes import SIDE, STORED, Painter
from benchmarks.segmentation.train import D4, STEPS, cells, experiment, mean_iou, measure, moved, rate_at


def test_the_section_of_the_document_is_that_of_the_committed_results():
    assert read_section(tables.DOCUMENT, "segmentation") == tables.section()


def test_a_mask_is_where_the_stamp_lies(monkeypatch):
    monkeypatch.setattr(scenes, "MOST", 1)  # the soft edges of several may add up
    white = np.zeros((1, STORED, STORED, 4), np.uint8)
    white[:, 20:80, 20:80] = 255
    grey = np.full((200, 300, 3), 90, np.uint8)
    painter = Painter([white, white], [grey], np.random.default_rng(0))
    for _ in range(5):
        image, mask = painter.scene()
        assert (image.shape, mask.shape) == ((3, SIDE, SIDE), (SIDE, SIDE))
        assert np.array_equal(mask > 0, image[0] > 172)
        assert set(np.unique(mask)) <= {0, 1, 2}
        assert 0 < (mask > 0).mean() < 0.9


def test_the_mean_over_classes_is_of_intersections_over_unions():
    masks = torch.zeros(1, 2, 2, dtype=torch.long)
    masks[0, 0] = 1
    scores = torch.zeros(1, OUTPUTS, 2, 2)
    scores[0, 1, :, 0] = 1  # of two pixels of each class one is found, and one of the other is taken for it
    found = mean_iou(lambda images: scores, torch.zeros(1, 3, 2, 2), masks)
    assert abs(found - 2 * (1 / 3) / OUTPUTS) < 1e-6


def test_pictures_are_moved_with_their_masks():
    masks = torch.randint(9, (8, 5, 5))
    images = masks[:, None].expand(-1, 3, -1, -1).float()
    moved_images, moved_masks = moved(images, masks, (1, 6))
    assert torch.equal(moved_images[:, 0], moved_masks.float())
    assert torch.equal(moved_masks[3], D4.act(6, masks[3]))


def test_all_networks_cost_about_the_same_and_the_rate_rises_and_falls():
    costs = [cost(build())["MFLOPs"] for build, _ in NETWORKS.values()]
    assert max(costs) / min(costs) < 1.06
    assert rate_at(0) < rate_at(STEPS // 10 - 1) == 1.0 > rate_at(STEPS // 2) > rate_at(STEPS - 1) >= 0


def test_every_committed_cell_is_read_and_a_tiny_one_is_measured_once(tmp_path, monkeypatch):
    found = experiment(cells())
    assert {cell.name for cell in found.cells} == {file.parent.name for file in train.RESULTS.glob("*/result.json")}
    assert all(0 <= one["upright"] <= 1 for one in found.results().values())
    tiny_network = {"C4 U-Net": (lambda: nn.Conv2d(3, OUTPUTS, 1), False)}
    for name, value in {"STEPS": 10, "BATCH": 2, "NETWORKS": tiny_network}.items():
        monkeypatch.setattr(train, name, value)
    pictures = np.random.default_rng(0).integers(256, size=(50, 3, SIDE, SIDE), dtype=np.uint8)
    masks = np.random.default_rng(1).integers(OUTPUTS, size=(50, SIDE, SIDE), dtype=np.uint8)
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", images=pictures, masks=masks)
    tiny = experiment(cells((8,), (0,))[:1], tmp_path / "results")
    tiny.run(partial(measure, tmp_path))
    (cell,) = tiny.cells
    assert tiny.result(cell)["upright"] == pytest.approx(tiny.result(cell)["turned"], abs=1e-6)
    assert tiny.origin(cell).seed == 0
    assert tiny.waiting() == []
