"""Folders of adapted networks: named by their source, strictly loaded, and refused where they are something else."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from eqmodels import EqmodelsError, load
from eqmodels.adapt import original, symmetrise
from eqmodels.backbones import ORIGINS, Symmetrised, list_models, with_channels
from eqmodels.hub import verify
from eqmodels.storage import StorageError, sha256_of

RESNET = "timm:test_resnet"


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return symmetrise(RESNET, "c4", weights="random", size=32)


def images(size=32, channels=3):
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("source", [RESNET, "timm:test_vit", "torchvision:shufflenet_v2_x0_5"])
def test_a_named_network_is_saved_with_its_weights_and_loaded(source, tmp_path):
    model = symmetrise(source, "c4", weights="random", output="regular", size=32)
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert torch.equal(again(images()), model(images()))
    assert (str(again.out_field), again.preprocessing) == (str(model.out_field), model.preprocessing)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["model_args"]["source"]) == ("c4_symmetrised", source)
    assert source in (tmp_path / "README.md").read_text()


def test_it_is_verified(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    report = verify(tmp_path)
    assert report.passed, report.first_failure


def test_other_poolings_classifiers_and_channels_are_those_of_every_backbone(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    classifier = load(tmp_path, num_classes=5, global_pool="invariant+regular", in_chans=1)
    grey = images(channels=1)
    assert classifier(grey).shape == (2, 5)
    expected = encoder.forward_features(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(with_channels(encoder, 1).forward_features(grey), expected)


def test_a_module_is_saved_by_the_source_that_it_says(tmp_path):
    model = symmetrise(timm.create_model("test_resnet", num_classes=0), "c4", source=RESNET)
    assert model.preprocessing.size == (160, 160)
    model.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path)(images()), model(images()))
    with pytest.raises(ValueError, match=r"source must name the network that is given; .* num_classes=0"):
        symmetrise(timm.create_model("test_resnet", num_classes=4), "c4", source=RESNET)


def test_a_network_of_ones_own_has_no_file_until_its_code_is_registered(tmp_path):
    own = nn.Conv2d(3, 4, 3)
    with pytest.raises(ValueError, match="network of one's own, of which no file can be written"):
        symmetrise(own, "c4").save_pretrained(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    ORIGINS.register("mine")(lambda _, in_chans: nn.Conv2d(in_chans, 4, 3))
    symmetrise(own, "c4", source="mine").save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path)(images()), symmetrise(own, "c4")(images()))
    del ORIGINS._found["mine"]
    with pytest.raises(
        EqmodelsError, match="describes no network: source must be one of timm, torchvision; got 'mine'"
    ):
        load(tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("timm:no_such_network", "source must be a network of timm"),
        ("timm:hf-hub:evil/network", "of letters, digits and '_'"),
        ("timm:local-dir:/tmp", "of letters, digits and '_'"),
        ("torchvision:maskrcnn_resnet50_fpn", "source must be a classifier of torchvision"),
        ("os:system", "source must be one of timm, torchvision; got 'os'"),
        ("timm:test_vit", r"contradicts itself at \['map_field'\]: .* '64 x regular\(c4\)'"),
        (3, "source must be a network, or a word such as 'timm:resnet18'; got 3"),
        (None, "source must be a network, or a word that names one"),
    ],
)
def test_a_source_of_a_file_builds_what_it_names_or_nothing(encoder, source, words, tmp_path):
    encoder.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    content["model_args"]["source"] = source
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match=words):
        load(tmp_path)


def test_other_weights_than_those_that_were_saved_are_refused(encoder, tmp_path):
    """Also of a network of the same tensors, which computes something else: by its golden features."""
    encoder.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    content["model_args"]["group_pool"] = "max"
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="gives pooled features"):
        load(tmp_path)


def test_weights_of_a_file_are_read_strictly_and_its_classifier_left_out(tmp_path):
    whole, file = timm.create_model("test_resnet", num_classes=7).eval(), tmp_path / "weights.safetensors"
    save_file(whole.state_dict(), file)
    known = original(RESNET, file)
    assert known.weights == f"weights.safetensors, sha256 {sha256_of(file)}"
    torch.testing.assert_close(
        known.network(images()), whole.forward_head(whole.forward_features(images()), pre_logits=True)
    )
    state = {name: value for name, value in whole.state_dict().items() if name != "conv1.0.weight"}
    save_file(state, file)
    with pytest.raises(StorageError, match=r"1 missing \(conv1.0.weight\)"):
        original(RESNET, file)
    save_file({**whole.state_dict(), "more.weight": torch.zeros(1)}, file)
    with pytest.raises(StorageError, match=r"1 unknown \(more.weight\)"):
        original(RESNET, file)
    save_file({"other": torch.zeros(1)}, file)
    with pytest.raises(StorageError, match="must have the tensors of the network"):
        original(RESNET, file)
    torch.save(whole.state_dict(), file)
    with pytest.raises(StorageError, match="is no whole safetensors file"):
        original(RESNET, file)


def test_the_pretrained_teacher_of_the_package_has_a_licence():
    model = symmetrise("lite0", "c2", size=32)
    assert (model.structure["source"], model.license) == ("timm:tf_efficientnet_lite0", "apache-2.0")
    assert model.preprocessing.mean == (0.5, 0.5, 0.5)


def test_a_licence_is_kept_and_random_weights_have_none(tmp_path):
    model = symmetrise(RESNET, "c2", weights="random", size=32)
    model.save_pretrained(tmp_path)
    assert "license" not in json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    loaded = load(tmp_path)
    assert loaded.license is None
    loaded.license = "apache-2.0"
    loaded.save_pretrained(tmp_path / "again")
    assert load(tmp_path / "again").license == "apache-2.0"
    assert "license: apache-2.0" in (tmp_path / "again/README.md").read_text()


def test_a_name_that_builds_nothing_alone_is_not_listed():
    assert not [name for name in list_models() if "symmetrised" in name]
    assert "symmetrised" in Symmetrised.architectures


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("torchvision:resnet18",), "weights='pretrained' are fetched for networks of timm alone"),
        (("nothing", "random"), "source must be one of timm, torchvision; got 'nothing'"),
        (("lite0", "random"), "has weights of its own"),
        (("timm:no_such",), "source must be a network of timm"),
    ],
)
def test_an_original_that_cannot_be_had_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        original(*arguments)
    with pytest.raises(ValueError, match="3 channels; got in_chans=1"):
        original("torchvision:resnet18", "random", in_chans=1)
