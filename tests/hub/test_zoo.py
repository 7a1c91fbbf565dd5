"""The zoo: what is in it loads, is what it says, and gives features that do not care how the image is turned."""

from __future__ import annotations

import json

import pytest
import torch

from eqmodels import create_model
from eqmodels.data import clouds_of, in_random_poses, load_data
from eqmodels.evaluation import assert_equivariant, fit_linear_probe
from eqmodels.hub import entry_of, list_pretrained, load_pretrained
from eqmodels.remote import read_index
from eqmodels.remote.locating import FOLDERS
from eqmodels.training import PretrainConfig

NAMES = list_pretrained()
OF_POINTS = [name for name in NAMES if name.endswith(".frame_kicad")]
UP_AT_MOST = {"so3_vectors_small.frame_kicad": (25, 15), "so3_points_small.frame_kicad": (30, 15)}
"""Degrees that up is off in the median: of the embedded parts for testing, and of those that its results are of."""
EQUIVARIANT = [name for name in NAMES if name.startswith(("c4", "d4"))]


def test_the_twins_of_the_demo_are_there():
    assert {"c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_have_their_recipe_log_and_results(name):
    folder = FOLDERS[0] / name
    run = load_pretrained(name)
    assert (folder / "model.safetensors").stat().st_size < 12e6
    assert PretrainConfig.from_dict(json.loads((folder / "recipe.json").read_text())) == run.config
    results = json.loads((folder / "results.json").read_text())
    assert results.get("evaluation", results)["sha256"] == run.sha256
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + run.config.optimisation.epochs == 1 + len(run.log)


def test_every_network_says_under_which_licence_its_images_are():
    found = {name: entry.data_license for name, entry in read_index().items()}
    assert set(found) == set(NAMES)
    of_parts = "CC-BY-SA-4.0 AND GPL-3.0-or-later"
    assert set(found.values()) == {"MIT", "CC-PDDC", "CC-PDDC AND GPL-2.0-or-later", of_parts}


def test_every_network_says_which_images_taught_it_and_what_its_metrics_are_of():
    entries = read_index()
    assert {entry.data for entry in entries.values()} == {
        "fashion_mnist", "openclipart", "kicad_parts", "clip art on white, colours and photographs",
    }  # fmt: skip
    of_turns, of_teacher = (f"c4_resnet18{rest}" for rest in ("s_w32.rot_openclipart", "_w32.distil_lite0"))
    assert "of 5,321 images of openclipart, 1,068 to test on, by a network of 64x64" in entries[of_turns].measured
    assert "of 2,500 images of openclipart, 1,068 to test on, by a network of 96x96" in entries[of_teacher].measured
    assert all(", 512 points each" in entries[name].measured for name in OF_POINTS)
    folders = {name: entry_of(FOLDERS[0] / name, entry.repository, entry.commit) for name, entry in entries.items()}
    assert folders == entries


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_trained_weights_are_exactly_equivariant(name):
    run = load_pretrained(name)
    assert_equivariant(run.model.backbone, size=28, tolerance=1e-10, randomised=False)


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_features_of_real_images_do_not_change_when_they_are_turned(name):
    run = load_pretrained(name)
    images = run.preprocessing.normalise(load_data("fashion_mnist_mini", "test").pixels(slice(0, 3)).double())
    for pooling in ("invariant", "canonical", "canonical-soft", "weighted"):
        encoder = run.encoder(pooling).double()
        with torch.no_grad():
            features = encoder(images)
            for g in encoder.group.exact_elements:
                torch.testing.assert_close(encoder(encoder.group.act(g, images)), features, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name.startswith("c4") else pytest.mark.slow)
        for name in EQUIVARIANT
        if "fmnist" in name
    ],
)
def test_the_head_finds_upright(name):
    run = load_pretrained(name)
    images = run.preprocessing.normalise(load_data("fashion_mnist_mini", "test").pixels(slice(0, 500)))
    with torch.no_grad():
        (head,) = run.heads
        logits = head(run.backbone.regular_features(images))
    assert (logits.argmax(1) == 0).float().mean() > 0.9


def test_the_network_of_photographs_knows_classes_that_nobody_taught_it():
    run = load_pretrained("c4_resnet18_w32.distil_lite0")
    assert run.objective.features is run.objective.logits is None  # what only predicts the teacher is not in the file
    encoder, transform = run.encoder("canonical"), run.preprocessing.transform()
    train, test = (load_data("openclipart_mini", split) for split in ("train", "test"))
    train, test = (data.subset(range(0, len(data), 4)) for data in (train, test))
    with torch.no_grad():
        features, turned = encoder(transform(train.images)), encoder(transform(test.images.rot90(1, (2, 3))))
    probe = fit_linear_probe(features, train.labels, num_classes=16, strengths=(0.1,))
    pixels = train.pixels().unflatten(3, (16, 4)).mean(4).unflatten(2, (16, 4)).mean(3).flatten(1)
    raw = fit_linear_probe(pixels, train.labels, num_classes=16, strengths=(0.1,))
    upright = test.pixels().unflatten(3, (16, 4)).mean(4).unflatten(2, (16, 4)).mean(3).flatten(1)
    assert probe.accuracy(turned, test.labels) > raw.accuracy(upright, test.labels) + 0.05


@pytest.mark.parametrize("name", OF_POINTS)
def test_a_network_of_parts_turns_with_them_and_says_which_way_up_they_are(name):
    run = load_pretrained(name)
    assert_equivariant(run.encoder("regular"), size=32, tolerance=1e-10, randomised=False)
    parts = load_data("kicad_parts_mini", "test")
    poses = in_random_poses(parts, seed=1)
    encoder = create_model(name, pretrained=True, num_classes=0, global_pool="canonical")
    with torch.no_grad():
        turned, upright = (clouds_of(one.pixels(slice(None))) for one in (poses, parts))
        up = encoder.frames(turned).matrices[:, :, 2]
        features = encoder(turned[:24])
        torch.testing.assert_close(features, encoder(upright[:24]), rtol=0, atol=1e-3 * float(features.abs().max()))
    degrees = torch.rad2deg((up * poses.rotations[:, :, 2]).sum(1).clamp(-1, 1).acos())
    assert degrees.median() < UP_AT_MOST[name][0]
    measured = json.loads((FOLDERS[0] / name / "results.json").read_text())
    assert measured["up"] < UP_AT_MOST[name][1]
    assert measured["points"] == 512


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(ValueError, match=r"nearest names are .*c4_resnet18s_w16\.rot_fmnist_simclr"):
        load_pretrained("c4_resnet18s_w16.rot_fmnist")


def test_a_run_without_an_equivariant_head_has_no_canonical_features():
    with pytest.raises(ValueError, match=r"predicts the pose|predicted pose"):
        load_pretrained("resnet18s_w16.rot_fmnist_simclr").encoder("canonical")
