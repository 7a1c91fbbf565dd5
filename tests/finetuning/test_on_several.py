"""``eqmodels finetune`` on two processes: the network that one process makes, one who writes, and an end for both."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
import torch

from eqmodels import create_model, load
from eqmodels.cli import main
from eqmodels.transforms import Preprocessing
from tests.cli.several import on_several, start_several
from tests.data.test_folder import save
from tests.training.runs import finish


@pytest.fixture
def command(tmp_path):
    """Of a small network with batch norms and of pictures of two classes; the folder is to be named."""
    for number in range(24):
        name, split = ("cat", "dog")[number % 2], "test" if number < 5 else "train"
        save(tmp_path / f"mine/{split}/{name}/{number}.png", size=(8 + number % 3, 10), mode="L", seed=number)
    torch.manual_seed(0)
    encoder = create_model("c4_resnet18s_w4", num_classes=0, in_chans=1)
    encoder.preprocessing = Preprocessing((0.5,), (0.25,), (8, 8))
    encoder.save_pretrained(tmp_path / "encoder")
    # Batches of five and more: the processes have different shares of them.
    options = ["--size", "8", "--batch-size", "6", "--channels", "1", "--learning-rate", "0.01", "--device", "cpu"]
    return ["finetune", str(tmp_path / "encoder"), str(tmp_path / "mine"), *options, "--folder"]


def test_two_processes_make_the_network_of_one(command, tmp_path, capsys):
    two, one, small = (str(tmp_path / name) for name in ("two", "one", "small"))
    words = ["--epochs", "2", "--json"]
    made, again, refused = on_several(
        tmp_path / "told",
        [[*command, two, *words], [*command, two, *words], [*command, small, "--validation", "0.7"]],
    )
    assert main([*command, one, *words]) == 0
    alone, said = capsys.readouterr()
    assert made[1] == (0, "", "")
    assert (made[0][0], made[0][2]) == (0, said)
    assert json.loads(again[0][1])["sha256"] == json.loads(made[0][1])["sha256"]
    ours, theirs = json.loads(made[0][1]), json.loads(alone)
    for row, expected in zip(ours["log"], theirs["log"], strict=True):
        assert row == pytest.approx(expected, abs=1e-4)
    assert (ours["strength"], ours["log"][0]) == (theirs["strength"], theirs["log"][0])  # before any step: to the bit
    assert ours["images"] == theirs["images"]
    assert ours["best"] == theirs["best"]
    torch.testing.assert_close(load(two).state_dict(), load(one).state_dict(), rtol=1e-3, atol=1e-4)
    assert sorted(os.listdir(two)) == sorted(os.listdir(one))
    assert [status for status, _, _ in refused] == [2, 2]
    assert refused[0][2].startswith("eqmodels: --validation must be above 0 and at most 0.5")


@pytest.mark.slow
def test_a_process_that_is_killed_ends_both_and_the_same_command_goes_on(command, tmp_path):
    told, folder = tmp_path / "told", tmp_path / "two"
    told.mkdir()
    words = [*command, str(folder), "--epochs", "8", "--patience", "8", "--json"]
    processes = start_several(told, [words])
    written = set()
    while len(written) < 2:  # the linear probe's, and an epoch's
        if (folder / "finetuning.pt").exists():
            written.add((folder / "finetuning.pt").stat().st_mtime_ns)
        time.sleep(0.005)
    os.kill(processes[1].pid, signal.SIGKILL)
    assert [finish(process) for process in processes] == [1, -signal.SIGKILL]
    assert "another of the 2 processes that share this run ended before it was done" in (told / "0.0.err").read_text()
    assert not (folder / "config.json").exists()
    [[first, second]] = on_several(tmp_path / "again", [words])
    assert (first[0], second) == (0, (0, "", ""))
    assert "goes on from epoch" in first[2]
    assert json.loads(first[1])["log"][-1]["epoch"] == 8
