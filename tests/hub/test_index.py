"""A name of the index is fetched at its commit, and is what the index says, or nothing is loaded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module

import pytest

from eqmodels import create_model, load
from eqmodels.hub import ZooEntry, list_models, verify
from eqmodels.training import load_run, save_run
from tests.hub.networks import NAME, REPOSITORY, assert_is_network, refuses


@pytest.fixture
def indexed(published, monkeypatch):
    """A function that puts the published network into the index of an installation without a zoo."""

    def put(**changes):
        entry = replace(ZooEntry(**json.loads(published.out.splitlines()[-1])), **changes)
        monkeypatch.setattr("eqmodels.remote.locating.FOLDERS", ())
        for module in ("eqmodels.remote.locating", "eqmodels.hub.loading"):
            monkeypatch.setattr(import_module(module), "read_index", lambda: {NAME: entry})
        return entry

    return put


def test_a_name_of_the_index_is_fetched_at_its_commit(published, indexed, tmp_path):
    entry = indexed()
    assert list_models(pretrained=True) == [NAME]
    before = len(published.server.requests)
    assert_is_network(create_model(NAME, pretrained=True, cache_dir=tmp_path))
    after = len(published.server.requests)
    fetched = {call.path for call in published.server.requests[before:] if "/storage/" not in call.path}
    assert fetched == {f"/{REPOSITORY}/resolve/{entry.commit}/{name}" for name in ("config.json", "model.safetensors")}
    # The cache has it now, also under the name of its architecture.
    assert create_model("c4_resnet18s_w4", pretrained=True, cache_dir=tmp_path, num_classes=3).num_classes == 3
    assert len(published.server.requests) == after


def test_what_is_not_what_the_index_says_is_refused(published, indexed, tmp_path):
    for changes in ({"size": 5}, {"sha256": "0" * 64}):
        indexed(**changes)
        sentence = "is not the file of the zoo's index: 56788 bytes instead of .* Delete it, and load .* again"
        refuses(sentence, create_model, NAME, pretrained=True)
    indexed(config_sha256="0" * 64)
    refuses(r"config\.json is not the file of the zoo's index: .* Delete it, and load .* again", load, NAME)
    indexed(commit=None)
    refuses(f"^{NAME} is not on the Hub yet", load, NAME)
    indexed(commit="0" * 40)
    refuses("^org/network has no revision '0000000", load, NAME, cache_dir=tmp_path)
    indexed()
    assert_is_network(load(NAME, revision="main"))  # asked for, and so not that of the index


def test_a_config_with_another_mean_and_features_that_agree_is_refused(published, indexed, tmp_path, monkeypatch):
    """It is whole by every check of its own: the index alone knows better."""
    indexed()
    folder = shutil.copytree(published.folder, tmp_path / NAME)
    run = load_run(folder)
    run.preprocessing = replace(run.preprocessing, mean=(0.9,))
    save_run(folder, run)
    assert (folder / "model.safetensors").read_bytes() == (published.folder / "model.safetensors").read_bytes()
    assert load(folder).preprocessing.mean == (0.9,)  # a folder says of itself what it is
    monkeypatch.setattr("eqmodels.remote.locating.FOLDERS", (tmp_path,))
    refuses(r"config\.json is not the file of the zoo's index", load, NAME)
    report = verify(folder)
    assert report.passed
