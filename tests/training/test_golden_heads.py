"""Golden features cover the heads of a run: others under a rewritten sha256 are found out."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from eqmodels import load
from eqmodels.hub import load_pretrained, verify
from eqmodels.storage import StorageError
from eqmodels.training import Pretraining, load_run, save_run
from eqmodels.training.snapshots import snapshot
from tests.training.runs import photos, tiny

KINDS = {
    "equivariant": {},
    "mlp": {"head": "mlp", "head_dropout": 0.2},
    "several": {"head": "linear", "task": "rotation+vertical_flip", "augment": "none"},
    "class": {"class_weight": -1.0, "class_hidden": 8},
    "relative": {"objective": "relative"},
    "standard": {"model": "resnet18s_w4", "head": "mlp"},
}


@pytest.fixture
def saved(tmp_path):
    """A function that saves a run with random weights and gives its folder."""

    def make(**changes):
        training = Pretraining(tiny(**changes), photos())
        save_run(tmp_path, snapshot(training))
        return tmp_path

    return make


def rewritten(folder, change) -> None:
    """Changes the config."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def exchanged(folder, part: str) -> None:
    """Other weights of a head, with the sha256 that belongs to them."""
    state = load_file(folder / "model.safetensors")
    name = next(name for name in reversed(state) if name.startswith(part) and value_of(state[name]))
    state[name] = state[name] + 0.3 * torch.randn_like(state[name])
    save_file(state, folder / "model.safetensors")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    rewritten(folder, lambda config: config.update(sha256=sha256))


def value_of(tensor) -> bool:
    """Whether a tensor is one of weights, not a count."""
    return tensor.is_floating_point() and tensor.dim() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_loaded_and_verified(kind, saved):
    folder = saved(**KINDS[kind])
    heads = json.loads((folder / "config.json").read_text())["golden"]["heads"]
    assert all(heads.values())
    assert load_run(folder).outputs(torch.zeros(1, load(folder).feature_info[-1]["num_chs"])).keys() == heads.keys()
    report = verify(folder)
    assert report.passed, report.first_failure


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("equivariant", "heads.0"),
        ("mlp", "heads.0"),
        ("several", "heads.1"),
        ("class", "class_information"),
        ("relative", "head."),
        ("standard", "heads.0"),
    ],
)
def test_other_heads_are_found_out(kind, part, saved):
    folder = saved(**KINDS[kind])
    exchanged(folder, part)
    for read in (load_run, load_pretrained):
        with pytest.raises(StorageError, match="that differ from those stored with it by"):
            read(folder)
    assert "differ from those stored with it" in verify(folder).first_failure


def test_another_pose_is_found_out_without_the_objective(saved):
    folder = saved()
    exchanged(folder, "heads.0")
    with pytest.raises(
        StorageError, match=r"gives (pooled features|logits of the pose) that differ from those stored with it by"
    ):
        load(folder)


def test_files_without_outputs_of_heads_are_read(saved):
    folder = saved()
    rewritten(folder, lambda config: [config["golden"].pop(name) for name in ("heads", "pooled", "pose")])
    assert load_run(folder).pose is not None
    assert verify(folder).passed


@pytest.mark.parametrize(
    ("heads", "sentence"),
    [
        ({"flip": [0.0]}, "has the heads rotation, and those of flip are stored. Fetch it again."),
        ({"rotation": [0.0]}, "gives outputs of the head rotation of length 4, and 1 are stored with it"),
        ({"rotation": [1e300] * 4}, r"at \['golden'\]: rotation must be finite in float32"),
        ({"rotation": []}, "breaks a rule"),
        ({"rotation": "4"}, "breaks a rule"),
        ([], "breaks a rule"),
    ],
)
def test_odd_outputs_are_one_sentence(heads, sentence, saved):
    folder = saved()
    rewritten(folder, lambda config: config["golden"].update(heads=heads))
    with pytest.raises(StorageError, match=sentence):
        load_run(folder)
