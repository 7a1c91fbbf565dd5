"""The names of the classes are saved with a classifier, and go with it."""

from __future__ import annotations

import json

import pytest

from eqmodels import create_model, load
from eqmodels.backbones.input_channels import with_channels
from eqmodels.storage import StorageError


@pytest.fixture
def folder(tmp_path):
    network = create_model("c4_resnet18s_w4", num_classes=2)
    network.classes = ("cats & <dogs>", "ünïcode")
    network.save_pretrained(tmp_path / "named")
    return tmp_path / "named"


def test_names_come_back_where_timm_looks_for_them(folder):
    network = load(folder)
    assert network.classes == ("cats & <dogs>", "ünïcode")
    assert with_channels(network, 1).classes == network.classes
    assert json.loads((folder / "config.json").read_text())["pretrained_cfg"]["label_names"] == list(network.classes)


def test_another_classifier_has_no_names(folder):
    network = load(folder)
    network.reset_classifier(2)
    assert network.classes == load(folder, num_classes=2).classes == ()


def test_a_network_without_names_is_written_as_before(tmp_path):
    create_model("c4_resnet18s_w4", num_classes=2).save_pretrained(tmp_path)
    assert "label_names" not in json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]


@pytest.mark.parametrize("names", [["one"], ["one", 2], "ab"])
def test_names_of_other_classes_are_refused(folder, names):
    content = json.loads((folder / "config.json").read_text())
    content["pretrained_cfg"]["label_names"] = names
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(StorageError, match="label_names"):
        load(folder)
