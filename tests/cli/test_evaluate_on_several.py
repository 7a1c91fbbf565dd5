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
from eqmodels.cli.terminal import say_failure
from eqmodels.processes import ProcessError
from eqmodels.processes.local import check_processes, on_processes, processes_here
from eqmodels.processes.world import joined_world
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


def test_one_command_shares_its_work_among_processes_of_its_own(command, tmp_path):
    files = [tmp_path / f"{name}.json" for name in ("one", "two")]
    kinds = ["--kind", "regular-half", "--kind", "invariant"]
    measured = [
        [*command, *kinds, "--processes", number, "--output", str(file)]
        for number, file in zip(("1", "2"), files, strict=True)
    ]
    refused = [[*command, "--kind", "irregular"], [*command, "--processes", "0"]]
    (one,), (two,), (unknown,), (none,) = on_several(
        tmp_path / "told", [*measured, [*refused[0], "--processes", "2"], refused[1]], count=1
    )
    assert one[:2] == two[:2]
    assert one[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert unknown[0] == none[0] == 2
    assert unknown[2].count("got 'irregular'") == 1
    assert none[2] == "eqmodels: --processes must be at least 1; got 0. Pass a whole number of at least 1.\n"


def test_processes_are_not_started_where_torchrun_started_several_or_beside_a_gpu(monkeypatch):
    assert processes_here("cuda") == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes_here(None) == 1
    with pytest.raises(ValueError, match="where torchrun starts the processes; got 2"):
        check_processes(2, None)
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ValueError, match="processes must be 1 on a device that is no CPU; got 2"):
        check_processes(2, "cuda:0")
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ValueError, match="processes must be 1 elsewhere than on Linux; got 2"):
        check_processes(2, "cpu")


def test_a_process_that_cannot_go_on_says_why_and_ends_all(capfd):
    def second_fails() -> int:
        with joined_world("cpu") as world, world.together("Nothing was done."):
            if world.rank == 1:
                raise ValueError("the second cannot.")
            return int(world.sum(torch.ones(1)))

    with pytest.raises(ProcessError, match=r"another of the 2 processes .* Nothing was done"):
        on_processes(2, second_fails, say_failure)
    assert capfd.readouterr().err == "eqmodels: the second cannot.\n"
    assert on_processes(2, lambda: 3, say_failure) == 3


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
