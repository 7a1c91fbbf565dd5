"""A checkpoint of the first format, which was flat and counted by position, loads and goes on to the same weights."""

from __future__ import annotations

import pytest
import torch

from eqmodels.training import Pretraining, TrainingError, load_unfinished, pretrain, run
from tests.training.runs import photos, tiny, weights

HEADS = {"head": "mlp", "class_weight": -9.0, "class_hidden": 8, "clip_norm": 0.5}


def first_format(content, config):
    """What the first format had of the same run."""
    flat = config.flat() | {"model": config.model.name.replace("resnet18s", "resnet18"), "norm": "batch", "size": None}
    for later in ("init", "init_sha256", "order", "average"):
        del flat[later]
    for name in ("objective", *config.objective.options, *config.optimisation.options):
        if name not in ("task", "preset", "head", "head_hidden", "head_dropout", "turn", "augment", *HEADS):
            flat.pop(name)
    progress = dict(content["progress"])
    counts = progress.pop("counts")
    losses = dict(counts["losses"])
    progress |= {"loss": losses.get("loss", 0.0), "correct": list(counts["correct"].values()), "seen": counts["seen"]}
    if config.objective.options["class_weight"] is not None:
        progress["class_loss"] = losses.get("class_loss", 0.0)
    optimiser = dict(content["optimiser"])
    groups = optimiser["param_groups"]
    optimiser["param_groups"] = [groups[0] | {"params": [number for group in groups for number in group["params"]]}]
    return {**content, "format": 1, "config": flat, "progress": progress, "optimiser": optimiser}


LARGE = {
    "c4_resnet18s_w60000": r"at most 9999 channels of the first stage; got 60000",
    "c4_resnet18s_w9996": r"backbone\.stem\.conv\.weight is \(.*\) in it, and \(.*\) in the network that it describes",
    "c132_resnet18s_w132": r"at most 128 elements of the group; got 132",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_checkpoint_of_a_large_network_is_refused_before_it_is_built(tmp_path, name, monkeypatch):
    Pretraining(tiny(), photos()).save(tmp_path)
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    content["config"]["model"]["name"] = name
    torch.save(content, file)
    _build_on_meta_alone(monkeypatch)
    with pytest.raises(TrainingError, match=LARGE[name]):
        load_unfinished(file)


def test_a_checkpoint_whose_tensors_are_larger_than_the_file_is_refused(tmp_path, monkeypatch):
    """One number, repeated by a stride of 0, has any shape that a config describes."""
    Pretraining(tiny(), photos()).save(tmp_path)
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    content["model"] = {name: value.flatten()[:1].sum().expand(value.shape) for name, value in content["model"].items()}
    torch.save(content, file)
    _build_on_meta_alone(monkeypatch)
    with pytest.raises(TrainingError, match=r"it holds less of backbone.* than its shape"):
        load_unfinished(file)


def _build_on_meta_alone(monkeypatch):
    """Fails the test where a network is built of memory."""
    build = run.build_learner

    def built(*arguments):
        assert torch.empty(0).is_meta
        return build(*arguments)

    monkeypatch.setattr(run, "build_learner", built)


ADAMW = {**HEADS, "optimiser": "adamw", "learning_rate": 1e-3}


# Before, within, after an epoch and in the next one; what other heads and optimisers leave there, within one.
@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        *(({}, steps) for steps in (0, 3, 5, 7)),
        *((HEADS, steps) for steps in (3, 7)),
        (ADAMW, 7),
        *(pytest.param(HEADS, steps, marks=pytest.mark.slow) for steps in (0, 5)),
        *(pytest.param(ADAMW, steps, marks=pytest.mark.slow) for steps in (0, 3, 5)),
    ],
)
def test_it_goes_on_to_the_same_weights(tmp_path, changes, steps):
    config = tiny(**{**changes, "epochs": 2})
    training = Pretraining(config, photos())
    training.network.train()
    for _ in range(steps):
        training.step()
        if training.progress.step == training.steps_per_epoch:
            training.end_epoch()
    training.save(tmp_path)
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    assert content["format"] == 2
    torch.save(first_format(content, config), file)
    unfinished = load_unfinished(file)
    assert (unfinished.config, unfinished.log) == (config, training.progress.log)
    again = Pretraining(config, photos())
    assert again.resume(tmp_path)
    assert again.progress == training.progress
    if steps == 7:
        whole = {"data": photos(), "device": "cpu", "quiet": True}
        ended, reference = (pretrain(config, place, **whole) for place in (tmp_path, tmp_path / "reference"))
        assert weights(tmp_path) == weights(tmp_path / "reference")
        assert [row["loss"] for row in ended.log] == [row["loss"] for row in reference.log]
