"""Means and intervals over seeds are those of the single numbers."""

from __future__ import annotations

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
    assert summary.task_accuracy == {"rotation": estimate([one.tasks[0].accuracy] * 3)}


def test_what_is_not_alike_is_refused_in_one_sentence(one):
    other = replace(one, features=one.features[:1])
    for evaluations in ([], [one, other], [one, replace(one, model="another")]):
        with pytest.raises(ValueError, match="evaluations must be of one model"):
            over_seeds(evaluations)
