"""The kinds of features: half of the fibres, and what a network without a group can do about turned images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels.data import load_data
from eqmodels.evaluation import evaluate, pool_features
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.kinds import CONTROLS, ORBIT_MEAN, TURNED_BACK, TURNED_PROBE, feature_kind, kinds_of
from eqmodels.evaluation.orbits import QUARTERS, UPRIGHT, Motion, View
from eqmodels.hub import load_pretrained
from eqmodels.training import PretrainConfig, Run, untrained

CURVE = tuple(View(Motion.by_degrees(degrees), circular=True) for degrees in range(0, 360, 30))


def network(**values) -> Run:
    config = PretrainConfig.of(**{"model": "resnet18s_w8", "head": "linear", "batch_size": 8} | values)
    return untrained(config, load_data("fashion_mnist_mini").at_most(20))


@pytest.fixture
def copies() -> dict[View, torch.Tensor]:
    """Features whose first four say by how many quarters the image is turned, the others what is in it."""

    def features(view: View) -> torch.Tensor:
        turn = torch.eye(4)[int(view.motion.degrees) // 90].expand(6, 4)
        content = torch.rand(6, 28, generator=torch.Generator().manual_seed(6)) + view.motion.degrees + view.circular
        return torch.cat([turn, content], 1)

    return {view: features(view) for view in (*QUARTERS, *CURVE)}


@pytest.fixture
def run() -> Run:
    """A network whose head reads the turn off the first four of its 32 features."""
    run = network()
    run.heads[0] = nn.Linear(32, 4, bias=False)
    with torch.no_grad():
        run.heads[0].weight.copy_(torch.eye(32)[:4])
    return run


def test_images_that_the_head_turns_back_rightly_have_the_features_of_upright_ones(run, copies):
    kind = feature_kind(Subject.of(run), TURNED_BACK)
    assert torch.equal(kind.train(copies, UPRIGHT), copies[UPRIGHT])
    for view in QUARTERS:
        assert torch.equal(kind.of(copies, view), copies[UPRIGHT])
    # Between the quarters, what is left of the angle stays.
    for view in CURVE:
        rest = View(Motion.by_degrees(int(view.motion.degrees) % 90), circular=True)
        assert torch.equal(kind.of(copies, view), copies[rest])


def test_a_head_that_errs_turns_wrongly(run, copies):
    with torch.no_grad():
        run.heads[0].weight.copy_(torch.eye(32)[[3, 0, 1, 2]])  # it says one quarter too many
    kind = feature_kind(Subject.of(run), TURNED_BACK)
    assert torch.equal(kind.train(copies, UPRIGHT), copies[QUARTERS[3]])
    assert all(torch.equal(kind.of(copies, view), copies[QUARTERS[3]]) for view in QUARTERS)
    assert torch.equal(kind.of(copies, CURVE[1]), copies[CURVE[10]])


def test_the_mean_over_the_orbit_and_the_turned_probe(run, copies):
    mean, probe = (feature_kind(Subject.of(run), name) for name in (ORBIT_MEAN, TURNED_PROBE))
    torch.testing.assert_close(mean.of(copies, QUARTERS[1]), sum(copies[view] for view in QUARTERS) / 4)
    torch.testing.assert_close(mean.of(copies, CURVE[1]), sum(copies[CURVE[number]] for number in (1, 4, 7, 10)) / 4)
    # Bit for bit the same for all four turns of an image.
    assert torch.equal(mean.of(copies, CURVE[1]), mean.of(copies, CURVE[10]))
    assert probe.copies == 4
    assert torch.equal(probe.train(copies, UPRIGHT)[6:12], copies[QUARTERS[1]])
    assert all(torch.equal(probe.of(copies, view), copies[view]) for view in (*QUARTERS, *CURVE))


def test_what_a_network_has():
    assert kinds_of(network()) == ("regular", *CONTROLS)
    without = network(task="vertical_flip", augment="none")
    assert TURNED_BACK not in kinds_of(without)
    assert set(kinds_of(network(model="c4_resnet18s_w4"))).isdisjoint(CONTROLS)


@pytest.mark.slow  # the same kind of features of tiny networks is measured each time
def test_a_trained_network_without_a_group_can_turn_images_back():
    run = load_pretrained("resnet18s_w16.rot_fmnist_simclr")
    train, test = (
        load_data("fashion_mnist_mini", split).at_most(count) for split, count in (("train", 300), ("test", 100))
    )
    kinds = ("regular", TURNED_BACK)
    scores = evaluate(run, train, test, kinds=kinds, knn=False, fractions=(), curve_images=60, strengths=(0.01,))
    regular, back = (scores.of(name) for name in kinds)
    assert regular.turned < 0.4
    assert back.turned > 0.7
    curve = dict(back.curve)
    for angle in range(0, 90, 15):
        quarters = [curve[angle + quarter] for quarter in (0, 90, 180, 270)]
        assert max(quarters) - min(quarters) < 0.15


def test_half_of_the_fibres_are_whole_fibres():
    run = network(model="c4_resnet18s_w8")
    group = run.backbone.group
    regular = torch.rand(3, 64)
    half = pool_features(run, regular, "regular-half")
    assert half.shape == (3, 32)
    for g in group.elements:
        moved = pool_features(run, group.permute_fibre(g, regular), "regular-half")
        assert torch.equal(moved, group.permute_fibre(g, half))
