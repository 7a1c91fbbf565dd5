"""``eqmodels embed`` on two processes: the bytes of one, one who speaks, and an end for both."""

from __future__ import annotations

import os
import signal
import time

import pytest

from eqmodels import create_model
from eqmodels.backbones.saving import save_network
from eqmodels.cli import main
from eqmodels.transforms import Preprocessing
from tests.cli.several import on_several, start_several
from tests.data.test_folder import save
from tests.training.runs import finish


@pytest.fixture
def command(tmp_path):
    """Of a small network and eleven pictures, in six parts; the file is to be named."""
    encoder = create_model("c4_resnet18s_w4", in_chans=3, num_classes=0)
    encoder.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (8, 8))
    save_network(encoder, tmp_path / "network")
    for number in range(11):
        save(tmp_path / f"mine/{number:02}.png", size=(9, 12), seed=number)
    return ["embed", str(tmp_path / "network"), str(tmp_path / "mine"), "--batch-size", "2", "--out"]


def test_two_processes_write_what_one_writes_and_end_together(command, tmp_path, capsys):
    bad = tmp_path / "mine" / "03.png"  # in the second part, which is the second process's
    bad.write_text("no image")
    one, two, none = (str(tmp_path / f"{name}.npz") for name in ("one", "two", "none"))
    network, mine = command[1:3]
    indexed = ["neighbours", network, mine, "--batch-size", "2", "--skip-bad", "--query", f"{mine}/00.png", "--index"]
    refused, ended, unknown, [told_of_index, nothing] = on_several(
        tmp_path / "told",
        [
            [*command, two],
            [*command, two, "--skip-bad"],
            [*command, none, "--device", "nonsense"],
            [*indexed, f"{tmp_path}/two.index"],
        ],
    )
    assert main([*indexed, f"{tmp_path}/one.index"]) == 0
    assert told_of_index[:2] == (0, capsys.readouterr().out)
    assert nothing == (0, "", "")
    assert (tmp_path / "two.index").read_bytes() == (tmp_path / "one.index").read_bytes()
    assert main([*command, one]) == 2
    expected = capsys.readouterr().err.replace("one.npz", "two.npz")
    assert "1 of 11 files cannot be read as images" in expected
    assert refused == [(2, "", expected), (2, "", "")]
    assert main([*command, one, "--skip-bad"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith("resumed with ")
    (status, told, said), other = ended
    assert (status, told) == (0, out.replace("one.npz", "two.npz"))
    assert other == (0, "", "")
    assert said.splitlines()[1:] == err.splitlines()[1:]
    assert (tmp_path / "two.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert not (tmp_path / "two.npz.parts").exists()
    assert [status for status, _, _ in unknown] == [2, 2]
    assert unknown[0][2].startswith("eqmodels: device must be one that PyTorch can use here")


@pytest.mark.slow
def test_a_process_that_is_killed_ends_both_and_the_same_command_goes_on(command, tmp_path):
    for number in range(11, 400):
        save(tmp_path / f"mine/{number:02}.png", size=(9, 12), seed=number)
    file, told = tmp_path / "two.npz", tmp_path / "told"
    told.mkdir()
    processes = start_several(told, [[*command, str(file)]])
    while not list((tmp_path / "two.npz.parts").glob("*.safetensors")):
        time.sleep(0.005)
    os.kill(processes[1].pid, signal.SIGKILL)
    assert [finish(process) for process in processes] == [1, -signal.SIGKILL]
    assert "another of the 2 processes that share this run ended before it was done" in (told / "0.0.err").read_text()
    assert not file.exists()
    [[first, second]] = on_several(tmp_path / "again", [[*command, str(file)]])
    assert (first[0], second[0]) == (0, 0)
    assert first[2].startswith("resumed with ")
    assert main([*command, str(tmp_path / "one.npz")]) == 0
    assert file.read_bytes() == (tmp_path / "one.npz").read_bytes()
