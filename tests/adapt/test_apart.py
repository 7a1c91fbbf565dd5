"""Adapted networks whose files lack the weights of others: what is written, what completes them, and what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from eqmodels import create_model, load
from eqmodels.adapt import canonicalise, completed, holds_original, save_apart, symmetrise
from eqmodels.cli import main
from eqmodels.hub import verify
from eqmodels.storage import StorageError, sha256_of

RESNET = "timm:test_resnet"


@pytest.fixture
def weights(tmp_path):
    """A file of weights that everybody has."""
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


MAKE = {
    "mean": lambda file: symmetrise(RESNET, "c2", weights=file, size=32),
    "regular": lambda file: symmetrise(RESNET, "c4", output="regular", weights=file, size=32),
    "weighted": lambda file: symmetrise(RESNET, "c2", output="weighted", weights=file, size=32),
    "pose": lambda file: canonicalise(
        RESNET,
        create_model("c4_resnet18s_w4", num_classes=0, global_pool="canonical", pose_hidden=8),
        weights=file,
        size=32,
    ),
    "energy": lambda file: canonicalise(RESNET, "energy", group="c2", weights=file, size=32),
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_completed_network_is_the_one_that_was_written(make, weights, tmp_path):
    encoder = make(weights)
    encoder.reset_classifier(3)
    save_apart(encoder, tmp_path / "small")
    kept = load_file(tmp_path / "small" / "model.safetensors")
    assert kept.keys() < encoder.state_dict().keys()
    assert {"fc.weight", "fc.bias"} <= kept.keys()
    assert not any("orbit.network." in name for name in kept)
    again = completed(tmp_path / "small", weights)
    assert again.state_dict().keys() == encoder.state_dict().keys()
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(again(images), encoder(images), rtol=0, atol=0)
    assert again.structure == encoder.structure
    assert holds_original(again)
    again.save_pretrained(tmp_path / "whole")
    torch.testing.assert_close(load(tmp_path / "whole")(images), encoder(images), rtol=0, atol=0)


def test_nothing_that_loads_takes_what_lacks_weights(weights, tmp_path):
    save_apart(MAKE["mean"](weights), tmp_path / "small")
    words = f"lacks the weights of {RESNET}, which its config names. Put them in: eqmodels adapt "
    with pytest.raises(StorageError, match=words):
        load(tmp_path / "small")
    assert words in verify(tmp_path / "small").first_failure
    card = (tmp_path / "small" / "README.md").read_text()
    sha256 = sha256_of(weights)
    assert f"The weights of {RESNET} are not in this folder: the file of sha256 {sha256}." in card
    assert "\neqmodels adapt . --method complete --weights FILE --out complete\n" in card
    assert "eqmodels.load" not in card


def test_a_card_says_what_pictures_and_classes_are_before_and_after(weights, tmp_path):
    encoder = MAKE["pose"](weights)
    encoder.reset_classifier(2)
    encoder.classes, encoder.license = ("cats", "dogs"), "mit"
    save_apart(encoder, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "Its 2 classes: cats, dogs." in card
    assert f"Pictures are {encoder.preprocessing.describe()}." in card
    again = completed(tmp_path, weights)
    assert (again.classes, again.license, again.preprocessing) == (encoder.classes, "mit", encoder.preprocessing)
    assert again.canonical.pose.images == encoder.preprocessing


def test_other_channels_are_completed_too(tmp_path):
    network = timm.create_model("test_resnet", in_chans=1, num_classes=0)
    save_file(network.state_dict(), tmp_path / "grey.safetensors")
    encoder = symmetrise(RESNET, "c2", weights=tmp_path / "grey.safetensors", in_chans=1, size=32)
    save_apart(encoder, tmp_path / "small")
    images = torch.randn(1, 1, 32, 32)
    found = completed(tmp_path / "small", tmp_path / "grey.safetensors")(images)
    torch.testing.assert_close(found, encoder(images), rtol=0, atol=0)


def test_a_folder_that_has_a_network_is_not_written_over(weights, tmp_path):
    MAKE["mean"](weights).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="folder must hold no network"):
        save_apart(MAKE["mean"](weights), tmp_path)
    assert load(tmp_path)


def test_a_card_that_is_there_stays(weights, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    save_apart(MAKE["mean"](weights), tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_packaged_teacher_needs_no_file(tmp_path):
    encoder = symmetrise("lite0", "c2", size=32)
    save_apart(encoder, tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 1000
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(completed(tmp_path)(images), encoder(images), rtol=0, atol=0)


def test_of_a_module_that_was_given_timm_is_asked_and_the_sha256_decides(tmp_path, monkeypatch):
    build = timm.create_model
    torch.manual_seed(2)
    published = build("test_resnet", num_classes=0).state_dict()

    def fetched(name, pretrained=False, **rest):
        network = build(name, **rest)
        if pretrained:
            network.load_state_dict(published, strict=False)
        return network

    network = build("test_resnet", num_classes=0)
    network.load_state_dict(published)
    save_apart(symmetrise(network, "c2", source=RESNET, size=32), tmp_path / "one")
    other = build("test_resnet", num_classes=0)
    save_apart(symmetrise(other, "c2", source=RESNET, size=32), tmp_path / "other")
    monkeypatch.setattr(timm, "create_model", fetched)
    assert holds_original(completed(tmp_path / "one"))
    with pytest.raises(
        StorageError, match=r"adapted with weights of sha256 .* \(of a module that was given\); got timm:test"
    ):
        completed(tmp_path / "other")


def test_weights_that_nobody_else_has_are_not_left_out(weights, tmp_path):
    trained = MAKE["mean"](weights)
    with torch.no_grad():
        next(trained.parameters()).add_(1e-3)
    refused = {
        "trained or converted since": trained,
        "are random": symmetrise(RESNET, "c2", weights="random", size=32),
        "does not say it": symmetrise(nn.Conv2d(3, 4, 3), "c2"),
    }
    for words, encoder in refused.items():
        with pytest.raises(ValueError, match=f"encoder must .*{words}"):
            save_apart(encoder, tmp_path / "none")
    with pytest.raises(TypeError, match="encoder must be what symmetrise or canonicalise gives"):
        save_apart(create_model("c4_resnet18s_w4"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_other_weights_and_whole_folders_are_refused(weights, tmp_path):
    encoder = MAKE["mean"](weights)
    save_apart(encoder, tmp_path / "small")
    encoder.save_pretrained(tmp_path / "whole")
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(
        StorageError, match=r"adapted with weights of sha256 .* \(weights\.safetensors\); got .*other\.saf"
    ):
        completed(tmp_path / "small", tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"weights must be the file of those of .*; got none\. Pass a safetensors file"
    ):
        completed(tmp_path / "small")
    with pytest.raises(ValueError, match="lacks no weights of others"):
        completed(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"left_out": "nowhere."}, "small/model.safetensors holds the weights of another network"),
        ({"left_out": ""}, "lacks other tensors than those of timm:test_resnet"),
        ({"left_out": 3}, "contradicts itself"),
        ({"source": "timm:no_such"}, "contradicts itself"),
        ({"weights": None}, "original must be words by name"),
        ({"weights": "\x1b[31m"}, "original must be of printable words"),
        ({"sha256": "0" * 64}, "adapted with weights of sha256 000000000000"),
        ({"sha256": "0"}, "64 hexadecimal digits"),
    ],
)
def test_a_config_that_somebody_changed_is_refused(changed, words, weights, tmp_path):
    save_apart(MAKE["mean"](weights), tmp_path / "small")
    file = tmp_path / "small" / "config.json"
    content = json.loads(file.read_text())
    content["model_args"]["original"] |= changed
    file.write_text(json.dumps(content))
    with pytest.raises((StorageError, ValueError), match=words):
        completed(tmp_path / "small", weights)


def test_the_command_leaves_weights_out_and_puts_them_in(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--group", "c2", "--size", "32", "--weights", weights.name, "--without-weights"]
    assert main(["adapt", RESNET, *options, "--out", "small"]) == 0
    assert "Next: eqmodels adapt small --method complete --weights FILE --out FOLDER\n" in capsys.readouterr().out
    assert main(["evaluate", "small", "--data", "openclipart_mini"]) != 0
    assert capsys.readouterr().err.startswith("eqmodels: small lacks the weights of timm:test_resnet, which its config")
    assert main(["adapt", "small", "--method", "complete", "--weights", weights.name, "--out", "whole"]) == 0
    assert "whole: timm:test_resnet (weights: weights.safetensors, sha256 " in capsys.readouterr().out
    assert holds_original(load("whole"))
    refused = {
        "--out must hold no network": ["small", "--method", "complete", "--out", "small"],
        "--size is for a network that is adapted": ["small", "--method", "complete", "--size", "8", "--out", "none"],
        "--weights must be the file of those of timm:test": ["small", "--method", "complete", "--out", "none"],
        "--without-weights is for networks of others": [
            "c4_resnet18_w32.distil_lite0", "--method", "upright", "--without-weights", "--out", "none",
        ],
        "--without-weights is for weights that others have too": [
            RESNET, "--weights", "random", "--without-weights", "--size", "32", "--out", "none",
        ],
    }  # fmt: skip
    for words, command in refused.items():
        assert main(["adapt", *command]) != 0
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert not Path("none").exists()
