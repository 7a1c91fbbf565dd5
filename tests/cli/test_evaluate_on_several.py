"""``eqmodels evaluate`` on two processes: the figures of one, one who speaks, and an end for both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest
import torch

from eqmodels.cli import main
from tests.cli.several import on_several, start_several
from tests.data.test_folder import save
from tests.training.runs import finish


@pytest.fixture
def command(tiny_run, tmp_path):
    """Of a small network, and of grey pictures of three classes, of which one has a single picture."""
    for split, counts in (("train", (9, 7, 1)), ("test", (4, 3, 0))):
        for name, count in zip(("a", "b", "c"), counts, strict=True):
            for number in range(count):
                save(tmp_path / f"mine/{split}/{name}/{number}.png", mode="L", size=(12, 12), seed=number + ord(name))
    shutil.copytree(tiny_run, tmp_path / "run")
    pictures = ["--data", "image_folder", "--size", "12", "--root"]
    return ["evaluate", str(tmp_path / "run"), *pictures, str(tmp_path / "mine")]


def test_two_processes_measure_what_one_measures_and_end_together(command, tmp_path, capsys):
    one, two = (tmp_path / f"{name}.json" for name in ("one", "two"))
    kinds = ["--kind", "regular-half", "--kind", "invariant", "--output"]
    lonely = tmp_path / "lonely"
    shutil.copytree(tmp_path / "mine" / "train" / "a", lonely / "train" / "a")
    shutil.copytree(tmp_path / "mine" / "test" / "a", lonely / "test" / "a")
    measured, unknown, alone = on_several(
        tmp_path / "told",
        [
            [*command, *kinds, str(two)],
            [*command, "--kind", "irregular"],
            [*command[:-1], str(lonely)],
        ],
    )
    first, other = measured
    assert other == (0, "", "")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of two has
    try:
        assert main([*command, *kinds, str(one)]) == 0
    finally:
        torch.set_num_threads(threads)
    out, err = capsys.readouterr()
    assert (first[0], first[1]) == (0, out)
    assert "left out: class 'c': no held-out images, so the accuracies do not tell of it" in err
    assert set(first[2].splitlines()) <= set(err.splitlines())
    assert json.loads(two.read_text()) == json.loads(one.read_text())
    assert (tmp_path / "run" / "results.json").is_file()
    assert [status for status, _, _ in (*unknown, *alone)] == [2] * 4
    assert unknown[0][2].endswith("got 'irregular'. Name these alone.\n")
    assert "all 9 of image_folder:lonely are of 'a'. Add images of another class" in alone[0][2]
    assert unknown[1][1:] == alone[1][1:] == ("", "")


@pytest.mark.slow
def test_a_process_that_is_killed_ends_both(command, tmp_path):
    told = tmp_path / "told"
    told.mkdir()
    processes = start_several(told, [[*command]])
    while "measuring" not in "".join(file.read_text() for file in told.glob("0.0.err")):
        time.sleep(0.005)
    os.kill(processes[1].pid, signal.SIGKILL)
    assert [finish(process) for process in processes] == [1, -signal.SIGKILL]
    said = (told / "0.0.err").read_text()
    assert "another of the 2 processes that share this run ended before it was done" in said
    assert said.endswith("start the same command again.\n")
    assert not (tmp_path / "run" / "results.json").exists()
