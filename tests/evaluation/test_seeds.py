"""Means and intervals over seeds are those of the single numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eqmodels.evaluation import estimate, evaluate, over_seeds
from tests.evaluation.test_encoder import QUICK, striped, untrained


@pytest.fixture(scope="module")
def one():
    run = untrained("c4_resnet18_w8", "equivariant")
    return evaluate(run, striped(60), striped(40, seed=1), features=("canonical", "regular"), **QUICK)


def shifted(evaluation, by):
    """The same evaluation with other accuracies."""
    features = tuple(replace(scores, accuracy=scores.accuracy - by) for scores in evaluation.features)
    return replace(evaluation, features=features)


def test_a_summary_is_the_estimate_of_every_number(one):
    summary = over_seeds([one, shifted(one, 0.1), shifted(one, 0.3)])
    assert (summary.model, summary.seeds) == ("c4_resnet18_w8", 3)
    for scores, entry in zip(one.features, summary.features, strict=True):
        assert (entry.features, entry.width) == (scores.features, scores.width)
        assert entry.accuracy == estimate([scores.accuracy, scores.accuracy - 0.1, scores.accuracy - 0.3])
        assert entry.turned == estimate([scores.turned] * 3)
        assert entry.knn is None
        assert entry.angle_worst is None
        assert entry == summary.of(scores.features)
    (task,) = summary.tasks
    assert (task.task, task.num_labels) == ("rotation", 4)
    assert task.accuracy == estimate([one.tasks[0].accuracy] * 3)
    assert task.training_accuracy is None


def test_few_labels_are_averaged_by_fraction(one):
    def with_labels(mean):
        labels = {"0.1": estimate([mean - 0.01, mean, mean + 0.01])}
        return replace(one, features=(replace(one.features[0], labels=labels),))

    (entry,) = over_seeds([with_labels(0.7), with_labels(0.8)]).features
    assert entry.labels["0.1"].mean == pytest.approx(0.75)
    assert entry.labels["0.1"].values == pytest.approx((0.7, 0.8))


def test_a_summary_of_one_seed_is_valid_json(one):
    content = json.loads(json.dumps(over_seeds([one]).to_dict(), allow_nan=False))
    assert content["features"][0]["accuracy"]["low"] is None
    assert content["features"][0]["accuracy"]["mean"] == one.features[0].accuracy


def test_what_is_not_alike_is_refused_in_one_sentence(one):
    other = replace(one, features=one.features[:1])
    elsewhere = replace(one, test=("others", 40))
    for evaluations in ([], [one, other], [one, elsewhere], [one, replace(one, model="another")]):
        with pytest.raises(ValueError, match="evaluations must be of one model"):
            over_seeds(evaluations)
