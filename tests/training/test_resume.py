"""A run that is killed at any moment and goes on ends with the weights of one that was not."""

from __future__ import annotations

import csv
import os
import random
import signal
import time

import pytest

from tests.training.runs import DEMANDING, finish, start, tiny, weights

TIMES = ("seconds", "images_per_second")


def log_without_times(folder):
    with (folder / "log.csv").open() as stream:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(stream)]


def wait_for_a_new_checkpoint(folder, process):
    file = folder / "checkpoint.pt"
    before = file.stat().st_mtime_ns if file.exists() else None
    while process.exitcode is None and (not file.exists() or file.stat().st_mtime_ns == before):
        time.sleep(0.002)


def assert_same_run(folder, reference):
    assert weights(folder) == weights(reference)
    assert log_without_times(folder) == log_without_times(reference)
    assert not [file for file in folder.iterdir() if file.name.endswith(".part")]


WITH_CLASSES = {"class_weight": -1.0, "class_hidden": 8, "accumulate": 2}


LONG = [({}, 4, 16), (WITH_CLASSES, 2, 10), ({}, 20, 24)]


@pytest.mark.parametrize(
    ("changes", "kills", "epochs"),
    [(DEMANDING, 2, 10), *(pytest.param(*one, marks=pytest.mark.slow) for one in LONG)],
    ids=["demanding", "tiny", "class head", "twenty times"],
)
def test_a_run_killed_again_and_again_ends_with_the_same_weights(tmp_path, changes, kills, epochs):
    config = tiny(**{**changes, "epochs": epochs})
    assert finish(start(tmp_path / "whole", config, checkpoint_seconds=1e6)) == 0
    moments, killed = random.Random(0), 0
    for _ in range(kills):
        process = start(tmp_path / "cut", config, checkpoint_seconds=0.0)
        wait_for_a_new_checkpoint(tmp_path / "cut", process)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        killed += finish(process) == -signal.SIGKILL
        assert not (tmp_path / "cut" / "config.json").exists(), "the run is too short to be killed"
    assert killed == kills
    assert finish(start(tmp_path / "cut", config, checkpoint_seconds=0.0)) == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run of one epoch."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert finish(start(folder, tiny(epochs=1))) == 0
    return folder


# A run of one epoch replaces its checkpoint once before and five times after a step, then log, weights and config.
@pytest.mark.parametrize("replacement", [1, 2, 6, 7, 8, 9])
def test_a_run_killed_while_it_replaces_a_file_ends_with_the_same_weights(tmp_path, whole, replacement):
    config = tiny(epochs=1)
    process = start(tmp_path / "cut", config, checkpoint_seconds=0.0, killed_in=replacement)
    assert finish(process) == -signal.SIGKILL
    assert not (tmp_path / "cut" / "config.json").exists()
    assert [file for file in (tmp_path / "cut").iterdir() if file.name.endswith(".part")]
    assert finish(start(tmp_path / "cut", config)) == 0
    assert_same_run(tmp_path / "cut", whole)


def test_ctrl_c_leaves_a_checkpoint_from_which_the_run_goes_on(tmp_path):
    config = tiny(epochs=16)
    assert finish(start(tmp_path / "whole", config)) == 0
    for _ in range(2):
        process = start(tmp_path / "cut", config, checkpoint_seconds=1e6)
        wait_for_a_new_checkpoint(tmp_path / "cut", process)  # after an epoch, or before the first
        time.sleep(0.05)
        before = (tmp_path / "cut" / "checkpoint.pt").read_bytes()
        os.kill(process.pid, signal.SIGINT)
        assert finish(process) == 130
        assert (tmp_path / "cut" / "checkpoint.pt").read_bytes() != before
        assert not (tmp_path / "cut" / "config.json").exists()
    assert finish(start(tmp_path / "cut", config)) == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
