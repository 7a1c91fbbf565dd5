"""No name that stands in a file imports what another distribution has, whichever registry it is of."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest
import torch

import eqmodels.cli.pretrain
from eqmodels import EqmodelsError, load
from eqmodels.adapt import symmetrise
from eqmodels.backbones import ORIGINS
from eqmodels.cli import main
from eqmodels.hub import load_pretrained, publish, verify
from eqmodels.objectives import Objective, Prediction, register_objective
from eqmodels.registry import Registry, _entry_points
from eqmodels.training import PretrainConfig, Pretraining, load_unfinished, pretrain
from eqmodels.transforms import create_augmentation
from tests.hub.networks import make_zoo
from tests.training.runs import photos, tiny

PLACES = {
    "backbone": [("model", "name", "c4_evil_w4")],
    "objective": [("objective", "name", "evil"), ("objective", "options", {})],
    "head": [("objective", "options", {"head": "evil"})],
    "task": [("objective", "options", {"task": "rotation+evil", "head": "mlp"})],
    "augmentation": [("objective", "options", {"augment": "evil"})],
    "source": [("data", "name", "evil")],
    "optimiser": [("optimisation", "optimiser", "evil")],
}
"""Where a config has a name of each registry: part, field and value."""


def registries() -> dict[str, Registry]:
    """Every registry of the package, by its kind."""
    modules = [module for name, module in sys.modules.items() if name.startswith("eqmodels")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Registry)]
    return {registry.kind: registry for registry in found}


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    """A distribution that announces the name ``evil`` in every registry."""
    place = tmp_path / "site"
    info = place / "evil_distribution-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil_distribution\nVersion: 1.0\n")
    groups = [f"[eqmodels.{registry.plural}]\nevil = evil_plugin\n" for registry in registries().values()]
    (info / "entry_points.txt").write_text("".join(groups))
    (place / "evil_plugin.py").write_text("")
    monkeypatch.syspath_prepend(str(place))
    _entry_points.cache_clear()
    yield
    sys.modules.pop("evil_plugin", None)
    _entry_points.cache_clear()


def with_name(kind: str, content: dict) -> dict:
    """A config as a file has it, with a name of the distribution's in it."""
    content = json.loads(json.dumps(content))
    for part, field, value in PLACES[kind]:
        old = content[part].get(field)
        content[part][field] = {**old, **value} if isinstance(value, dict) and value else value
    return content


def refused(call, *arguments):
    """What is said of it; nothing was imported."""
    with pytest.raises((EqmodelsError, ValueError)) as error:
        call(*arguments)
    assert "evil_plugin" not in sys.modules
    assert "evil_distribution" in str(error.value)
    assert "--import evil_plugin" in str(error.value)


def test_every_registry_is_tried():
    assert {*PLACES, "teacher", "resizing", "origin"} == set(registries())
    assert all("evil" in registry for registry in registries().values())


def test_a_teacher_of_a_recipe_is_asked_for_when_the_training_starts_and_imports_nothing(tmp_path, recipe, capsys):
    """No file that is loaded needs its teacher."""
    options = ["--epochs", "1", "--limit", "16", "--batch-size", "8", "--folder", str(tmp_path / "run"), "--to-rgb"]
    objective = {"name": "distil", "options": {"teacher": "evil", "view_size": 28}}
    recipe.write_text(json.dumps({"format": 2, "objective": objective}))
    assert main(["pretrain", "--recipe", str(recipe), "--model", "c4_resnet18s_w4", *options]) == 2
    assert "evil_distribution" in capsys.readouterr().err
    assert "evil_plugin" not in sys.modules
    assert not (tmp_path / "run").exists()


def test_a_rule_of_resizing_of_a_config_imports_nothing(tmp_path):
    folder = make_zoo(tmp_path)
    content = json.loads((folder / "config.json").read_text())
    content["preprocessing"]["resize"] = "evil"
    (folder / "config.json").write_text(json.dumps(content))
    refused(load, folder)
    refused(load_pretrained, folder)
    assert "evil_distribution" in verify(folder).first_failure


def test_a_source_of_an_adapted_network_imports_nothing(tmp_path):
    symmetrise(torch.nn.Conv2d(1, 2, 3), "c2", source=registered_source()).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["model_args"]["source"] = "evil"
    (tmp_path / "config.json").write_text(json.dumps(content))
    refused(load, tmp_path)
    assert "evil_distribution" in verify(tmp_path).first_failure
    assert "evil_plugin" not in sys.modules


def registered_source() -> str:
    ORIGINS.register("mine")(lambda _, in_chans: torch.nn.Conv2d(in_chans, 2, 3))
    return "mine"


@pytest.mark.parametrize("kind", PLACES)
def test_the_config_of_a_run_imports_nothing(kind, tmp_path):
    folder = make_zoo(tmp_path)
    content = json.loads((folder / "config.json").read_text())
    content["pretraining"] = with_name(kind, content["pretraining"])
    (folder / "config.json").write_text(json.dumps(content))
    refused(load_pretrained, folder)
    refused(publish, folder, "org/network")
    report = verify(folder)
    assert not report.passed
    assert "evil_distribution" in report.first_failure
    if kind == "backbone":
        refused(load, folder)
        content["architecture"] = "c4_evil_w4"
        (folder / "config.json").write_text(json.dumps(content))
        refused(load, folder)
    else:
        assert load(folder).group.name == "c4"
    assert "evil_plugin" not in sys.modules


@pytest.mark.parametrize("kind", PLACES)
def test_a_checkpoint_imports_nothing(kind, tmp_path):
    Pretraining(tiny(), photos()).save(tmp_path)
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    torch.save({**content, "config": with_name(kind, content["config"])}, file)
    refused(load_unfinished, file)
    refused(load_pretrained, tmp_path)


def test_an_option_that_names_no_registry_imports_nothing(tmp_path):
    """What an objective of somebody's own looks up where it is built is looked up because of the file, too."""

    @register_objective("plain")
    class Plain(Objective):
        def __init__(self, backbone, num_classes=0, *, augment: str = "none"):
            super().__init__()
            self.inner = Prediction(backbone, head_hidden=8)
            self.augmentation = create_augmentation(augment)

        def views(self, batch, randomness):
            return self.inner.views(batch, randomness)

        def loss(self, network, views):
            return self.inner.loss(network, views)

    config = PretrainConfig.of(objective="plain", model="c4_resnet18s_w4", batch_size=8, epochs=1)
    pretrain(config, tmp_path, data=photos(), quiet=True, device="cpu")
    file = tmp_path / "checkpoint.pt"
    content = torch.load(file, weights_only=True)
    torch.save({**content, "config": with_name("augmentation", content["config"])}, file)
    refused(load_unfinished, file)
    saved = json.loads((tmp_path / "config.json").read_text())
    saved["pretraining"] = with_name("augmentation", saved["pretraining"])
    (tmp_path / "config.json").write_text(json.dumps(saved))
    refused(load_pretrained, tmp_path)
    assert load(tmp_path).group.name == "c4"
    assert "evil_plugin" not in sys.modules


@pytest.fixture
def recipe(tmp_path) -> Path:
    return tmp_path / "recipe.json"


@pytest.mark.parametrize("kind", PLACES)
def test_a_recipe_imports_nothing(kind, tmp_path, recipe, capsys):
    recipe.write_text(json.dumps(with_name(kind, tiny().to_dict())))
    refused(PretrainConfig.from_dict, json.loads(recipe.read_text()))
    command = ["pretrain", "--recipe", str(recipe), "--folder", str(tmp_path / "run")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "evil_distribution" in said
    assert said.count("\n") == 1
    with contextlib.suppress(SystemExit):  # of the help; it is refused where options depend on the name
        main([*command, "--help"])
    assert "evil_plugin" not in sys.modules
    assert not (tmp_path / "run").exists()


def test_what_is_looked_up_in_the_run_of_a_recipe_imports_nothing(tmp_path, recipe, monkeypatch, capsys):
    """Also where only the objective itself knows that an option is a name."""
    recipe.write_text(json.dumps(tiny().to_dict()))
    monkeypatch.setattr(eqmodels.cli.pretrain, "pretrain", lambda *_, **__: create_augmentation("evil"))
    assert main(["pretrain", "--recipe", str(recipe), "--folder", str(tmp_path / "run")]) == 2
    assert "evil_distribution" in capsys.readouterr().err
    assert "evil_plugin" not in sys.modules


TYPED = {
    "backbone": ["--model", "c4_evil_w4"],
    "objective": ["--objective", "evil"],
    "head": ["--head", "evil"],
    "task": ["--task", "rotation+evil", "--head", "mlp"],
    "augmentation": ["--augment", "evil"],
    "source": ["--data", "evil"],
    "optimiser": ["--optimiser", "evil"],
}


@pytest.mark.parametrize("with_recipe", [False, True])
@pytest.mark.parametrize("kind", PLACES)
def test_a_name_that_is_typed_may_import(kind, with_recipe, tmp_path, recipe, capsys):
    recipe.write_text(json.dumps(tiny().to_dict()))
    typed = [*(["--recipe", str(recipe)] if with_recipe else []), *TYPED[kind]]
    assert main(["pretrain", *typed, "--folder", str(tmp_path / "run")]) == 2
    assert "its module evil_plugin registers none of this name" in capsys.readouterr().err
    assert "evil_plugin" in sys.modules
