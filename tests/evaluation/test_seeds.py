"""Means and intervals over seeds are those of the single numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eqmodels.evaluation import estimate, evaluate, over_seeds
from eqmodels.evaluation.seeds import check_seeds
from eqmodels.training import PretrainConfig
from tests.evaluation.test_evaluate import QUICK, striped, untrained


@pytest.fixture(scope="module")
def one():
    run = untrained("c4_resnet18s_w8", "equivariant")
    return evaluate(run, striped(60), striped(40, seed=1), kinds=("canonical", "regular"), **QUICK)


def seeded(evaluation, seed):
    """Its config with another seed."""
    return evaluation.config | {"run": evaluation.config["run"] | {"seed": seed}}


def shifted(evaluation, by):
    """The evaluation of another seed, with other accuracies."""
    kinds = tuple(replace(scores, accuracy=scores.accuracy - by) for scores in evaluation.kinds)
    return replace(evaluation, kinds=kinds, config=seeded(evaluation, round(100 * by)))


def test_a_summary_is_the_estimate_of_every_number(one):
    summary = over_seeds([one, shifted(one, 0.1), shifted(one, 0.3)])
    assert (summary.model, summary.seeds) == ("c4_resnet18s_w8", 3)
    for scores, entry in zip(one.kinds, summary.kinds, strict=True):
        assert (entry.kind, entry.width) == (scores.kind, scores.width)
        assert entry.accuracy == estimate([scores.accuracy, scores.accuracy - 0.1, scores.accuracy - 0.3])
        assert entry.turned == estimate([scores.turned] * 3)
        assert entry.knn is None
        assert entry.angle_worst is None
        assert entry == summary.of(scores.kind)
    (task,) = summary.tasks
    assert (task.task, task.num_labels) == ("rotation", 4)
    assert task.accuracy == estimate([one.tasks[0].accuracy] * 3)
    assert task.training_accuracy is None


def test_elements_and_angles_that_all_seeds_have_are_summarised(one):
    curves = [{"0": 0.8, "15": 0.4}, {"0": 0.9, "15": 0.6, "30": 0.2}]
    seeds = [
        replace(shifted(one, 0.1 * i), kinds=(replace(one.kinds[0], angles=curve, elements=curve),))
        for i, curve in enumerate(curves)
    ]
    (entry,) = over_seeds(seeds).kinds
    assert entry.angles == entry.elements == {"0": estimate([0.8, 0.9]), "15": estimate([0.4, 0.6])}
    assert over_seeds([one]).kinds[0].elements.keys() == one.kinds[0].elements.keys() != set()


def test_few_labels_are_averaged_by_fraction(one):
    def with_labels(mean):
        labels = {"0.1": estimate([mean - 0.01, mean, mean + 0.01])}
        config = seeded(one, round(100 * mean))
        return replace(one, kinds=(replace(one.kinds[0], labels=labels),), config=config)

    (entry,) = over_seeds([with_labels(0.7), with_labels(0.8)]).kinds
    assert entry.labels["0.1"].mean == pytest.approx(0.75)
    assert entry.labels["0.1"].values == pytest.approx((0.7, 0.8))


def test_a_summary_of_one_seed_is_valid_json(one):
    content = json.loads(json.dumps(over_seeds([one]).to_dict(), allow_nan=False))
    assert content["kinds"][0]["accuracy"]["low"] is None
    assert content["kinds"][0]["accuracy"]["mean"] == one.kinds[0].accuracy


def test_what_is_not_alike_is_refused_in_one_sentence(one):
    other = replace(one, kinds=one.kinds[:1])
    elsewhere = replace(one, test=("others", 40))
    for evaluations in ([], [one, other], [one, elsewhere], [one, replace(one, model="another")]):
        with pytest.raises(ValueError, match="evaluations must be of one model"):
            over_seeds(evaluations)


def test_the_same_weights_are_no_two_seeds(one):
    known = replace(one, sha256="ab" * 32)
    for evaluations in ([known, known], [replace(known, config=None)] * 2, [known, shifted(one, 0.1), known]):
        with pytest.raises(ValueError, match=r"got the weights abababababab\.\.\. 2 times. Name each run once"):
            over_seeds(evaluations)


def test_a_seed_counts_once(one):
    again = [replace(one, sha256=name * 64) for name in "ab"]
    with pytest.raises(ValueError, match="must differ in the seed, as the interval is over seeds; got seed=0 2 times"):
        over_seeds(again)
    # Of results that do not know their config, nothing can be said.
    assert over_seeds([replace(found, config=None) for found in again]).seeds == 2


@pytest.mark.parametrize("changes", [{"augment": "none"}, {"head": "mlp", "seed": 3}, {"epochs": 3}, {"limit": 5}])
def test_what_differs_in_more_than_the_seed_is_not_averaged(one, changes):
    config = PretrainConfig.from_dict(one.config)
    other = replace(one, sha256="b" * 64, config=config.replaced(**{"seed": 1, **changes}).to_dict())
    name, value = next(iter(changes.items()))
    with pytest.raises(
        ValueError, match=f"must differ in the seed alone; got {name}={config.flat()[name]!r} and {value!r}"
    ):
        over_seeds([one, other])


def test_the_seed_is_found_in_a_config_of_parts_too():
    def config(seed, epochs=3):
        return {"format": 2, "model": {"name": "c4", "options": {}}, "run": {"seed": seed, "epochs": epochs}}

    check_seeds([config(0), config(1), None], [])
    with pytest.raises(ValueError, match="differ in the seed alone; got epochs=3 and 4"):
        check_seeds([config(0), config(1, epochs=4)], [])
    with pytest.raises(ValueError, match="got seed=1 2 times"):
        check_seeds([config(1), config(1)], [])
