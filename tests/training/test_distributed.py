"""Two processes train the network that one trains."""

from __future__ import annotations

import csv
import os
import signal
import time

import pytest
import torch
from torch.nn import BatchNorm2d, SyncBatchNorm

from eqmodels.processes import World
from eqmodels.training import Pretraining, load_run
from tests.training.runs import finish, photos, start, start_several, tiny

CONFIG = {"model": "c4_resnet18s_w8", "norm": "layer", "augment": "simclr", "epochs": 2}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_processes_share_the_rows_of_a_batch(size):
    batch = torch.arange(24).reshape(8, 3)
    shares = [batch[World(rank, size).rows(8)] for rank in range(size)]
    assert {len(share) for share in shares} == {8 // size}
    assert torch.equal(torch.cat(shares), batch)


def test_one_process_writes():
    assert [World(rank, 3).is_writer for rank in range(3)] == [True, False, False]


class Synchronised(World):
    """Two processes that share batch statistics, as those on GPUs do, but that this one does not wait for."""

    shares_statistics = True

    def replicate(self, model):
        return model


def test_batch_norm_is_synchronised_where_processes_share_statistics():
    config = tiny(model="c4_resnet18s_w8")
    norms = [
        {type(module) for module in Pretraining(config, photos(), world).model.modules()} & {BatchNorm2d, SyncBatchNorm}
        for world in (World(), Synchronised(size=2))
    ]
    assert norms == [{BatchNorm2d}, {SyncBatchNorm}]
    assert not World(size=2).shares_statistics
    assert World(size=2, device=torch.device("cuda")).shares_statistics
    assert not World(device=torch.device("cuda")).shares_statistics


def assert_same_weights(folder, reference, tolerance):
    ours, theirs = load_run(folder).model.state_dict(), load_run(reference).model.state_dict()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "turn": "always", "clip_norm": 1.0},
        {"accumulate": 2, "class_weight": -0.5, "class_hidden": 8},
    ],
    ids=["plain", "turned, clipped and in parts", "class head, in parts"],
)
def test_two_processes_give_the_weights_of_one(tmp_path, changes):
    config = tiny(**{**CONFIG, **changes})
    assert finish(start(tmp_path / "one", config)) == 0
    assert [finish(process) for process in start_several(tmp_path / "two", config, 2)] == [0, 0]
    assert_same_weights(tmp_path / "two", tmp_path / "one", 1e-6)
    logs = []
    for name in ("one", "two"):
        with (tmp_path / name / "log.csv").open() as stream:
            logs.append([{k: float(v) for k, v in row.items() if "second" not in k} for row in csv.DictReader(stream)])
    for ours, theirs in zip(*logs, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_a_process_that_is_killed_ends_both_and_they_go_on(tmp_path):
    # Dropout, so that each process draws numbers of its own.
    config = tiny(**{**CONFIG, "epochs": 6, "head": "mlp", "head_dropout": 0.2})
    assert [finish(process) for process in start_several(tmp_path / "whole", config, 2)] == [0, 0]
    processes = start_several(tmp_path / "cut", config, 2, checkpoint_seconds=0.0)
    while not (tmp_path / "cut" / "log.csv").exists():  # within the second epoch
        time.sleep(0.005)
    os.kill(processes[1].pid, signal.SIGKILL)
    assert [finish(process) for process in processes] == [3, -signal.SIGKILL]
    sentence = "another of the 2 processes that share this run ended before it was done, as if it was killed or memory"
    assert (tmp_path / "error0").read_text().startswith(sentence)
    assert not (tmp_path / "cut" / "config.json").exists()
    assert [finish(process) for process in start_several(tmp_path / "cut", config, 2)] == [0, 0]
    assert_same_weights(tmp_path / "cut", tmp_path / "whole", 0)
    # A finished run is given back to every process.
    assert [finish(process) for process in start_several(tmp_path / "cut", config, 2)] == [0, 0]


def test_two_processes_can_share_one_run_after_another(tmp_path):
    processes = start_several(tmp_path / "first", tiny(epochs=1), 2, then=tmp_path / "second")
    assert [finish(process) for process in processes] == [0, 0]
    assert_same_weights(tmp_path / "first", tmp_path / "second", 0)


def test_ctrl_c_in_one_process_stops_both_at_the_same_step(tmp_path):
    config = tiny(**{**CONFIG, "epochs": 50})
    processes = start_several(tmp_path / "run", config, 2)
    while not (tmp_path / "run" / "log.csv").exists():
        time.sleep(0.005)
    os.kill(processes[1].pid, signal.SIGINT)
    assert [finish(process) for process in processes] == [130, 130]


def test_an_error_ends_both_processes_with_the_same_sentence(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"nonsense")
    assert [finish(process) for process in start_several(tmp_path / "run", tiny(**CONFIG), 2)] == [3, 3]
    sentences = [(tmp_path / f"error{rank}").read_text() for rank in range(2)]
    assert sentences[0] == sentences[1]
    assert "cannot be read" in sentences[0]


def test_a_batch_that_does_not_divide_over_the_processes_is_refused(tmp_path):
    assert [finish(process) for process in start_several(tmp_path / "run", tiny(batch_size=7), 2)] == [3, 3]
    sentence = "batch_size must be a multiple of processes x accumulate, 2 x 1; got 7. Pass batch_size=6."
    assert (tmp_path / "error0").read_text() == sentence
