"""A card tells the truth of the network, of what was measured and of what was not."""

from __future__ import annotations

import json
import re
import struct
from hashlib import sha256

import pytest
from huggingface_hub import ModelCard

from eqmodels import load
from eqmodels.hub.card import model_card
from tests.hub.networks import NAME, REPOSITORY, TWIN, assert_is_network, network, publication


@pytest.fixture(scope="module")
def card():
    return ModelCard(publication()["README.md"].decode())


def test_the_metadata_of_the_card_are_what_the_hub_reads(card):
    data, measured = card.data, json.loads(network()["results.json"])["evaluation"]
    assert {"eqmodels", "equivariant", "c4"} <= set(data.tags)
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "eqmodels", "image-feature-extraction")
    assert (data.model_name, data.datasets) == (NAME, ["photos"])
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    for kind in measured["features"]:
        for images, value in (("upright", kind["accuracy"]), ("turned", kind["turned"])):
            name = f"accuracy, {kind['features']} features, {images} images"
            assert found.pop(name, pytest.approx(value, abs=1e-4)) == pytest.approx(value, abs=1e-4)
    assert not found
    names = {result.metric_name for result in data.eval_results}
    for kind in ("canonical", "regular", "invariant-3"):
        assert {f"accuracy, {kind} features, {images} images" for images in ("upright", "turned")} <= names


def test_the_code_of_the_card_runs(card, published, monkeypatch):
    monkeypatch.chdir(published.place)
    (code,) = re.findall(r"```python\n(.*?)```", card.content, re.DOTALL)
    assert f'eqmodels.load("hub:{REPOSITORY}")' in code
    names: dict = {}
    exec(code, names)
    assert_is_network(names["encoder"])
    assert names["features"].shape == (2, int(re.search(r"# (\d+) features an image", code)[1]))
    for pooling in re.findall(r'global_pool="([\w+]+)"', card.content):
        assert_is_network(load(f"hub:{REPOSITORY}", global_pool=pooling, num_classes=0))


def test_the_card_names_the_error_of_every_element_and_the_figures_of_the_twin(card):
    own, other = (json.loads(network(name)["results.json"])["evaluation"] for name in (NAME, TWIN))
    assert list(own["equivariance_error"]) == ["90°", "180°", "270°"]
    for element, error in own["equivariance_error"].items():
        assert f"| {element} | {error:.1e} |" in card.content
        assert error < 1e-5
    for name, measured, kinds in ((NAME, own, ["canonical", "regular"]), (TWIN, other, ["regular", "orbit-mean"])):
        found = {kind["features"]: kind for kind in measured["features"]}
        for kind in kinds:
            upright, turned = (100 * found[kind][key] for key in ("accuracy", "turned"))
            row = rf"\| `{re.escape(name)}` \| {kind} \| 32 \| [\d,]+ \| {upright:.1f} \(.*\) \| {turned:.1f} \|"
            assert re.search(row, card.content)


def test_the_card_says_of_which_weights_it_is_and_shows_the_picture(card):
    assert sha256(network()["model.safetensors"]).hexdigest() in card.content
    assert "](turns.png)" in card.content
    picture = publication()["turns.png"]
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1200, 600)
    for word in ("Limits", "Training", "arXiv 2411.06508", "mit"):
        assert word.lower() in card.content.lower()


def test_the_card_of_the_twin_claims_nothing(folder):
    card = ModelCard(model_card(folder.with_name(TWIN), "org/twin"))
    assert "c1" in card.data.tags
    assert "exactly equivariant" not in card.content
    assert "nothing of it is equivariant" in card.content
    for element, error in json.loads(network(TWIN)["results.json"])["evaluation"]["equivariance_error"].items():
        assert f"| {element} | {error:.1e} |" in card.content
