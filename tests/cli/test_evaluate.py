"""``eqmodels evaluate``: tables for people, JSON for programs."""

from __future__ import annotations

import json

import pytest
import torch

from eqmodels.cli import main
from eqmodels.cli.table import percent, table
from eqmodels.hub import load_pretrained

FEW = ["--limit", "100", "--quick"]


def test_it_prints_every_kind_of_features_and_the_task(capsys, tiny_run):
    assert main(["evaluate", str(tiny_run), *FEW]) == 0
    out = capsys.readouterr().out
    for word in ("regular", "invariant-3", "canonical-soft", "rotation", "fashion_mnist_mini", "held-out"):
        assert word in out


def test_json_and_the_file_are_the_same(capsys, tiny_run, tmp_path):
    file = tmp_path / "results.json"
    assert main(["evaluate", str(tiny_run), *FEW, "--json", "--output", str(file)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads(file.read_text())
    assert content["test"] == ["fashion_mnist_mini", 2000]


def test_several_runs_are_summed_up(capsys, tiny_run, tmp_path):
    file = tmp_path / "results.json"
    assert main(["evaluate", str(tiny_run), str(tiny_run), *FEW, "--output", str(file)]) == 0
    assert "2 runs: means with 95% intervals" in capsys.readouterr().out
    content = json.loads(file.read_text())
    assert content["summary"]["seeds"] == len(content["evaluations"]) == 2
    # The same run twice: no deviation.
    accuracy = content["summary"]["features"][0]["accuracy"]
    assert accuracy["low"] == accuracy["high"] == content["evaluations"][0]["features"][0]["accuracy"]


def test_a_checkpoint_is_a_network_like_the_finished_run(tiny_run):
    """Here the last checkpoint holds the final weights."""
    finished, checkpoint = load_pretrained(tiny_run), load_pretrained(tiny_run / "checkpoint.pt")
    assert checkpoint.preprocessing == finished.preprocessing
    assert checkpoint.config == finished.config
    weights = finished.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in checkpoint.model.state_dict().items())
    assert not checkpoint.model.training


def test_a_run_that_is_not_done_can_be_evaluated(capsys, tiny_run, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes((tiny_run / "checkpoint.pt").read_bytes())
    assert main(["evaluate", str(tmp_path), *FEW]) == 0
    assert "canonical" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_one_line_on_standard_error(capsys, tiny_run, tmp_path):
    broken = tmp_path / "checkpoint.pt"
    broken.write_bytes((tiny_run / "checkpoint.pt").read_bytes()[:5000])
    assert main(["evaluate", str(broken), *FEW]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nobody"], 2, "neither the folder of a run nor a pretrained network"),
        (["."], 1, "no finished run"),
    ],
)
def test_what_is_no_network_is_one_line_on_standard_error(capsys, arguments, status, sentence):
    assert main(["evaluate", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_columns_are_aligned():
    lines = table(["name", "value"], [["a", "1.0"], ["longer", "10.0"]]).splitlines()
    assert lines == ["name    value", "------  -----", "a         1.0", "longer   10.0"]


@pytest.mark.parametrize(("fraction", "text"), [(0.8484, "84.8"), (None, "-"), (float("nan"), "-"), (1.0, "100.0")])
def test_fractions_in_per_cent(fraction, text):
    assert percent(fraction) == text
