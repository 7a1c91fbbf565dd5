"""What makes a comparison fair: images that were turned in training, and equal time."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from torch import nn

from eqmodels.bench import SUITES, Suite, read_lines
from eqmodels.bench.equal_time import time_of_step
from eqmodels.bench.rotated import AtQuarterTurns
from eqmodels.bench.supervised import EQUAL_TIME, OF_TURNED, SCRATCH, measure_supervised
from eqmodels.cli import main
from eqmodels.data import load_data

TINY = Suite(
    ("c4_resnet18s_w8", "resnet18s_w4"),
    (0,),
    60,
    40,
    (1,),
    (1,),
    1,
    {1: "fashion_mnist_mini"},
    fractions=(1.0,),
    trained=("*",),
    steps=6,
    turned=("resnet18s_w4",),
    equal_time={"c4_resnet18s_w8": "resnet18s_w4"},
)


class Places(nn.Module):
    """Says where it is bright, by what it learns, after some work that is for nothing."""

    in_chans = 1

    def __init__(self, work=0):
        super().__init__()
        self.mix, self.work = nn.Linear(196, 32), work

    def forward(self, images):
        pooled = nn.functional.adaptive_avg_pool2d(images, 14).flatten(1)
        for _ in range(self.work):
            pooled = pooled + 0 * self.mix(pooled).mean()
        return self.mix(pooled).relu()


@pytest.fixture(scope="module")
def images():
    return tuple(load_data("fashion_mnist_mini", split).balanced_subset(300) for split in ("train", "test"))


def test_images_are_turned_by_all_quarters_and_anew_in_every_reading(images):
    upright = images[0].balanced_subset(40)
    turned, again = AtQuarterTurns(upright, 1), AtQuarterTurns(upright, 1)
    first = turned.pixels(slice(None))
    assert torch.equal(again.pixels(slice(None)), first)
    assert not torch.equal(turned.pixels(slice(None)), first)
    assert torch.equal(turned.labels, upright.labels)
    found = set()
    for one, other in zip(upright.pixels(slice(None)), first, strict=True):
        fitting = [quarters for quarters in range(4) if torch.equal(one.rot90(quarters, (-2, -1)), other)]
        assert fitting
        found.update(fitting)
    assert found == {0, 1, 2, 3}


def test_who_learned_of_turned_images_knows_them(images):
    torch.manual_seed(0)
    network, (train, test) = Places(), images
    upright = measure_supervised(network, train, test, how=SCRATCH, steps=60)
    turned = measure_supervised(network, AtQuarterTurns(train), test, how=OF_TURNED, steps=60)
    assert turned.turned > upright.turned + 0.1
    assert turned.how == OF_TURNED


def test_a_step_takes_longer_the_more_there_is_to_do(images):
    network, threads = Places(), torch.get_num_threads()
    before = network.mix.weight.clone()
    assert time_of_step(Places(work=200), network, images[0]) > 3
    assert time_of_step(network, Places(work=200), images[0]) < 1 / 3
    assert torch.equal(network.mix.weight, before)
    assert torch.get_num_threads() == threads


def test_every_way_of_training_is_a_row_and_says_its_steps(tmp_path, monkeypatch):
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--out", str(tmp_path), "--kinds", "supervised", "--quiet"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    ways = [(line["settings"]["model"], line["values"]["how"]) for line in lines]
    assert {way: ways.count(way) for way in ways} == {
        ("c4_resnet18s_w8", SCRATCH): 1,
        ("c4_resnet18s_w8", EQUAL_TIME): 1,
        ("resnet18s_w4", SCRATCH): 1,
        ("resnet18s_w4", OF_TURNED): 1,
    }
    for line in lines:
        values = line["values"]
        if values["how"] == EQUAL_TIME:
            assert line["settings"]["beside"] == "resnet18s_w4"
            assert values["pace"] > 1  # a C4 network of twice the width
            assert values["steps"] == max(1, round(6 / values["pace"]))
        else:
            assert (values["pace"], values["steps"]) == (None, 6)
    with (tmp_path / "supervised.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["model"], row["training"]) for row in rows} == set(ways)
    table = (tmp_path / "tables.md").read_text()
    assert all(any(line.count(model) and f"| {how} " in line for line in table.splitlines()) for model, how in ways)
    # One way does not take the place of another.
    assert len(read_lines(tmp_path).found) == len(lines) == 4


def test_results_of_before_are_read():
    from eqmodels.bench.running import found_of

    values = {"how": "from scratch", "images": 60, "steps": 200, "upright": 0.5, "turned": 0.3, "mirrored": 0.3}
    assert found_of("supervised", {**values, "changed_turned": 0.5, "loss": 1.0}).pace is None
