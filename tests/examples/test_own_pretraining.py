"""What a user's file adds to pretraining (an objective, a task, an augmentation, an optimiser) works as ours does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eqmodels import load
from eqmodels.storage import StorageError
from eqmodels.training import load_run

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = ["--model", "c4_resnet18s_w8", "--limit", "64", "--batch-size", "32", "--epochs", "2", "--precision", "float32"]
QUICK = ["--kind", "regular", "--quick", "--limit", "50", "--json"]
HEAD = ["--head", "mlp", "--head-hidden", "16"]

CASES = {
    "own_objective": (
        ["--objective", "contrastive", "--temperature", "0.1", "--width", "8"],
        {"objective": {"name": "contrastive", "options": {"augment": "simclr", "temperature": 0.1, "width": 8}}},
        {"loss", "accuracy_pair"},
    ),
    "own_task": (
        ["--task", "rotation+posterise", *HEAD],
        {},
        {"loss", "accuracy_rotation", "accuracy_posterise"},
    ),
    "own_head": (
        ["--head", "cosine", "--head-options", '{"scale": 20.0}'],
        {},
        {"loss", "accuracy_rotation"},
    ),
    "own_augmentation": (["--augment", "gamma", *HEAD], {}, {"loss", "accuracy_rotation"}),
    "own_optimiser": (
        ["--optimiser", "nadam", "--momentum-decay", "0.01", "--learning-rate", "0.002", *HEAD],
        {},
        {"loss", "accuracy_rotation"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_ones_own_is_pretrained_with_by_its_words(name, command, tmp_path):
    options, expected, columns = CASES[name]
    imported = ["--import", str(EXAMPLES / f"{name}.py")]
    folder = ["--folder", str(tmp_path / "run")]
    out = json.loads(command("pretrain", *imported, *TINY, *options, *folder, "--json"))
    assert columns <= set(out["last_epoch"])
    for part, value in expected.items():
        assert out["config"][part] == value
    # Nothing is imported because of what a file says.
    with pytest.raises(StorageError, match=r"describes no run: .* \(--import"):
        load_run(tmp_path / "run")
    # The encoder needs none of it, and is what was trained, tensor by tensor.
    encoder, weights = load(tmp_path / "run"), load_file(tmp_path / "run" / "model.safetensors")
    state = {f"backbone.{own}": value for own, value in encoder.state_dict().items() if "pose" not in own}
    assert state.keys() == {own for own in weights if own.startswith("backbone.")}
    assert all(torch.equal(value, weights[own]) for own, value in state.items())
    if name == "own_objective":  # an encoder is measured whatever it was pretrained for
        measured = ["evaluate", str(tmp_path / "run"), *imported, *QUICK]
        assert json.loads(command(*measured))["model"] == "c4_resnet18s_w8"


def test_options_of_ones_own_are_explained_by_their_docstrings(command):
    typed = ["--import", str(EXAMPLES / "own_objective.py"), "--objective", "contrastive", "--help"]
    text = " ".join(command("pretrain", *typed).split())
    assert "--temperature X of the softmax over cosine similarities (default: 0.2)" in text
    assert "--task" not in text
