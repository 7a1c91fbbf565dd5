"""An adapted network is published as a run is: measured, with a card that says what it was made of."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from eqmodels import load
from eqmodels.adapt import symmetrise
from eqmodels.cli import main
from eqmodels.hub import publish
from eqmodels.storage import StorageError

SOURCE = "timm:test_resnet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An adapted network, measured by the command line on a few pictures."""
    place = tmp_path_factory.mktemp("adapted")
    symmetrise(SOURCE, "c4", weights="random", size=32).save_pretrained(place / "net")
    for number in range(24):
        file = place / "images" / ("train", "test")[number % 2] / f"class{number % 3}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((32, 32), 10 + 40 * (number % 3)).convert("RGB").save(file)
    options = ["--data", "image_folder", "--root", str(place / "images"), "--limit", "12", "--kind", "invariant"]
    assert main(["evaluate", str(place / "net"), *options, "--quiet"]) == 0
    return place / "net"


def test_without_a_licence_it_is_refused(folder):
    with pytest.raises(StorageError, match=r"does not say under which licence the weights are\. Pass license_name"):
        publish(folder, "org/net", dry_run=True)


def test_the_card_says_what_it_was_made_of_and_the_entry_too(folder, tmp_path):
    page = tmp_path / "preview.html"
    found = publish(folder, "org/net", dry_run=True, license_name="apache-2.0", preview=page)
    assert (found.entry.task, found.entry.data, found.entry.group) == ("symmetrised", SOURCE, "c4")
    assert found.entry.license == "apache-2.0"
    assert "recipe.json" not in found.files
    words = page.read_text()
    sha256 = load(folder).structure["original"]["sha256"]
    for part in (sha256, "exactly equivariant under C4", SOURCE, "without any training of its own", "arXiv 2210.06475"):
        assert part in words
    assert "epochs over" not in words


def test_what_was_measured_belongs_to_these_weights(folder):
    content = json.loads((folder / "results.json").read_text())
    assert len(content["sha256"]) == 64
    assert max(content["equivariance_error"].values()) < 1e-5
    assert load(folder).group.name == "c4"
