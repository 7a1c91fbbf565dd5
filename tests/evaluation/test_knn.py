"""The nearest neighbours vote as the formula says."""

from __future__ import annotations

import math

import pytest
import torch

from eqmodels.evaluation import knn, knn_accuracy
from eqmodels.measures.magnitude import near_one


def images(count, width=5, classes=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    labels[:classes] = torch.arange(classes)
    means = torch.randn(classes, width, generator=torch.Generator().manual_seed(9))
    return (means[labels] + torch.randn(count, width, generator=generator)).to(dtype), labels


def brute_force(train, train_labels, test, test_labels, k, temperature):
    """One image at a time, in Python."""
    correct = 0
    for query, label in zip(test, test_labels.tolist(), strict=True):
        cosines = [float(query @ row) / float(query.norm() * row.norm()) for row in train]
        nearest = sorted(range(len(cosines)), key=lambda i: (-cosines[i], i))[:k]
        votes = [0.0] * (int(train_labels.max()) + 1)
        for i in nearest:
            votes[int(train_labels[i])] += math.exp(cosines[i] / temperature)
        correct += votes.index(max(votes)) == label
    return correct / len(test)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("k", [1, 7, 59, 60])
def test_it_is_the_loop_over_all_pairs(k, temperature):
    train, test = images(60), images(80, seed=1)
    expected = brute_force(*train, *test, k, temperature)
    assert knn_accuracy(*train, *test, k=k, temperature=temperature) == expected
    assert 0.25 < expected < 1


@pytest.mark.parametrize("scale", [1e307, 1e-300, 2.0**-1030])
@pytest.mark.parametrize("part", [slice(None), slice(0, 30)], ids=["all", "half"])
def test_the_length_of_features_does_not_matter_whatever_it_is(scale, part):
    (train, train_labels), (test, test_labels) = images(60), images(80, seed=1)
    expected = knn_accuracy(train, train_labels, test, test_labels, k=7)
    scaled = train.clone()
    scaled[part] *= scale
    assert knn_accuracy(scaled, train_labels, test * scale, test_labels, k=7) == expected


def test_normalised_features_are_those_of_before_bit_for_bit():
    features = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    before = torch.nn.functional.normalize(features.double(), eps=1e-300)
    assert torch.equal(torch.nn.functional.normalize(near_one(features), eps=1e-300), before)


@pytest.mark.parametrize("entries", [1, 60, 1000])
def test_chunks_do_not_change_the_result(entries, monkeypatch):
    train, test = images(60), images(80, seed=1)
    whole = knn_accuracy(*train, *test, k=9)
    sizes = []
    nearest = knn._nearest

    def seen(similarities, k):
        sizes.append(similarities.numel())
        return nearest(similarities, k)

    monkeypatch.setattr(knn, "_nearest", seen)
    monkeypatch.setattr(knn, "SIMILARITIES", entries)
    assert knn_accuracy(*train, *test, k=9) == whole
    assert max(sizes) <= max(entries, 60)
    assert sum(sizes) == 60 * 80


def test_the_length_of_a_feature_does_not_matter():
    (train, train_labels), (test, test_labels) = images(60), images(80, seed=1)
    lengths = torch.logspace(-100, 100, 60, dtype=torch.float64)[:, None]
    expected = knn_accuracy(train, train_labels, test, test_labels, k=9)
    assert knn_accuracy(train * lengths, train_labels, test * 1e-9, test_labels, k=9) == expected


def test_the_order_of_the_training_images_does_not_matter_without_ties():
    (train, train_labels), test = images(60), images(80, seed=1)
    order = torch.randperm(60)
    assert knn_accuracy(train[order], train_labels[order], *test, k=9) == knn_accuracy(train, train_labels, *test, k=9)


def test_the_nearest_outvotes_the_many_at_a_low_temperature():
    train, labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]), torch.tensor([1, 0, 0])
    query, truth = torch.tensor([[1.0, 0.1]]), torch.tensor([1])
    assert knn_accuracy(train, labels, query, truth, k=3, temperature=1e-4) == 1
    assert knn_accuracy(train, labels, query, truth, k=3, temperature=100.0) == 0


@pytest.mark.parametrize("k", [1, 2, 5])
def test_of_equally_near_images_the_first_ones_vote(k):
    labels = torch.tensor([3, 3, 3, 0, 0, 0, 0, 0, 0])
    assert knn_accuracy(torch.ones(9, 2), labels, torch.ones(1, 2), torch.tensor([3]), k=k) == 1


def test_of_equal_votes_the_first_class_wins():
    features, labels = torch.ones(4, 2), torch.tensor([2, 1, 1, 2])
    assert knn_accuracy(features, labels, torch.ones(1, 2), torch.tensor([1]), k=4) == 1


def test_every_image_is_its_own_nearest():
    features, labels = images(60, dtype=torch.float32)
    assert knn_accuracy(features, labels, features, labels, k=1) == 1


def test_a_feature_of_zeros_has_no_direction():
    assert knn_accuracy(torch.zeros(2, 3), torch.tensor([1, 0]), torch.zeros(1, 3), torch.tensor([1]), k=1) == 1


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k": 7}, "k must be from 1 to the number of training images, 6; got 7"),
        ({"k": 0}, "k must be from 1 to .* got 0"),
        ({"temperature": 0.0}, "temperature must be positive and finite; got 0.0"),
        ({"temperature": math.nan}, "temperature must be positive and finite; got nan"),
        ({"test_features": torch.randn(3, 4)}, "as wide as train_features, 2; got 4"),
        ({"test_features": torch.full((3, 2), math.nan)}, "test_features must be finite; those of 3 of 3"),
        ({"train_features": torch.full((6, 2), math.inf)}, "train_features must be finite"),
        (
            {"train_labels": torch.zeros(5, dtype=torch.long)},
            r"train_labels must be one integer an image, shape \(6,\)",
        ),
        ({"test_labels": torch.tensor([0, 1, 2])}, r"test_labels must lie in 0\.\.1; got 0 to 2"),
        ({"train_features": torch.zeros(0, 2), "train_labels": torch.zeros(0, dtype=torch.long)}, "not empty"),
    ],
)
def test_bad_input_is_one_sentence(change, sentence):
    given = {
        "train_features": torch.randn(6, 2),
        "train_labels": torch.tensor([0, 1] * 3),
        "test_features": torch.randn(3, 2),
        "test_labels": torch.tensor([0, 1, 0]),
        "k": 3,
    }
    with pytest.raises(ValueError, match=sentence):
        knn_accuracy(**(given | change))


def test_the_usual_k_needs_as_many_images():
    train = images(60)
    with pytest.raises(ValueError, match="needs at least 200 training images: pass a smaller k"):
        knn_accuracy(*train, *train)
