"""The comparison of ways to adapt a network: cached answers are those of the encoders, tables those of the files."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from benchmarks._sections import read_section
from benchmarks.adapt import tables
from benchmarks.adapt.measure import Row, measured, summary
from benchmarks.adapt.seen import ANGLES, IN_A_CIRCLE, MIRRORED, TURNED, TURNS, Seen, seen_by
from benchmarks.adapt.training import moved_at_random
from benchmarks.adapt.ways import WAYS, Way, base
from eqmodels import PlanarGroup
from eqmodels.adapt import canonicalise, symmetrise
from eqmodels.data import LabelledImages
from eqmodels.evaluation.orbits import UPRIGHT, Motion, View

SIDE = 12
VIEWS = (UPRIGHT, TURNED[0], MIRRORED, View(Motion(Fraction(3, 16)), circular=True))


@pytest.fixture
def seen(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten())
    scores = torch.nn.Linear(45, 3)
    data = LabelledImages(
        "x", torch.randint(256, (6, 3, SIDE, SIDE), dtype=torch.uint8), torch.arange(6) % 2, ("a", "b")
    )

    def answers(pixels):
        features = network(pixels)
        return features, scores(features)

    return Seen(data, tmp_path, answers)


@pytest.mark.parametrize("name", ["c4", "d4"])
def test_cached_answers_are_those_of_adapted_networks(seen, name):
    group, pixels = PlanarGroup.parse(name), seen.data.pixels(slice(None))
    options = {"in_chans": 3, "size": SIDE}
    regular = symmetrise(lambda images: seen.network(images)[0], group, output="regular", **options)
    sure = canonicalise(lambda images: seen.network(images)[1], "energy", group=group, **options)
    for view in VIEWS:
        images = view.of(pixels)
        torch.testing.assert_close(seen.orbit(view, group).flatten(1), regular(images))
        weights = sure.canonical.weights(seen.energies(view, group))
        scores = [seen.network(group.act(group.inverse(g), images))[1] for g in group.elements]
        torch.testing.assert_close(torch.einsum("bg,gbf->bf", weights, torch.stack(scores)), sure(images))


def test_the_section_of_the_document_is_that_of_the_committed_results():
    assert read_section(tables.DOCUMENT, "adapt") == tables.section()


def test_a_row_takes_the_time_of_what_it_costs():
    times = {"base": "1.00", "symmetrised, c4": "4.1", "distilled, c4": "2.0", "distilled, c4, exported": "1.1"}
    rows = ("base, fine-tuned, probe", "symmetrised, c4, mean", "c4_resnet18_w32 from scratch, probe", "other")
    assert [tables.time_of(row, times) for row in rows] == ["1.00", "4.1", "2.0", "-"]


def test_a_view_is_asked_for_once(seen):
    known = seen.features(ANGLES[3])
    again = Seen(seen.data, seen.folder, lambda pixels: pytest.fail("asked again"))
    assert torch.equal(again.features(ANGLES[3]), known)
    assert seen_by(ANGLES[4], PlanarGroup.parse("c4"), 1) == IN_A_CIRCLE


def test_pictures_are_moved_at_random_and_no_corner_tells_the_angle():
    pixels = torch.ones(40, 1, SIDE, SIDE)
    moved = moved_at_random(pixels, torch.Generator().manual_seed(0))
    whole = moved.flatten(1).all(1)
    assert 0 < whole.sum() < 40, "quarter turns are whole, others in a circle"
    assert not moved[~whole][:, 0, 0, 0].any()
    assert TURNS.order == 32


def test_accuracies_changes_and_differences_are_of_the_predictions():
    labels = torch.tensor([0, 1, 0, 1])
    views = (UPRIGHT, *TURNED, MIRRORED, *ANGLES)

    def row(upright, turned):
        other = {view: [torch.tensor(upright if view == UPRIGHT else turned)] * 3 for view in views}
        return Row(predicted=other)

    right, wrong = row([0, 1, -1, 1], [0, 1, -1, 1]), row([0, 1, -1, 1], [1, 0, -1, 1])
    found = summary({"wrong": wrong}, right, labels)["wrong"]
    assert found["accuracy"]["0°"] == [1.0] * 3
    assert found["accuracy"]["90°"] == [0.3333] * 3
    assert found["changed"] == [0.6667] * 3
    assert found["minus base"]["upright"] == [0.0, 0.0, 0.0]
    assert found["minus base"]["turned"][0] == -0.6667
    assert summary({"right": right}, right, labels)["right"]["changed"] == [0.0] * 3


def test_what_is_trained_is_trained_for_every_split(seen, monkeypatch):
    asked = []

    def noted(seen, training, seed):
        asked.append(seed)
        return base(seen, training, seed)

    parts = [
        (torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5])),
        *[(torch.tensor([2, 3, 4, 5]), torch.tensor([0, 1]))] * 2,
    ]
    monkeypatch.setitem(WAYS, "trained", Way(noted, is_trained=True))
    monkeypatch.setitem(WAYS, "as it is", Way(noted))
    trained, as_it_is = (measured(seen, name, parts)[name].predicted for name in ("trained", "as it is"))
    assert asked == [0, 1, 2, 0]
    for view, found in trained.items():
        assert [(one >= 0).nonzero()[:, 0].tolist() for one in found] == [[4, 5], [0, 1], [0, 1]]
        assert all(torch.equal(one, other) for one, other in zip(found, as_it_is[view], strict=True))
