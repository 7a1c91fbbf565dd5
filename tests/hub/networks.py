"""Networks that learnt nothing, as folders of the zoo and as repositories, for the tests of the Hub."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load as parse

from eqmodels import Backbone, EqmodelsError
from eqmodels.evaluation import evaluate
from eqmodels.hub.publishing import publication_files
from eqmodels.storage import NetworkFolder
from eqmodels.training import Pretraining, Run, save_run
from eqmodels.training.origin import provenance
from tests.hub_storage import User
from tests.training.runs import photos, tiny

NAME, TWIN = "c4_resnet18s_w4.rot_photos", "resnet18s_w4.rot_photos"
REPOSITORY = "org/network"
TOKEN = "hf_secretOfTheWriter"
TOKENS = {TOKEN: User("org", write=True), "hf_reader": User("org"), "hf_other": User("other", write=True)}
PUBLISHING = import_module("eqmodels.hub.publishing")
NAMES = ["README.md", "config.json", "model.safetensors", "recipe.json", "results.json", "turns.png"]


@cache
def network(name: str = NAME, seed: int = 0) -> dict[str, bytes]:
    """The files of a folder of the zoo: a network that learnt nothing, measured on a few images."""
    data = photos()
    head = "equivariant" if name.startswith("c4") else "linear"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        training = Pretraining(tiny(model=name.partition(".")[0], head=head, data="photos", seed=seed), data)
        model = training.model.eval()
        for value in model.state_dict().values():
            if value.dim() == 1:  # scales, shifts and statistics as after a training: all differ
                value.uniform_(0.5, 1.5)
    row = {"epoch": 1, "loss": 1.25, "accuracy_rotation": 0.5}
    run = Run(training.config, model, training.preprocessing, [row], provenance(data, 90.0, 1, "float32"))
    with TemporaryDirectory() as place:
        folder = Path(place)
        save_run(folder, run)
        rewrite(folder / "config.json", lambda content: content["pretrained_cfg"].update(license="mit"))
        measured = evaluate(run, data, photos(24), fractions=(), curve_images=8, strengths=(1e-3,))
        (folder / "results.json").write_text(json.dumps({"evaluation": measured.to_dict()}))
        (folder / "recipe.json").write_text(json.dumps(training.config.to_dict()))
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def make_zoo(folder: Path, seed: int = 0) -> Path:
    """Writes the network and its twin into folders of their own, and returns that of the former."""
    for name, files in ((NAME, network(seed=seed)), (TWIN, network(TWIN))):
        write(folder / name, files)
    return folder / NAME


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return folder


@cache
def publication(seed: int = 0) -> dict[str, bytes]:
    """All files of the repository, as `publish` makes them."""
    with TemporaryDirectory() as place:
        return publication_files(make_zoo(Path(place), seed), REPOSITORY)


def prepare(monkeypatch) -> None:
    """What is checked and drawn before the Hub is asked anything is remembered, of the folders of `make_zoo`."""

    def remembered(folder: NetworkFolder, _: str) -> dict[str, bytes]:
        weights = folder.content("model.safetensors")
        return publication(0 if weights == network()["model.safetensors"] else 1)

    monkeypatch.setattr(PUBLISHING, "check_files", lambda _: None)
    monkeypatch.setattr(PUBLISHING, "verify", lambda _: SimpleNamespace(passed=True))
    monkeypatch.setattr(PUBLISHING, "publication_files", remembered)


def features(encoder: Backbone) -> torch.Tensor:
    """Of fixed images."""
    images = torch.rand(3, encoder.in_chans, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return encoder(images)


def assert_is_network(encoder: Backbone, seed: int = 0) -> None:
    """Asserts that the backbone is the published one, bit for bit, with its preprocessing."""
    expected = parse(network(seed=seed)["model.safetensors"])
    state = {f"backbone.{name}": value for name, value in encoder.state_dict().items() if "pose" not in name}
    assert state.keys() == {name for name in expected if name.startswith("backbone.")}
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    assert encoder.preprocessing.size == (12, 12)
    assert not encoder.training


def refuses(sentence, call, *arguments, error=EqmodelsError, **options):
    """Asserts that a call ends with one sentence that matches, and gives it."""
    with pytest.raises(error, match=sentence) as caught:
        call(*arguments, **options)
    words = str(caught.value)
    assert "\n" not in words
    assert words.isprintable()
    assert TOKEN not in words
    return words


def rewrite(file: Path, change) -> None:
    """Changes the JSON of a file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
