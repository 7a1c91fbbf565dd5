"""What an adapted network says of the weights that it was made of, and whether it still has them."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from eqmodels import create_model, load
from eqmodels.adapt import canonicalise, holds_original, original, symmetrise
from eqmodels.backbones import ORIGINS, Symmetrised
from eqmodels.storage import StorageError, sha256_of, sha256_of_tensors

RESNET = "timm:test_resnet"
LIBRARY = f"timm {timm.__version__}"


@pytest.fixture
def fetched(monkeypatch):
    """timm, as if it had fetched weights."""
    build = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **rest: build(name, **rest))


def test_the_sha256_of_tensors_is_that_of_names_types_shapes_and_elements():
    state = {"b": torch.tensor([[1, 2]]), "a": torch.tensor(0.5), "c": torch.zeros(0, 2, dtype=torch.bool)}
    found = sha256_of_tensors(state)
    content = b"a float32 []\n" + struct.pack("<f", 0.5) + b"b int64 [1, 2]\n" + struct.pack("<2q", 1, 2)
    assert found == hashlib.sha256(content + b"c bool [0, 2]\n").hexdigest()
    assert found == sha256_of_tensors({name: state[name] for name in "cab"})
    assert found == sha256_of_tensors({**state, "a": state["a"].double()})
    assert found == sha256_of_tensors({**state, "b": torch.tensor([[1, 0], [2, 0]])[:, 0][None]}), "strides count"
    for other in ({"b": torch.tensor([1, 2])}, {"b": state["b"].int()}, {"a": torch.tensor(0.25)}):
        assert sha256_of_tensors({**state, **other}) != found
    assert sha256_of_tensors({"d": state["b"], "a": state["a"], "c": state["c"]}) != found


@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k"])
def test_pretrained_weights_are_noted_by_the_tag_that_timm_resolved(name, fetched, tmp_path):
    model = symmetrise(f"timm:{name}", "c2", size=32)
    noted = model.structure["original"]
    assert (model.structure["source"], noted["source"]) == (RESNET, RESNET)
    assert (noted["weights"], noted["library"]) == ("timm:test_resnet.r160_in1k", LIBRARY)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_args"]["original"] == noted
    again = load(tmp_path)
    assert again.structure["original"] == noted
    assert f"{RESNET} (weights: timm:test_resnet.r160_in1k, sha256 {noted['sha256'][:12]})" in again.describe_output()
    assert noted["sha256"][:12] in (tmp_path / "README.md").read_text()


def test_the_sha256_is_that_of_the_network_as_its_library_gives_it():
    network = timm.create_model("test_resnet", num_classes=0)
    model = canonicalise(network, "energy", group="c2", source=RESNET, size=32)
    noted = model.structure["original"]
    assert (noted["weights"], noted["library"]) == ("of a module that was given", LIBRARY)
    assert noted["sha256"] == sha256_of_tensors(network.state_dict())


def test_a_file_is_noted_by_its_name_and_sha256(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    known = original(RESNET, file)
    assert known.record == {
        "source": RESNET,
        "weights": "weights.safetensors",
        "sha256": sha256_of_tensors(known.network.state_dict()),
        "library": LIBRARY,
        "file_sha256": sha256_of(file),
    }
    assert original("lite0").record["weights"] == "lite0"


@pytest.mark.parametrize(
    "make", [lambda known: symmetrise(known, "c2"), lambda known: canonicalise(known, "energy", group="c2")]
)
def test_it_holds_what_was_adapted_until_it_is_trained(make, tmp_path):
    make(original(RESNET, "random")).save_pretrained(tmp_path / "first")
    again = load(tmp_path / "first")
    assert holds_original(again)
    with torch.no_grad():
        next(again.parameters()).add_(1e-3)
    assert not holds_original(again)
    again.save_pretrained(tmp_path / "trained")
    assert not holds_original(load(tmp_path / "trained"))


def test_what_nobody_has_noted_is_not_said():
    own = symmetrise(nn.Conv2d(3, 4, 3), "c2")
    assert "original" not in own.structure
    for encoder, error in ((own, ValueError), (create_model("c4_resnet18s_w4"), TypeError)):
        with pytest.raises(error, match="encoder must"):
            holds_original(encoder)


def test_an_origin_of_ones_own_has_no_version():
    ORIGINS.register("ours")(lambda _, in_chans: nn.Conv2d(in_chans, 4, 3))
    try:
        assert "library" not in original("ours", "random").record
    finally:
        del ORIGINS._found["ours"]


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        ({"weights": "random"}, "original must say the weights and their sha256"),
        ({"weights": "random", "sha256": "0" * 63}, "64 hexadecimal digits"),
        ({"weights": 3, "sha256": "0" * 64}, "original must be words by name"),
    ],
)
def test_a_file_that_notes_something_else_is_refused(noted, words, tmp_path):
    symmetrise(RESNET, "c2", weights="random", size=32).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    content["model_args"]["original"] = noted
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match=words):
        load(tmp_path)


def test_a_file_does_not_ask_for_an_image_that_no_memory_holds(tmp_path):
    symmetrise(RESNET, "c2", weights="random", size=32).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    content["model_args"]["size"] = [100_000, 100_000]
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="size must be at most 4096 pixels a side; got"):
        load(tmp_path)


def test_a_file_that_notes_nothing_is_read(tmp_path):
    Symmetrised("c2", source=RESNET, size=(32, 32)).eval().save_pretrained(tmp_path)
    assert "original" not in json.loads((tmp_path / "config.json").read_text())["model_args"]
    assert "original" not in load(tmp_path).structure
