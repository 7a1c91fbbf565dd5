"""A finished run is the same after a round trip through its folder."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from eqmodels.storage import StorageError
from eqmodels.training import Pretraining, Run, load_run, save_run
from eqmodels.training.origin import provenance
from eqmodels.transforms import Preprocessing
from tests.training.runs import photos, tiny


@pytest.fixture
def saved(tmp_path, randomised):
    """A function that saves a run with random weights and gives it back with its folder."""

    def make(channels=1, **changes):
        data = photos(channels=channels)
        training = Pretraining(tiny(**changes), data)
        row = {"epoch": 1, "loss": 1.25, "accuracy_rotation": 0.5}
        run = Run(
            training.config,
            randomised(training.model).eval(),
            training.preprocessing,
            [row],
            provenance(data, 1.5, 1, "float32"),
        )
        assert save_run(tmp_path, run) == run.sha256
        return tmp_path, run, data

    return make


def logits_of(run, images):
    """The logits of every head, and of the class if there is one."""
    return list(run.objective.logits(run.backbone.regular_features(images)).values())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": "d4_resnet18s_w16", "norm": "layer", "task": "dihedral", "augment": "none"},
        {"model": "resnet18s_w4", "head": "mlp", "task": "rotation+jigsaw+vertical_flip", "augment": "none"},
        {"task": "jigsaw", "head": "linear", "preset": "paper"},
        {"class_weight": -9.0, "class_hidden": 8},
        {"class_weight": 0.5, "class_hidden": 0, "task": "rotation+jigsaw", "head": "mlp"},
    ],
)
def test_a_run_is_the_same_after_a_round_trip(saved, channels, changes):
    folder, run, data = saved(channels, **changes)
    loaded = load_run(folder)
    images = run.preprocessing.normalise(data.pixels(slice(5)))
    with torch.no_grad():
        for ours, theirs in zip(logits_of(run, images), logits_of(loaded, images), strict=True):
            # Other strides, other kernels: rounding.
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, run.model.state_dict()[name])
    assert not any(module.training for module in loaded.model.modules())
    for name in ("config", "preprocessing", "log", "provenance", "sha256"):
        assert getattr(loaded, name) == getattr(run, name)
    assert loaded.task.name == run.task.name
    assert isinstance(loaded.preprocessing, Preprocessing)


def test_a_multivariate_run_has_a_head_a_task(saved):
    folder, _, data = saved(task="rotation+jigsaw", head="mlp")
    run = load_run(folder)
    assert [logits.shape[1] for logits in logits_of(run, data.pixels(slice(2)))] == [4, 24]
    assert run.pose is None


def test_the_files_are_plain(saved):
    folder, run, _ = saved()
    assert set(load_file(folder / "model.safetensors")) == set(run.model.state_dict())
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == run.sha256
    content = json.loads((folder / "config.json").read_text())
    assert content["architecture"] == run.config.model.name
    assert content["pretraining"] == run.config.to_dict()
    assert content["pretrained_cfg"]["mean"] == list(run.preprocessing.mean)


@pytest.mark.parametrize("mode", ["canonical", "canonical-soft"])
def test_the_pose_of_a_loaded_run_gives_canonical_features(saved, mode):
    folder, _, data = saved(model="c4_resnet18s_w8")
    run = load_run(folder)
    run.model.double()
    encoder, images = run.backbone, data.pixels(slice(6)).double()
    encoder.reset_classifier(0, mode, pose=run.pose)
    with torch.no_grad():
        regular = [encoder.regular_features(encoder.group.act(g, images)) for g in encoder.group.elements]
        upright, *turned = (encoder(encoder.group.act(g, images)) for g in encoder.group.elements)
    assert not torch.allclose(regular[0], regular[1])
    assert upright.shape == regular[0].shape
    for features in turned:
        torch.testing.assert_close(features, upright, rtol=0, atol=1e-10)


def rewritten(folder, **changes):
    content = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        content[name] = value
    (folder / "config.json").write_text(json.dumps(content))


def refused(folder, sentence):
    with pytest.raises(StorageError, match=sentence) as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_an_unfinished_run_is_refused(saved, missing):
    folder, _, _ = saved()
    (folder / missing).unlink()
    refused(folder, f"^{re.escape(str(folder))} holds no finished run: it needs config.json and model.safetensors.")


@pytest.mark.parametrize("position", [0, 100, -1])
def test_damaged_weights_are_refused(saved, position):
    folder, _, _ = saved()
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[position] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    refused(folder, r"model.safetensors (is damaged or of another network: its sha256|is no whole safetensors file)")


def test_a_file_that_was_no_safetensors_from_the_start_is_refused(saved):
    folder, _, _ = saved()
    (folder / "model.safetensors").write_bytes(b"nonsense")
    rewritten(folder, sha256=hashlib.sha256(b"nonsense").hexdigest())
    refused(folder, r"is no whole safetensors file \(ValueError: .*Fetch it again")


@pytest.mark.parametrize("change", ["shape", "missing", "unexpected"])
def test_weights_of_another_network_are_refused(saved, change):
    folder, _, _ = saved()
    file = folder / "model.safetensors"
    state = load_file(file)
    name = "backbone.stem.conv.weight"
    if change == "missing":
        del state[name]
    else:
        state[name if change == "shape" else "more"] = torch.zeros(2, 2)
    save_file(state, file)
    rewritten(folder, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    words = {"missing": "1 missing", "shape": "1 of another shape or type", "unexpected": "1 unknown"}[change]
    refused(folder, rf"holds the weights of another network: of its tensors, {words} \(.*Nothing was loaded")


def test_weights_that_are_no_numbers_are_refused(saved):
    folder, _, _ = saved()
    file = folder / "model.safetensors"
    state = load_file(file)
    state["backbone.stem.conv.weight"].view(-1)[3] = torch.nan
    save_file(state, file)
    rewritten(folder, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    refused(folder, r"holds numbers that are not finite, in 1 of \d+ tensors \(backbone.stem.conv.weight")


def test_a_drift_of_what_the_weights_compute_is_refused(saved):
    folder, _, _ = saved()
    golden = json.loads((folder / "config.json").read_text())["golden"]
    golden["features"][3] += 1e-3 * max(map(abs, golden["features"]))
    rewritten(folder, golden=golden)
    refused(folder, r"gives features that differ from those stored with it by .*, more than 0.0001 of their largest")


def test_a_config_of_another_format_is_refused(saved):
    folder, _, _ = saved()
    rewritten(folder, format=1)
    refused(
        folder, r"config.json is of format 1, and this version of eqmodels reads the formats 2 and 3. Update eqmodels"
    )


def test_a_config_with_unknown_fields_is_refused(saved):
    folder, run, _ = saved()
    rewritten(folder, pretraining={**run.config.to_dict(), "mixup": 0.2})
    refused(folder, r"describes no run: a pretraining config has no 'mixup'; ")
    rewritten(folder, mixup=0.2)
    refused(folder, r"breaks a rule at its top level: Additional properties are not allowed \('mixup' was unexpected\)")


def test_a_config_that_describes_another_encoder_than_its_run_is_refused(saved):
    folder, _, _ = saved()
    rewritten(folder, num_features=12345)
    refused(folder, r"contradicts itself at \['num_features'\]: the network .* has \d+, and it says 12345")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("architecture",), "c4_resnet18s_w1000000000"),
        (("architecture",), "../../etc/passwd"),
        (("model_args", "in_chans"), 10**9),
        (("preprocessing", "size"), [10**9, 1]),
        (("preprocessing", "deviation"), [0.0]),
        (("golden", "size"), [100000, 100000]),
        (("model_args", "pose_hidden"), 10**9),
    ],
)
def test_absurd_sizes_and_names_are_refused_and_nothing_is_built(saved, where, value):
    folder, _, _ = saved()
    content = json.loads((folder / "config.json").read_text())
    inner = content
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = value
    (folder / "config.json").write_text(json.dumps(content))
    refused(folder, rf"(breaks a rule|contradicts itself) at \['{where[0]}'\]")


def test_an_absurd_head_is_refused_before_it_takes_memory(saved):
    folder, run, _ = saved(head="mlp")
    rewritten(folder, pretraining=run.config.replaced(head_hidden=10**6).to_dict())
    refused(folder, "holds the weights of another network")


NO_CONFIGS = ["", "{", "[]", "{}", '{"format": 2}', "\x00\x01", '{"format": true}', "NaN", "[" * 9999]


@pytest.mark.parametrize("text", NO_CONFIGS)
def test_a_config_that_is_none_is_refused(saved, text):
    folder, _, _ = saved()
    (folder / "config.json").write_text(text)
    refused(folder, r"config.json (cannot be read|holds no object|is no config|is of format|breaks a rule)")


@pytest.mark.parametrize("name", ["format", "preprocessing", "log", "provenance", "sha256", "golden", "model_args"])
def test_a_config_that_lacks_something_is_refused(saved, name):
    folder, _, _ = saved()
    content = json.loads((folder / "config.json").read_text())
    del content[name]
    (folder / "config.json").write_text(json.dumps(content))
    refused(folder, "config.json (is no config of eqmodels, .* Name a network|breaks a rule at its top level)")
