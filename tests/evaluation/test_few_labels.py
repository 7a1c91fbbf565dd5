"""Label efficiency: fair subsets, and the same probe on each."""

from __future__ import annotations

import itertools
import math
import sys

import pytest
import torch

from eqmodels.evaluation import fit_linear_probe, label_efficiency
from eqmodels.evaluation.few_labels import stratified_subset

STRENGTHS = (1.0, 0.01)


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    means = torch.randn(4, 12, generator=torch.Generator().manual_seed(9))
    return means[labels] * 0.8 + torch.randn(count, 12, generator=generator), labels


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.1, 0.25, 1.0])
def test_a_subset_has_the_fraction_of_every_class_and_at_least_one(fraction):
    labels = torch.tensor([0] * 400 + [1] * 400 + [2] * 200 + [3])[torch.randperm(1001)]
    subset = stratified_subset(labels, fraction, seed=0)
    assert labels[subset].bincount().tolist() == [max(1, round(fraction * size)) for size in (400, 400, 200, 1)]
    assert subset.tolist() == sorted(set(subset.tolist()))


def test_subsets_of_a_seed_are_nested_and_deterministic():
    labels = torch.arange(500) % 4
    sets = [set(stratified_subset(labels, f, seed=2).tolist()) for f in (0.01, 0.1, 0.5, 1.0)]
    assert all(small < large for small, large in itertools.pairwise(sets))
    assert sets[1] == set(stratified_subset(labels, 0.1, seed=2).tolist())
    assert sets[1] != set(stratified_subset(labels, 0.1, seed=3).tolist())


def test_subsets_are_spread_over_the_data():
    labels = torch.zeros(10_000, dtype=torch.long)
    subset = stratified_subset(labels, 0.1, seed=0).double()
    assert float(subset.mean()) == pytest.approx(5000, abs=400)


def test_all_labels_are_the_full_probe_once():
    train, test = images(400), images(400, seed=1)
    probe = fit_linear_probe(*train, strengths=STRENGTHS, seed=4)
    (full,) = label_efficiency(*train, *test, fractions=[1.0], subsets=3, strengths=STRENGTHS, seed=4)
    assert full.accuracy.values == (probe.accuracy(*test),)
    assert (full.images, full.strengths) == (400, (probe.strength,))
    assert math.isnan(full.accuracy.low)


def test_every_value_is_the_probe_on_its_subset():
    (features, labels), test = images(400), images(400, seed=1)
    (result,) = label_efficiency(features, labels, *test, fractions=[0.1], subsets=2, strengths=STRENGTHS, seed=7)
    for seed, accuracy, strength in zip((7, 8), result.accuracy.values, result.strengths, strict=True):
        subset = stratified_subset(labels, 0.1, seed=seed)
        probe = fit_linear_probe(features[subset], labels[subset], strengths=STRENGTHS, seed=seed)
        assert (probe.accuracy(*test), probe.strength) == (accuracy, strength)
    assert result.accuracy.low < result.accuracy.mean < result.accuracy.high


def test_every_subset_has_its_own_seed_and_the_given_options(monkeypatch):
    # The function hides the module of the same name.
    module, calls = sys.modules["eqmodels.evaluation.few_labels"], []

    def recorded(*given, **options):
        calls.append(options)
        return fit_linear_probe(*given, **options)

    monkeypatch.setattr(module, "fit_linear_probe", recorded)
    options = {"strengths": STRENGTHS, "validation_fraction": 0.2}
    label_efficiency(*images(400), *images(40, seed=1), fractions=[0.1, 1.0], subsets=2, seed=7, **options)
    assert calls == [options | {"num_classes": 4, "seed": seed} for seed in (7, 8, 7)]


def test_more_labels_are_better_and_the_order_is_kept():
    train, test = images(2000), images(1000, seed=1)
    results = label_efficiency(*train, *test, fractions=(1.0, 0.05, 0.002), strengths=STRENGTHS)
    assert [result.fraction for result in results] == [1.0, 0.05, 0.002]
    assert [result.images for result in results] == [2000, 100, 4]
    means = [result.accuracy.mean for result in results]
    assert means[0] > means[1] > means[2] + 0.05
    assert min(means) > 0.25
    assert [result.accuracy.count for result in results] == [1, 3, 3]


def test_one_image_a_class_takes_the_strongest():
    (result,) = label_efficiency(*images(400), *images(40, seed=1), fractions=[0.01], strengths=STRENGTHS)
    assert result.images == 4
    assert result.strengths == (1.0, 1.0, 1.0)


def test_labels_outside_the_subset_are_not_seen():
    (features, labels), test = images(400), images(200, seed=1)
    inside = stratified_subset(labels, 0.1, seed=0)
    # Other features, the same labels: the subset stays the same.
    noise = torch.randn(400, 12).index_copy(0, inside, features[inside])
    options = {"fractions": [0.1], "subsets": 1, "strengths": STRENGTHS}
    assert label_efficiency(features, labels, *test, **options)[0].accuracy.values == (
        label_efficiency(noise, labels, *test, **options)[0].accuracy.values
    )


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fractions": ()}, "fractions must hold at least one"),
        ({"fractions": (0.1, 0.0)}, "fraction must be above 0 and at most 1; got 0.0"),
        ({"fractions": (10,)}, "fraction must be above 0 and at most 1; got 10"),
        ({"subsets": 0}, "subsets be at least 1"),
        ({"test_features": torch.randn(3, 4)}, "as wide as train_features, 2; got 4"),
        ({"test_features": torch.full((3, 2), math.nan)}, "test_features must be finite"),
        ({"train_labels": torch.tensor([0, 2] * 3)}, "every class of"),
        ({"train_labels": torch.zeros(6, dtype=torch.long)}, r"test_labels must lie in 0\.\.0"),
        ({"train_labels": torch.zeros(5, dtype=torch.long)}, "train_labels must be one integer an image"),
        ({"test_labels": torch.tensor([0, 1, 2])}, r"test_labels must lie in 0\.\.1"),
    ],
)
def test_bad_input_is_one_sentence(change, sentence):
    given = {
        "train_features": torch.randn(6, 2),
        "train_labels": torch.tensor([0, 1] * 3),
        "test_features": torch.randn(3, 2),
        "test_labels": torch.tensor([0, 1, 0]),
    }
    with pytest.raises(ValueError, match=sentence):
        label_efficiency(**(given | change))
