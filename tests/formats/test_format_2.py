"""Files of format 2, in which ``resnet18`` had the small stem, load as what they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from eqmodels import EqmodelsError, load
from eqmodels.backbones import SteerableResNet, WideSteerableResNet
from eqmodels.backbones.formats import read_network_config
from eqmodels.backbones.names import current_name
from eqmodels.hub import load_pretrained, verify
from eqmodels.remote.locating import FOLDERS

FORMAT_2 = Path(__file__).parent / "format_2"
ZOO = FOLDERS[0] / "c4_resnet18s_w16.rot_fmnist_simclr"


@pytest.fixture
def run(tmp_path):
    """The config of a run as it was written, beside the weights, which are the same."""
    shutil.copytree(FORMAT_2 / "run", tmp_path / ZOO.name)
    shutil.copyfile(ZOO / "model.safetensors", tmp_path / ZOO.name / "model.safetensors")
    return tmp_path / ZOO.name


def outputs(encoder):
    images = torch.rand(2, encoder.in_chans, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return encoder(images)


def test_a_run_is_the_network_that_it_was(run):
    old, new = load(run), load(ZOO)
    assert torch.equal(outputs(old), outputs(new))
    assert old.structure == new.structure
    assert old.preprocessing == new.preprocessing
    assert load_pretrained(run).config == load_pretrained(ZOO).config


def test_a_run_is_verified(run):
    report = verify(run)
    assert report.passed, report.first_failure
    assert {check.name: check.found for check in report.checks}["config"] == "format 2, c4_resnet18s_w16"


def test_an_encoder_with_the_large_stem_keeps_it():
    encoder = load(FORMAT_2 / "encoder")
    assert type(encoder) is SteerableResNet
    assert encoder.structure["architecture"] == "resnet18"
    assert [info["reduction"] for info in encoder.feature_info] == [2, 4, 8, 16, 32]
    assert encoder.num_classes == 2


def test_a_wide_network_keeps_its_options():
    encoder = load(FORMAT_2 / "wide")
    assert type(encoder) is WideSteerableResNet
    assert encoder.structure["restrict"] == ["c4", "c4", "c2"]
    assert (encoder.structure["kernel_size"], encoder.structure["norm"]) == (5, "layer")
    assert encoder.group.name == "c2"


@pytest.mark.parametrize("name", ["run", "encoder", "wide"])
def test_what_was_loaded_is_saved_in_the_format_of_today(name, run, tmp_path):
    encoder = load(run if name == "run" else FORMAT_2 / name)
    encoder.save_pretrained(tmp_path / "again")
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["format"] == 3
    assert config["group"] == encoder.group.name
    assert config["map_field"] == str(encoder.map_field)
    assert torch.equal(outputs(load(tmp_path / "again")), outputs(encoder))


def test_names_and_group_are_translated():
    assert read_network_config(FORMAT_2 / "run" / "config.json")["architecture"] == "c4_resnet18s_w16"
    encoder = read_network_config(FORMAT_2 / "encoder" / "config.json")
    assert (encoder["architecture"], encoder["group"]) == ("c4_resnet18_w4", "c4")
    assert "stem" not in encoder["model_args"]


@pytest.mark.parametrize(
    ("old", "stem", "new"),
    [
        ("resnet18", None, "resnet18s"),
        ("d4_resnet50_w32", "small", "d4_resnet50s_w32"),
        ("d4_resnet50_w32", "imagenet", "d4_resnet50_w32"),
        ("c4_resnet18s_w16", None, "c4_resnet18s_w16"),
        ("c4_wide_resnet16_8_w8", "imagenet", "c4_wide_resnet16_8_w8"),
        ("c4_two_stage", None, "c4_two_stage"),
    ],
)
def test_old_names(old, stem, new):
    assert current_name(old, stem=stem) == new


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(map_field="32 x regular(c4)"),
        lambda content: content.update(num_features=77),
        lambda content: content["model_args"].update(stem="imagenet"),
        lambda content: content["model_args"].update(kernel_size=5),
        lambda content: content.update(architecture="c4_resnet34_w16"),
    ],
)
def test_damaged_files_of_format_2_are_refused(run, change):
    content = json.loads((run / "config.json").read_text())
    change(content)
    (run / "config.json").write_text(json.dumps(content))
    with pytest.raises(EqmodelsError):
        load(run)
