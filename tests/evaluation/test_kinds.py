"""The kinds of features: half of the fibres, and what a network without a group can do about turned images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels.data import load_data
from eqmodels.evaluation import evaluate, pool_features
from eqmodels.evaluation.kinds import (
    CONTROLS,
    ORBIT_MEAN,
    TURNED_BACK,
    TURNED_PROBE,
    MovedFeatures,
    feature_kind,
    kinds_of,
)
from eqmodels.hub import load_pretrained
from eqmodels.training import PretrainConfig, Run, untrained


def network(**values) -> Run:
    config = PretrainConfig.of(**{"model": "resnet18s_w4", "head": "linear", "batch_size": 8} | values)
    return untrained(config, load_data("fashion_mnist_mini").at_most(20))


@pytest.fixture
def moved() -> MovedFeatures:
    """Features whose first four say by how many quarters the image is turned, the others what is in it."""

    def features(images: int, degrees: int) -> torch.Tensor:
        turn = torch.eye(4)[degrees // 90].expand(images, 4)
        content = torch.rand(images, 28, generator=torch.Generator().manual_seed(images)) + degrees
        return torch.cat([turn, content], 1)

    return MovedFeatures(
        {g: features(6, 90 * g) for g in range(4)},
        {g: features(5, 90 * g) for g in range(4)},
        {angle: features(3, angle) for angle in range(0, 360, 30)},
    )


@pytest.fixture
def run() -> Run:
    """A network whose head reads the turn off the first four of its 32 features."""
    run = network()
    run.heads[0] = nn.Linear(32, 4, bias=False)
    with torch.no_grad():
        run.heads[0].weight.copy_(torch.eye(32)[:4])
    return run


def test_images_that_the_head_turns_back_rightly_have_the_features_of_upright_ones(run, moved):
    kind = feature_kind(run, TURNED_BACK, moved)
    assert torch.equal(kind.train, moved.train[0])
    for g in range(4):
        assert torch.equal(kind.test[g], moved.test[0])
    # Between the quarters, what is left of the angle stays.
    for angle in moved.curve:
        assert torch.equal(kind.curve[angle], moved.curve[angle % 90])


def test_a_head_that_errs_turns_wrongly(run, moved):
    with torch.no_grad():
        run.heads[0].weight.copy_(torch.eye(32)[[3, 0, 1, 2]])  # it says one quarter too many
    kind = feature_kind(run, TURNED_BACK, moved)
    assert torch.equal(kind.train, moved.train[3])
    assert all(torch.equal(kind.test[g], moved.test[3]) for g in range(4))
    assert torch.equal(kind.curve[30], moved.curve[300])


def test_the_mean_over_the_orbit_and_the_turned_probe(run, moved):
    mean, probe = (feature_kind(run, name, moved) for name in (ORBIT_MEAN, TURNED_PROBE))
    torch.testing.assert_close(mean.test[1], sum(moved.test.values()) / 4)
    torch.testing.assert_close(mean.curve[30], sum(moved.curve[angle] for angle in (30, 120, 210, 300)) / 4)
    torch.testing.assert_close(mean.curve[30], mean.curve[300])
    assert probe.copies == 4
    assert torch.equal(probe.train[6:12], moved.train[1])
    assert probe.test == moved.test


def test_what_a_network_has():
    assert kinds_of(network()) == ("regular", *CONTROLS)
    without = network(task="vertical_flip", augment="none")
    assert TURNED_BACK not in kinds_of(without)
    assert set(kinds_of(network(model="c4_resnet18s_w4"))).isdisjoint(CONTROLS)


def test_a_trained_network_without_a_group_can_turn_images_back():
    run = load_pretrained("resnet18s_w16.rot_fmnist_simclr")
    train, test = (load_data("fashion_mnist_mini", split).at_most(300) for split in ("train", "test"))
    kinds = ("regular", TURNED_BACK)
    scores = evaluate(run, train, test, features=kinds, knn=False, fractions=(), curve_images=100, strengths=(0.01,))
    regular, back = (scores.of(name) for name in kinds)
    assert regular.turned < 0.4
    assert back.turned > 0.7
    for angle in range(90):
        if str(angle) in back.angles:
            curve = [back.angles[str(angle + quarter)] for quarter in (0, 90, 180, 270)]
            assert max(curve) - min(curve) < 0.15


def test_half_of_the_fibres_are_whole_fibres():
    run = network(model="c4_resnet18s_w8")
    group = run.model.backbone.group
    regular = torch.rand(3, 64)
    half = pool_features(run, regular, "regular-half")
    assert half.shape == (3, 32)
    for g in group.elements:
        moved = pool_features(run, group.permute_fibre(g, regular), "regular-half")
        assert torch.equal(moved, group.permute_fibre(g, half))
