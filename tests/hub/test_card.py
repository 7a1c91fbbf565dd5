"""A card tells the truth of the network, of what was measured and of what was not."""

from __future__ import annotations

import json
import re
import shutil
import struct
from hashlib import sha256

import pytest
from huggingface_hub import ModelCard

from eqmodels import load
from eqmodels.groups import PlanarGroup
from eqmodels.hub.card import NOTES, exact_moves, model_card, twin_of
from eqmodels.hub.entries import entry_of
from eqmodels.hub.publishing import publication_files
from eqmodels.storage import StorageError
from eqmodels.training import PretrainConfig
from tests.hub.networks import NAME, REPOSITORY, TWIN, assert_is_network, network, publication, rewrite, write


@pytest.fixture(scope="module")
def card():
    return ModelCard(publication()["README.md"].decode())


def test_the_metadata_of_the_card_are_what_the_hub_reads(card):
    data, measured = card.data, json.loads(network()["results.json"])["evaluation"]
    assert {"eqmodels", "equivariant", "c4"} <= set(data.tags)
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "eqmodels", "image-feature-extraction")
    assert (data.model_name, data.datasets) == (NAME, ["photos"])
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    for kind in measured["kinds"]:
        for images, value in (("upright", kind["accuracy"]), ("turned", kind["turned"])):
            name = f"accuracy, {kind['kind']} features, {images} images"
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
        found = {kind["kind"]: kind for kind in measured["kinds"]}
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


# What is said of equivariance, of the probes, of the twin and of the installation.


@pytest.mark.parametrize(
    ("group", "moves"),
    [
        ("c2", "half turns"),
        ("c3", ""),
        ("c4", "quarter turns"),
        ("c6", "half turns"),
        ("c8", "quarter turns"),
        ("d1", "left-right flips"),
        ("d2", "half turns and flips along both axes"),
        ("d3", "left-right flips"),
        ("d4", "quarter turns and flips along both axes and both diagonals"),
        ("d8", "quarter turns and flips along both axes and both diagonals"),
    ],
)
def test_the_moves_that_are_exact_are_named(group, moves):
    assert exact_moves(PlanarGroup.parse(group)) == moves


@pytest.mark.parametrize(
    ("name", "summary", "limit"),
    [
        (NAME, "that is exactly equivariant under C4, pre", "Exact, at every image size, are quarter turns; turns"),
        (
            "c8_resnet18s_w8.rot_photos",
            "that is equivariant under C8, exactly for quarter turns and approximately for the rest of the group, pre",
            "Exact, at every image size, are quarter turns; turns between them are not",
        ),
        (
            "c3_resnet18s_w6.rot_photos",
            "that is approximately equivariant under C3, which has no element but the identity that permutes pixels",
            "No turn is exact (see the picture).",
        ),
        (
            "d2_resnet18s_w4.rot_photos",
            "that is exactly equivariant under D2, pre",
            "Exact, at every image size, are half turns and flips along both axes; turns between them are not",
        ),
    ],
)
def test_exactness_is_claimed_of_exact_elements_alone(tmp_path, name, summary, limit):
    words = " ".join(model_card(write(tmp_path / name, network(name)), "org/net").split())
    assert summary in words
    assert limit in words
    assert words.count("exactly equivariant") == ("that is exactly" in summary)
    assert ("quarter turns that the group does not have are a control" in words) == (name[:2] in ("c3", "d2"))
    assert ("seen through a circle if so is the image" in words) == (name[:2] in ("c3", "c8"))


def test_a_probe_that_saw_turned_images_is_not_said_to_have_seen_upright_ones(card, folder):
    sentence = '"regular, turned probe" was fitted on these images in all four quarter turns.'
    assert sentence in card.content
    shutil.rmtree(folder.with_name(TWIN))
    assert "turned probe" not in model_card(folder, REPOSITORY)


def retrained(folder, **change):
    """The config of the folder says that values of its recipe are others."""

    def changed(content):
        content["pretraining"] = PretrainConfig.of(content["pretraining"], **change).to_dict()

    rewrite(folder / "config.json", changed)


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({}, True),
        ({"seed": 7, "head": "mlp", "head_hidden": 64, "turn": "always", "channels_last": False}, True),
        ({"task": "horizontal_flip", "augment": "none"}, False),
        ({"epochs": 100}, False),
        ({"data": "fashion_mnist"}, False),
        ({"limit": 10}, False),
    ],
)
def test_a_twin_is_pretrained_alike(folder, change, alike):
    twin = folder.with_name(TWIN)
    retrained(twin, **change)
    found = twin_of(folder)
    assert (None if found is None else found.path) == (twin if alike else None)
    assert twin_of(twin) is None


def test_a_twin_of_another_recipe_or_architecture_is_not_compared(folder):
    twin = folder.with_name(TWIN)
    retrained(twin, epochs=100)
    assert "Its ResNet twin was not measured" in model_card(folder, REPOSITORY)
    write(twin, network())
    assert twin_of(folder) is None


def test_the_card_promises_what_is_so(card):
    words = " ".join(card.content.split())
    assert "pip install eqmodels" not in words
    assert "installed from a checkout of its repository, `pip install .`" in words
    assert (
        "on the same machine, with as many threads and the same version of PyTorch, `eqmodels pretrain` with these "
        "values gives the same weights" in words
    )


def test_images_of_ones_own_are_called_as_the_notes_say(folder):
    """In index and card; they are no data set that others could find by that name."""
    assert "epochs over\n40 images of `photos`" in model_card(folder, REPOSITORY)
    (folder / NOTES).write_text("Taught by hats.\n\nTraining images: `hats, of my own`.\n")
    entry = entry_of(folder, REPOSITORY, None)
    assert entry.data == "hats, of my own"
    assert entry.measured == "linear probes of 40 images of photos, 24 to test on, by a network of 12x12 pixels"
    card = ModelCard(model_card(folder, REPOSITORY))
    assert card.data.datasets is None
    assert "epochs over\n40 images of `hats, of my own`" in card.content


def test_what_the_owner_says_of_the_training_images_is_in_the_card(folder):
    (folder / NOTES).write_text("Taught by *pictures of hats*.\n")
    body = model_card(folder, REPOSITORY)
    training = body.split("## Training")[1]
    assert "\n\nTaught by *pictures of hats*.\n\nThe weights are licensed" in training
    assert "3 epochs over" in training
    assert "It took\n2 minutes on" in training
    assert "what it was taught by stands under Training. Exact, at every image size, are quarter turns" in body
    assert publication_files(folder, REPOSITORY)["README.md"] == body.encode()
    rewrite(folder / "config.json", lambda content: content["provenance"].update(seconds=17.4))
    assert "It took\n17 seconds on" in model_card(folder, REPOSITORY)
    (folder / NOTES).write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"NOTES\.md cannot be read .*Write plain text"):
        model_card(folder, REPOSITORY)
