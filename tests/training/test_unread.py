"""Losses that are read back from the device several steps at once give the same log, and are refused as soon."""

from __future__ import annotations

import pytest
import torch

from eqmodels.processes import World
from eqmodels.training import Pretraining, TrainingError, pretrain, pretraining
from eqmodels.training.unread import read_every
from tests.training.runs import photos, tiny

CLASSES = {"class_weight": -0.5, "class_hidden": 8, "accumulate": 2, "head": "mlp"}


def rare(monkeypatch, steps: int) -> None:
    """Reads every so many steps, as on a GPU."""
    monkeypatch.setattr(pretraining, "read_every", lambda device: steps)


def trained(**changes):
    """Tensors and log of a run of two epochs."""
    run = Pretraining(tiny(epochs=2, **changes), photos())
    rows = [run.epoch() for _ in range(2)]
    run.close()
    return run.model.state_dict(), [{name: row[name] for name in row if "second" not in name} for row in rows]


@pytest.mark.parametrize("changes", [{}, CLASSES], ids=["plain", "class head, in parts"])
def test_weights_and_log_do_not_depend_on_when_losses_are_read(monkeypatch, changes):
    weights, log = trained(**changes)
    rare(monkeypatch, 3)
    others, same_log = trained(**changes)
    torch.testing.assert_close(weights, others, rtol=0, atol=0)
    assert log == same_log


def test_they_are_read_once_in_so_many_steps_and_at_the_end_of_an_epoch(monkeypatch):
    rare(monkeypatch, 3)
    run = Pretraining(tiny(), photos())
    run.network.train()
    seen = []
    for _ in range(5):
        run.step()
        seen.append(run.progress.counts.seen)
    run.close()
    assert seen == [0, 0, 24, 24, 40]


def test_a_checkpoint_between_two_readings_counts_every_step(tmp_path, monkeypatch):
    rare(monkeypatch, 4)
    run = Pretraining(tiny(), photos())
    run.network.train()
    run.step()
    run.save(tmp_path)
    run.close()
    again = Pretraining(tiny(), photos())
    assert again.resume(tmp_path)
    assert again.progress.counts.seen == 8


def ruined(run: Pretraining, at: int) -> None:
    """Makes the gradient of one step no number."""
    parameter = next(run.objective.heads.parameters())
    parameter.register_hook(lambda gradient: gradient * float("nan") if run.progress.step == at else gradient)


def test_no_checkpoint_is_written_of_a_step_that_is_unread_and_no_number(tmp_path, monkeypatch):
    rare(monkeypatch, 100)
    run = Pretraining(tiny(), photos())
    run.save(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    run.network.train()
    ruined(run, 1)
    for _ in range(3):
        run.step()
    with pytest.raises(TrainingError, match=r"^in epoch 1, step 2, at the learning rate 0.008, the loss \("):
        run.save(tmp_path)
    with pytest.raises(TrainingError, match="no finite numbers any more"):
        run.save(tmp_path)
    run.close()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_the_sentence_names_the_step_and_not_that_of_the_reading(monkeypatch):
    rare(monkeypatch, 3)
    run = Pretraining(tiny(), photos())
    run.network.train()
    ruined(run, 0)
    run.step()
    run.step()
    with pytest.raises(TrainingError, match=r"^in epoch 1, step 1, at the learning rate 0.004, "):
        run.step()
    run.close()


def test_processes_agree_to_stop_only_when_losses_are_read(tmp_path, monkeypatch):
    """Their wishes are summed on the device, which is another wait."""
    rare(monkeypatch, 2)
    sums = []

    class Counted(World):
        def sum(self, values):
            if values.dtype == torch.int64:
                sums.append(len(values))
            return super().sum(values)

    monkeypatch.setattr("eqmodels.processes.world.World", Counted)
    pretrain(tiny(epochs=2), tmp_path, data=photos(), device="cpu", quiet=True)
    assert len(sums) == 2 * 3  # of five steps the second, the fourth and the last


def test_reading_costs_nothing_on_the_cpu_and_a_wait_elsewhere():
    assert read_every(torch.device("cpu")) == 1 < read_every(torch.device("cuda"))
