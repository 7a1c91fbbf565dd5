"""The mean of the weights: what it is, that a run which is stopped goes on with it, and that it is what is kept."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.storage import CHECKPOINT
from eqmodels.training import Pretraining, TrainingError, load_run, load_unfinished, pretrain
from eqmodels.training.learner import kept_state
from tests.training.runs import photos, tiny

CHANGES = {"average": 0.6, "learning_rate": 0.1}


def steps(run, count):
    run.network.train()
    for _ in range(count):
        run.step() if run.progress.step < run.steps_per_epoch else run.end_epoch()
    return run


def test_it_is_the_exponential_mean_whose_decay_grows_with_the_steps():
    run = steps(Pretraining(tiny(**CHANGES), photos()), 0)
    expected = {name: value.clone().double() for name, value in kept_state(run.model).items()}
    for number in range(5):
        run.step()
        decay = min(0.6, (1 + number) / (10 + number))
        for name, value in kept_state(run.model).items():
            whole = value.is_floating_point()
            expected[name] = decay * expected[name] + (1 - decay) * value.double() if whole else value.double()
    found = {name: value.double() for name, value in run.average.state.items()}
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert any("running_var" in name for name in found)
    name = "backbone.stem.conv.weight"
    assert not torch.equal(found[name], kept_state(run.model)[name].double())


def test_it_is_kept_when_the_run_is_done_and_training_is_as_without_it(tmp_path):
    averaged = pretrain(tiny(**CHANGES), tmp_path / "averaged", data=photos(), device="cpu", quiet=True)
    plain = pretrain(tiny(learning_rate=0.1), tmp_path / "plain", data=photos(), device="cpu", quiet=True)
    assert [row["loss"] for row in averaged.log] == [row["loss"] for row in plain.log]
    last = load_unfinished(tmp_path / "averaged" / CHECKPOINT).model.state_dict()
    torch.testing.assert_close(last, plain.model.state_dict(), rtol=0, atol=0)
    stored = torch.load(tmp_path / "averaged" / CHECKPOINT, weights_only=True)["average"]
    loaded = load_run(tmp_path / "averaged")
    torch.testing.assert_close(loaded.model.state_dict(), stored, rtol=0, atol=0)
    assert not torch.equal(stored["backbone.stem.conv.weight"], last["backbone.stem.conv.weight"])
    assert loaded.config.optimisation.average == 0.6
    assert "average" not in plain.config.to_dict()["optimisation"]


def test_a_run_that_was_stopped_goes_on_with_its_mean(tmp_path):
    cut = steps(Pretraining(tiny(**CHANGES), photos()), 3)
    (tmp_path / "cut").mkdir()
    cut.save(tmp_path / "cut")
    states = [
        pretrain(tiny(**CHANGES), tmp_path / name, data=photos(), device="cpu", quiet=True).model.state_dict()
        for name in ("cut", "whole")
    ]
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_a_checkpoint_whose_mean_is_of_another_network_is_refused(tmp_path):
    steps(Pretraining(tiny(**CHANGES), photos()), 1).save(tmp_path)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del content["average"]["backbone.stem.conv.weight"]
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="the checkpoint belongs to another network"):
        pretrain(tiny(**CHANGES), tmp_path, data=photos(), device="cpu", quiet=True)


@pytest.mark.parametrize("value", [1.0, -0.1, float("nan")])
def test_a_decay_out_of_range_is_refused(value):
    message = f"average must be at least 0 and below 1; got {value}. Pass 0.999."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tiny(average=value)
