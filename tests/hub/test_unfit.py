"""What is not fit to be published is refused before the Hub is asked anything."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from eqmodels import load
from eqmodels.hub import publish
from eqmodels.hub.publishing import publication_files
from tests.hub.networks import REPOSITORY, TWIN, make_zoo, network, refuses, rewrite

UNFIT = {
    "without results": (
        lambda folder: (folder / "results.json").unlink(),
        r"results.json holds no results \(No such file or directory\). Measure the network first: eqmodels evaluate",
    ),
    "with results of other weights": (
        lambda folder: (folder / "results.json").write_bytes(network(seed=1)["results.json"]),
        "results.json belongs to other weights: those of sha256 ",
    ),
    "with results of a twin's other weights": (
        lambda folder: (folder.with_name(TWIN) / "results.json").write_bytes(network()["results.json"]),
        f"{TWIN}/results.json belongs to other weights",
    ),
    "with results that are none": (
        lambda folder: (folder / "results.json").write_text("[" * 100_000),
        "results.json holds no results",
    ),
    "with results that lack something": (
        lambda folder: rewrite(folder / "results.json", lambda content: content["evaluation"].pop("tasks")),
        "results.json holds no results",
    ),
    "with results without a task": (
        lambda folder: rewrite(folder / "results.json", lambda content: content["evaluation"].update(tasks=[])),
        "^no card can be made of .* lack something",
    ),
    "without a license": (
        lambda folder: rewrite(folder / "config.json", lambda content: content["pretrained_cfg"].pop("license")),
        "does not say under which licence the weights are. Pass license_name",
    ),
    "without its data": (
        lambda folder: rewrite(folder / "config.json", lambda content: content["provenance"].pop("data")),
        "^no card can be made of .* lack something",
    ),
    "with other weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(network(seed=1)["model.safetensors"]),
        "is not fit to be published: weights: .*is damaged or of another network: its sha256",
    ),
    "without weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "is not fit to be published: files: .* has no model.safetensors",
    ),
    "without a config": (
        lambda folder: (folder / "config.json").unlink(),
        "is not fit to be published: files: .* has no config.json",
    ),
}


def test_results_may_be_those_of_the_command_evaluate_and_the_recipe_is_made_of_the_config(tmp_path):
    folder = make_zoo(tmp_path)
    before = publication_files(folder, "org/net")
    rewrite(folder / "results.json", lambda content: content.update(content.pop("evaluation")))
    (folder / "recipe.json").unlink()
    after = publication_files(folder, "org/net")
    assert json.loads(after["recipe.json"]) == json.loads(before["recipe.json"])
    assert after["README.md"] == before["README.md"]


@pytest.mark.parametrize("fault", UNFIT)
def test_a_folder_that_is_not_fit_is_refused_before_the_hub_is_asked(folder, server, api, fault):
    spoil, sentence = UNFIT[fault]
    spoil(folder)
    words = refuses(sentence, publish, folder, REPOSITORY)
    assert str(folder.parent) in words
    assert server.requests == []
    assert server.repositories == {}


def test_an_encoder_without_its_pretraining_has_no_card(folder, server, api):
    load(folder, num_classes=2).save_pretrained(folder)
    digest = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    rewrite(folder / "results.json", lambda content: content["evaluation"].update(sha256=digest))
    refuses("does not say how the network was pretrained", publish, folder, REPOSITORY)
    assert server.requests == []


@pytest.mark.parametrize(
    "name", ["network", "a/b/c", "org/..", "../network", "org/net work", "org/network\n", "", "o/" * 60]
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_name_that_the_hub_would_refuse_is_refused_first(folder, server, api, name, dry_run):
    sentence = "^a repository of the Hub is named organisation/name; got "
    refuses(sentence, publish, folder, name, dry_run=dry_run, error=ValueError)
    assert server.requests == []
