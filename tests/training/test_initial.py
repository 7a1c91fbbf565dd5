"""Runs that begin with weights: of a run, of a network, of other channels; and runs that are extended."""

from __future__ import annotations

import json
import shutil
import signal

import pytest
import torch

from eqmodels import load
from eqmodels.cli import main
from eqmodels.training import PretrainConfig, Pretraining, TrainingError, load_run, pretrain, untrained
from eqmodels.training.config import flat_fields
from tests.training.runs import photos, tiny

COMMAND = ["pretrain", "--model", "c4_resnet18s_w4", "--limit", "32", "--batch-size", "16", "--head-hidden", "8"]


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The folder of a finished run of one epoch."""
    folder = tmp_path_factory.mktemp("parent") / "run"
    assert main([*COMMAND, "--epochs", "1", "--folder", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def begun(parent, tmp_path_factory):
    """A finished run that began with the parent's weights, its folder, and what it said."""
    folder, said = tmp_path_factory.mktemp("begun") / "run", []
    run = pretrain(tiny(epochs=1, init=str(parent)), folder, data=photos(), quiet=True, report=said.append)
    return run, folder, said


def config(parent, **changes):
    return load_run(parent).config.replaced(init=str(parent), **changes)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_begins_with_backbone_and_heads_of_another(parent):
    begun, run = untrained(config(parent), photos(16)).model.state_dict(), load_run(parent).model.state_dict()
    assert equal(begun, run)
    assert any(name.startswith("heads.0") for name in run)


@pytest.mark.parametrize(
    "changes", [{"task": "rotation+vertical_flip", "head": "mlp", "augment": "none"}, {"head_hidden": 16}]
)
def test_heads_of_another_task_or_shape_begin_at_random(parent, changes):
    begun, run = (
        untrained(config(parent, **changes), photos(16)).model.state_dict(),
        load_run(parent).model.state_dict(),
    )
    backbone = {name: value for name, value in run.items() if name.startswith("backbone.")}
    assert equal({name: begun[name] for name in backbone}, backbone)
    fresh = untrained(load_run(parent).config.replaced(**changes), photos(16)).model.state_dict()
    heads = {name: value for name, value in fresh.items() if name.startswith("heads.")}
    assert equal({name: begun[name] for name in heads}, heads)


def test_a_network_alone_gives_its_backbone_and_other_channels_are_adapted_as_by_load(parent, tmp_path):
    load(parent).save_pretrained(tmp_path / "alone")
    images = photos(16, channels=3)
    begun = untrained(load_run(parent).config.replaced(init=str(tmp_path / "alone")), images).backbone.state_dict()
    expected = load(parent, in_chans=3).state_dict()
    assert all(torch.equal(begun[name], expected[name]) for name in begun)


def test_a_wider_network_begins_with_what_a_narrower_one_computes(parent):
    wide = untrained(config(parent, model="c4_resnet18s_w12"), photos(16)).backbone.eval()
    narrow = load(parent).eval()
    images = torch.rand(2, 1, 28, 28)
    maps = wide.forward_features(images).unflatten(1, (4, -1))
    assert torch.allclose(maps[:, :, ::3], narrow.forward_features(images).unflatten(1, (4, -1)), atol=1e-5)


def test_another_network_is_refused_in_one_sentence(parent, tmp_path):
    other = tiny(model="c4_resnet34s_w4", init=str(parent))
    with pytest.raises(ValueError, match=r"is a c4_resnet18s_w4, and model is c4_resnet34s_w4\..*model='c4"):
        pretrain(other, tmp_path / "run", data=photos())
    layers = tiny(init=str(parent), norm="layer")
    with pytest.raises(ValueError, match="is a c4_resnet18s_w4, and model is c4_resnet18s_ln_w4"):
        Pretraining(layers, photos())
    assert not (tmp_path / "run").exists()


def test_the_weights_are_noted_and_no_others_are_taken(parent, begun):
    run, folder, said = begun
    assert said == [f"begins with {parent}: backbone, heads.0"]
    assert load_run(folder).config == run.config
    assert (run.config.model.init, run.config.model.init_sha256) == (str(parent), load_run(parent).sha256)
    with pytest.raises(TrainingError, match="holds other weights"):
        Pretraining(run.config.replaced(init_sha256="0" * 64), photos())
    # The same call returns at once.
    assert pretrain(tiny(epochs=1, init=str(parent)), folder, data=photos(), quiet=True).sha256 == run.sha256


def test_heads_of_the_run_that_find_no_place_are_named(parent):
    other = tiny(epochs=1, init=str(parent), head_hidden=16)
    assert Pretraining(other, photos()).begun == f"{parent}: backbone, without its heads.0"


def test_a_run_goes_on_without_the_weights_that_it_began_with(parent, begun, tmp_path, monkeypatch):
    shutil.copytree(parent, tmp_path / "parent")
    moved, said = tiny(epochs=1, init=str(tmp_path / "parent")), []
    step = Pretraining.step

    def interrupted(run):
        step(run)
        if run.progress.step == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Pretraining, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(moved, tmp_path / "cut", data=photos(), quiet=True)
    monkeypatch.setattr(Pretraining, "step", step)
    shutil.rmtree(tmp_path / "parent")
    cut = pretrain(moved, tmp_path / "cut", data=photos(), quiet=True, report=said.append)
    assert said == ["goes on from epoch 1, step 3"]
    assert cut.sha256 == begun[0].sha256


def test_configs_that_begin_at_random_are_written_as_before():
    written = json.dumps(PretrainConfig().to_dict())
    assert "init" not in written
    assert PretrainConfig.from_dict(json.loads(written)) == PretrainConfig()
    assert {"init", "init_sha256"} <= flat_fields().keys()
    with pytest.raises(ValueError, match="got no init"):
        PretrainConfig.of(init_sha256="0" * 64)
    with pytest.raises(TypeError, match="init must be"):
        PretrainConfig.of(init=3)


def test_a_finished_run_is_extended_in_a_folder_of_its_own(parent, tmp_path, capsys):
    before = {file.name: file.read_bytes() for file in parent.iterdir()}
    assert main([*COMMAND, "--epochs", "3", "--folder", str(parent)]) == 1
    said = capsys.readouterr().err
    assert f"eqmodels pretrain --extend {parent} --epochs 2" in said
    assert (
        main(["pretrain", "--extend", str(parent), "--epochs", "2", "--folder", str(tmp_path / "on"), "--quiet"]) == 0
    )
    longer = load_run(tmp_path / "on").config
    assert longer.differences(load_run(parent).config) == {
        "epochs": (2, 1),
        "init": (str(parent), None),
        "init_sha256": (load_run(parent).sha256, None),
    }
    assert {file.name: file.read_bytes() for file in parent.iterdir()} == before
    assert main(["pretrain", "--extend", str(parent), "--init", str(parent)]) == 2
    assert "--extend takes config and weights of a run; got --init too" in capsys.readouterr().err


def test_the_network_of_the_weights_is_pretrained_if_no_other_is_named(parent, tmp_path, capsys):
    options = ["--limit", "32", "--batch-size", "16", "--epochs", "1", "--head-hidden", "8", "--quiet"]
    assert main(["pretrain", "--init", str(parent), *options, "--folder", str(tmp_path / "run")]) == 0
    assert load_run(tmp_path / "run").name == "c4_resnet18s_w4"
    assert main(["pretrain", "--init", "nowhere", *options, "--folder", str(tmp_path / "none")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_run_that_goes_on_says_so_unless_it_is_to_be_quiet(tmp_path, monkeypatch, capsys):
    step = Pretraining.step

    def interrupted(run):
        step(run)
        signal.raise_signal(signal.SIGINT)

    command = [*COMMAND, "--epochs", "1", "--folder", str(tmp_path / "run")]
    monkeypatch.setattr(Pretraining, "step", interrupted)
    assert main(command) == 130
    assert main([*command, "--quiet"]) == 130
    monkeypatch.setattr(Pretraining, "step", step)
    assert "goes on from epoch" not in capsys.readouterr().err
    assert main(command) == 0
    assert f"{tmp_path / 'run'} goes on after its last epoch" in capsys.readouterr().err
