"""A checkpoint of the first format, which was flat and counted by position, loads and goes on to the same weights."""

from __future__ import annotations

import pytest
import torch

from eqmodels.training import Pretraining, load_unfinished, pretrain
from tests.training.runs import photos, tiny, weights

HEADS = {"head": "mlp", "class_weight": -9.0, "class_hidden": 8, "clip_norm": 0.5}


def first_format(content, config):
    """What the first format had of the same run."""
    flat = config.flat() | {"model": config.model.name.replace("resnet18s", "resnet18"), "norm": "batch", "size": None}
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


@pytest.mark.parametrize("steps", [0, 3, 5, 7])
@pytest.mark.parametrize("changes", [{}, HEADS, {**HEADS, "optimiser": "adamw", "learning_rate": 1e-3}])
def test_it_goes_on_to_the_same_weights(tmp_path, changes, steps):
    config = tiny(**{**changes, "epochs": 2})
    run = Pretraining(config, photos())
    run.network.train()
    for _ in range(steps):
        run.step()
        if run.progress.step == run.steps_per_epoch:
            run.end_epoch()
    run.save(tmp_path)
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    assert content["format"] == 2
    torch.save(first_format(content, config), file)
    unfinished = load_unfinished(file)
    assert (unfinished.config, unfinished.log) == (config, run.progress.log)
    again = Pretraining(config, photos())
    assert again.resume(tmp_path)
    assert again.progress == run.progress
    if steps == 7:
        whole = {"data": photos(), "device": "cpu", "quiet": True}
        ended, reference = (pretrain(config, place, **whole) for place in (tmp_path, tmp_path / "reference"))
        assert weights(tmp_path) == weights(tmp_path / "reference")
        assert [row["loss"] for row in ended.log] == [row["loss"] for row in reference.log]
