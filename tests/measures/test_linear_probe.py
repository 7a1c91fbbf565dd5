"""The linear probe is the optimum of its objective, at the strength that its held-out images chose."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_info, threadpool_limits

from eqmodels.evaluation import fit_linear_probe
from eqmodels.measures import linear_probe
from eqmodels.measures.labelled import class_ranks
from eqmodels.measures.linear_probe import STRENGTHS, LogisticObjective, _Fold, validation_parts

# Quick in float64: on few separable images the weakest of the default ones take L-BFGS hundreds of steps.
GRID = (10.0, 1.0, 0.1, 0.01, 1e-3)


def blobs(count, width=6, classes=3, distance=1.0, dtype=torch.float64, seed=0):
    """Correlated Gaussians of unequal scales, one a class, all classes of nearly equal size."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(classes, width, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    labels = torch.arange(count) % classes
    features = distance * means[labels] + torch.randn(count, width, generator=generator, dtype=torch.float64)
    return (features * torch.logspace(-2, 3, width, dtype=torch.float64) + 5).to(dtype), labels


def objective(features, labels, weight, bias, strength):
    """Written again from the docstring."""
    x = (features - features.mean(0)) / features.std(0, correction=0)
    log_p = (x @ weight.T + bias).log_softmax(1)
    return -log_p[torch.arange(len(x)), labels].mean() + strength / 2 * (weight**2).sum()


def newton(features, labels, strength, classes):
    """The optimum by Newton's method; the bias has a direction without curvature, so its sum is kept at 0."""
    width = features.shape[1]

    def value(theta):
        theta = theta.view(classes, width + 1)
        return objective(features, labels, theta[:, :-1], theta[:, -1], strength) + theta[:, -1].sum() ** 2 / 2

    theta = torch.zeros(classes * (width + 1), dtype=torch.float64)
    for _ in range(30):
        gradient = torch.autograd.functional.jacobian(value, theta)
        step = torch.linalg.solve(torch.autograd.functional.hessian(value, theta), gradient)
        scale = 1.0
        while value(theta - scale * step) > value(theta) + 1e-12:
            scale /= 2
        theta = theta - scale * step
    theta = theta.view(classes, width + 1)
    return theta[:, :-1], theta[:, -1]


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(("count", "width"), [(200, 6), (12, 30)])
def test_the_gradient_of_the_objective_vanishes_at_the_solution(strength, count, width):
    features, labels = blobs(count, width)
    probe = fit_linear_probe(features, labels, strengths=[strength])
    weight, bias = probe.weight.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    gradients = torch.autograd.grad(objective(features, labels, weight, bias, strength), (weight, bias))
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-6
    assert probe.gradient_norm == pytest.approx(math.hypot(*(float(g.norm()) for g in gradients)), abs=1e-9)


def newton_probabilities(features, weight, bias):
    x = (features - features.mean(0)) / features.std(0, correction=0)
    return (x @ weight.T + bias).softmax(1)


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize(("count", "width"), [(120, 5), (9, 14)])
def test_it_is_the_solution_of_newtons_method(strength, count, width):
    features, labels = blobs(count, width)
    probe = fit_linear_probe(features, labels, strengths=[strength])
    weight, bias = newton(features, labels, strength, 3)
    # The objective is strongly convex in the weights.
    assert float((probe.weight - weight).norm()) <= 1e-6 + probe.gradient_norm / strength
    assert torch.allclose(probe.scores(features).softmax(1), newton_probabilities(features, weight, bias), atol=1e-5)


def test_float32_is_close_to_float64():
    features, labels = blobs(600, width=20)
    exact = fit_linear_probe(features, labels, strengths=[1e-3])
    single = fit_linear_probe(features.float(), labels, strengths=[1e-3])
    assert (exact.weight.dtype, single.weight.dtype) == (torch.float64, torch.float32)
    assert single.gradient_norm < 2e-3
    assert single.log_loss(features.float(), labels) == pytest.approx(exact.log_loss(features, labels), abs=1e-3)


def test_the_start_does_not_matter():
    features, labels = blobs(600)
    along_the_grid = fit_linear_probe(features, labels, strengths=GRID)
    from_zero = fit_linear_probe(features, labels, strengths=[along_the_grid.strength])
    assert torch.allclose(along_the_grid.weight, from_zero.weight, atol=1e-4)


def test_scores_of_any_affine_rescaling_of_single_features_are_the_same():
    features, labels = blobs(150)
    scale, shift = torch.tensor([1e-3, -2, 5, -1e4, 1, 0.1], dtype=torch.float64), torch.arange(6.0).double() * 100
    scores = fit_linear_probe(features, labels, strengths=GRID).scores(features)
    moved = features * scale + shift
    assert torch.allclose(fit_linear_probe(moved, labels, strengths=GRID).scores(moved), scores, atol=1e-5)


def test_renamed_classes_are_renamed_scores():
    features, labels = blobs(150)
    names = torch.tensor([2, 0, 1])
    first, second = (fit_linear_probe(features, given, strengths=GRID) for given in (labels, names[labels]))
    assert first.strength == second.strength
    assert torch.allclose(second.scores(features)[:, names], first.scores(features), atol=1e-5)


def test_gaussians_are_classified_as_well_as_they_can_be():
    # Two unit Gaussians at a distance of 2: the error of Bayes is that of one standard deviation.
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40_000) % 2
    features = torch.randn(40_000, 4, generator=generator)
    features[:, 0] += 2.0 * labels
    probe = fit_linear_probe(features[:20_000], labels[:20_000])
    bayes = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert probe.accuracy(features[20_000:], labels[20_000:]) == pytest.approx(bayes, abs=0.008)


def test_separable_classes_are_separated():
    features, labels = blobs(300, distance=30.0, dtype=torch.float32)
    probe = fit_linear_probe(features, labels)
    assert probe.accuracy(*blobs(300, distance=30.0, dtype=torch.float32, seed=1)) == 1
    assert probe.validation_accuracy == 1


def test_random_labels_are_guessed():
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(4000, 20, generator=generator), torch.randint(4, (4000,), generator=generator)
    probe = fit_linear_probe(features[:2000], labels[:2000])
    assert probe.accuracy(features[2000:], labels[2000:]) == pytest.approx(0.25, abs=0.04)
    assert probe.log_loss(features[2000:], labels[2000:]) == pytest.approx(math.log(4), abs=0.02)


def held_out_scores(features, labels, grid, fraction):
    """Accuracy and log-loss, negative, on what is held out of the probe that is fitted on the rest, by strength."""
    parts = validation_parts(labels, fraction, seed=3)
    scored = {}
    for strength in grid:
        correct, loss, held = 0.0, 0.0, 0
        for part in parts:
            rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, part, False)
            one = fit_linear_probe(features[rest], labels[rest], strengths=[strength])
            correct += one.accuracy(features[part], labels[part]) * len(part)
            loss += one.log_loss(features[part], labels[part]) * len(part)
            held += len(part)
        scored[strength] = (round(correct) / held, -loss)
    return scored


@pytest.mark.parametrize(("count", "fraction"), [(60, 0.1), (240, 0.25), (1200, 0.5)])
def test_the_strength_is_the_best_on_what_was_held_out(count, fraction):
    features, labels = blobs(count, width=15, distance=0.4)
    probe = fit_linear_probe(features, labels, strengths=GRID, validation_fraction=fraction, seed=3)
    scored = held_out_scores(features, labels, GRID, fraction)
    best = max(GRID, key=lambda strength: (*scored[strength], strength))
    assert probe.strength == best
    assert probe.validation_accuracy == pytest.approx(scored[best][0])
    assert len({accuracy for accuracy, _ in scored.values()}) > 1


@pytest.mark.parametrize(("count", "width", "distance"), [(600, 60, 0.4), (1000, 200, 0.1)])
def test_rough_fits_in_float32_choose_as_good_a_strength_as_optima_do(count, width, distance):
    features, labels = blobs(count, width=width, distance=distance)
    chosen = fit_linear_probe(features.float(), labels, validation_fraction=0.25, seed=3).strength
    accuracies = {one: score[0] for one, score in held_out_scores(features, labels, STRENGTHS, 0.25).items()}
    assert accuracies[chosen] >= max(accuracies.values()) - 0.01
    # And the choice matters.
    assert min(accuracies.values()) < max(accuracies.values()) - 0.03


def test_the_path_ends_when_two_strengths_in_turn_are_worse_than_the_best(monkeypatch):
    """And what is chosen is what the whole path would choose."""
    features, labels = blobs(120, width=40, distance=0.4, dtype=torch.float32)
    tried, judge = [], _Fold.judge

    def judged(fold, strength):
        tried.append(strength)
        return judge(fold, strength)

    monkeypatch.setattr(_Fold, "judge", judged)
    strengths = (100.0, 10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5)
    short = fit_linear_probe(features, labels, strengths=strengths)
    ended = list(dict.fromkeys(tried))
    monkeypatch.setattr(linear_probe, "PATIENCE", 100)
    tried.clear()
    whole = fit_linear_probe(features, labels, strengths=strengths)
    assert list(dict.fromkeys(tried)) == list(strengths)
    assert ended == list(strengths[: len(ended)])
    assert len(ended) < len(strengths)
    assert ended.index(short.strength) <= len(ended) - 3
    assert short.strength == whole.strength
    assert torch.equal(short.weight, whole.weight)
    # Every strength meets every part of the images that is held out.
    assert len(tried) == len(strengths) * len(validation_parts(labels, 0.1, seed=0))


def test_of_equally_accurate_strengths_the_surer_is_chosen():
    features, labels = blobs(300, distance=30.0)
    # All are right about all, and the weaker the penalty, the surer.
    assert fit_linear_probe(features, labels, strengths=[10.0, 1e-3, 0.1]).strength == 1e-3


def test_the_order_of_the_strengths_does_not_matter():
    features, labels = blobs(90, distance=0.4)
    first, second = (fit_linear_probe(features, labels, strengths=s) for s in (GRID, GRID[::-1]))
    assert torch.equal(first.weight, second.weight)


def test_a_seed_is_a_result():
    features, labels = blobs(90, distance=0.4, dtype=torch.float32)
    state = torch.get_rng_state()
    first, second = fit_linear_probe(features, labels, seed=5), fit_linear_probe(features, labels, seed=5)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert first.validation_accuracy == second.validation_accuracy
    assert torch.equal(state, torch.get_rng_state())


def test_the_probe_is_frozen():
    probe = fit_linear_probe(*blobs(30), strengths=GRID)
    with pytest.raises(FrozenInstanceError):
        probe.strength = 1.0


# What is held out.


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("count", [4, 30, 301, 20_000])
def test_parts_are_disjoint_and_leave_every_class_to_train_on(count, fraction):
    labels = torch.arange(count) % 3
    parts = validation_parts(labels, fraction, seed=0)
    together = torch.cat(parts)
    assert len(together) == len(together.unique())
    for part in parts:
        rest = torch.ones(count, dtype=torch.bool).index_fill(0, part, False)
        assert set(labels[rest].tolist()) == {0, 1, 2}


def test_a_part_is_the_fraction_of_every_class():
    labels = torch.tensor([0] * 6000 + [1] * 3000 + [2] * 1000)
    (part,) = validation_parts(labels, 0.1, seed=0)
    assert labels[part].bincount().tolist() == [600, 300, 100]
    assert not torch.equal(part, validation_parts(labels, 0.1, seed=1)[0])


@pytest.mark.parametrize(("count", "parts"), [(100, 10), (1000, 5), (2000, 3), (5000, 1), (60_000, 1)])
def test_few_images_are_held_out_in_turn(count, parts):
    found = validation_parts(torch.arange(count) % 10, 0.1, seed=0)
    assert len(found) == parts
    assert {len(part) for part in found} == {count // 10}


def test_the_only_image_of_a_class_is_always_trained_on():
    labels = torch.tensor([0, 1, 1, 2, 2, 2])
    assert all(0 not in part for part in validation_parts(labels, 0.5, seed=0))
    assert fit_linear_probe(*blobs(6)[:1], labels, strengths=GRID).weight.shape == (3, 6)


def test_with_one_image_a_class_the_strongest_is_taken():
    features, labels = blobs(3)
    probe = fit_linear_probe(features, labels)
    assert probe.strength == max(STRENGTHS)
    assert math.isnan(probe.validation_accuracy)
    assert probe.predict(features).tolist() == labels.tolist()


def test_ranks_count_every_class():
    labels = torch.randint(4, (50,), generator=torch.Generator().manual_seed(0))
    ranks, sizes = class_ranks(labels, seed=0)
    for c in range(4):
        assert sorted(ranks[labels == c].tolist()) == list(range(int((labels == c).sum())))
        assert set(sizes[labels == c].tolist()) == {int((labels == c).sum())}


# What it does with what it is given.


def test_constant_features_say_nothing():
    features, labels = blobs(120, dtype=torch.float32)
    probe = fit_linear_probe(features, labels, strengths=[0.01])
    # 0.1 is not a number of float32, and its mean is not exactly itself.
    padded = torch.cat([features, torch.full((120, 1), 0.1), torch.full((120, 1), 1e6), torch.zeros(120, 1)], dim=1)
    with_constants = fit_linear_probe(padded, labels, strengths=[0.01])
    assert with_constants.scale[6:].tolist() == [1, 1, 1]
    assert float(with_constants.weight[:, 6:].abs().max()) < 1e-6
    assert torch.allclose(with_constants.scores(padded), probe.scores(features), atol=1e-2)


def test_features_that_are_all_constant_give_the_class_frequencies():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    probe = fit_linear_probe(torch.ones(100, 4, dtype=torch.float64), labels)
    shares = probe.scores(torch.ones(1, 4, dtype=torch.float64)).softmax(1)
    assert shares[0].tolist() == pytest.approx([0.6, 0.3, 0.1], abs=1e-6)


def test_half_precision_and_requires_grad_are_taken():
    features, labels = blobs(60, dtype=torch.float32)
    features = features.bfloat16().requires_grad_()
    with torch.no_grad():
        probe = fit_linear_probe(features, labels.int())
    assert probe.weight.dtype == torch.float32
    assert not probe.weight.requires_grad
    assert not probe.bias.requires_grad
    assert 0.4 < probe.accuracy(features, labels) <= 1


def test_accuracy_and_log_loss_are_those_of_the_scores():
    features, labels = blobs(20_001)
    probe = fit_linear_probe(features, labels, strengths=[0.1])
    scores = ((features - probe.mean) / probe.scale) @ probe.weight.T + probe.bias
    assert torch.allclose(probe.scores(features), scores)
    assert probe.accuracy(features, labels) == pytest.approx(float((scores.argmax(1) == labels).double().mean()))
    assert probe.log_loss(features, labels) == pytest.approx(float(F.cross_entropy(scores, labels)))
    worse = replace(probe, weight=-probe.weight)
    assert worse.accuracy(features, labels) < probe.accuracy(features, labels)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"features": torch.randn(6, 2, 2)}, r"features must be a matrix .* got shape \(6, 2, 2\)"),
        ({"features": torch.randn(0, 2), "labels": torch.zeros(0, dtype=torch.long)}, "not empty"),
        ({"features": torch.randn(6, 0)}, "not empty"),
        ({"features": torch.ones(6, 2, dtype=torch.long)}, r"floating-point numbers .* of torch\.int64"),
        ({"features": torch.tensor([[1.0]] * 4 + [[math.nan]] * 2)}, "must be finite; those of 2 of 6 images are not"),
        ({"features": torch.tensor([[1.0]] * 5 + [[math.inf]])}, "must be finite; those of 1 of 6"),
        ({"labels": torch.tensor([0, 1, 0, 1, 0])}, r"one integer an image, shape \(6,\); got shape \(5,\)"),
        ({"labels": torch.tensor([0.0, 1, 0, 1, 0, 1])}, r"one integer an image.* of torch\.float32"),
        ({"labels": torch.tensor([True, False] * 3)}, r"one integer an image.* of torch\.bool"),
        ({"labels": torch.tensor([0, 1, -1, 0, 1, 0])}, "labels must not be negative; got -1 to 1"),
        ({"labels": torch.tensor([0, 1, 2, 0, 1, 2]), "num_classes": 2}, r"labels must lie in 0\.\.1; got 0 to 2"),
        ({"labels": torch.zeros(6, dtype=torch.long)}, "at least 2 classes; got 1"),
        ({"num_classes": 10}, r"every class of 0\.\.9 at least once; 8 have no image, the first is 2, of 6 images"),
        ({"labels": torch.tensor([0, 2, 0, 2, 0, 2])}, "1 have no image, the first is 1"),
        ({"strengths": ()}, "strengths must be positive and finite"),
        ({"strengths": (1.0, 0.0)}, "strengths must be positive and finite"),
        ({"strengths": (math.nan,)}, "strengths must be positive and finite"),
        ({"validation_fraction": 0.0}, "validation_fraction must be above 0 and at most 0.5; got 0.0"),
        ({"validation_fraction": 0.6}, "validation_fraction must be above 0 and at most 0.5; got 0.6"),
    ],
)
def test_bad_input_is_one_sentence(change, sentence):
    given = {"features": torch.randn(6, 2), "labels": torch.tensor([0, 1, 0, 1, 0, 1])} | change
    with pytest.raises(ValueError, match=sentence):
        fit_linear_probe(given.pop("features"), given.pop("labels"), **given)


@pytest.mark.usefixtures("no_shape_checks")
def test_a_probe_refuses_what_it_was_not_fitted_on():
    probe = fit_linear_probe(*blobs(30), strengths=GRID)
    with pytest.raises(ValueError, match=r"must be a matrix \(images, 6\), .* got shape \(2, 5\)"):
        probe.scores(torch.randn(2, 5))
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2; got 3 to 3"):
        probe.accuracy(torch.randn(2, 6), torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="not empty"):
        probe.log_loss(torch.randn(0, 6), torch.zeros(0, dtype=torch.long))


def test_copies_of_an_image_are_held_out_together():
    """Noise that all copies of an image share: a split by rows finds it again, and believes in a probe by heart."""
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(60, 40, generator=generator), torch.arange(60) % 3
    copies, repeated = features.repeat(4, 1), labels.repeat(4)
    careless = fit_linear_probe(copies, repeated, seed=1)
    careful = fit_linear_probe(copies, repeated, copies=4, seed=1)
    assert careless.validation_accuracy > 0.9
    assert careful.validation_accuracy < 0.6


def test_copies_must_divide_the_images():
    with pytest.raises(ValueError, match="copies must divide the number of images, 10; got 4"):
        fit_linear_probe(torch.randn(10, 3), torch.arange(10) % 2, copies=4)


def test_collapsed_features_of_heavy_tails_have_a_covariance_without_negative_eigenvalues():
    """In float32 their smallest eigenvalue is -4e-6, more than the weakest penalty makes good."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(10_000, 2, generator=generator).abs() ** 6 @ torch.rand(2, 128, generator=generator)
    labels = torch.randint(2, (10_000,), generator=generator)
    assert LogisticObjective(features, labels, 2).variances.min() >= 0


def test_the_solver_has_one_thread_and_gives_the_others_back(monkeypatch):
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    # What other tests loaded since, as faiss with an algebra of its own, is not the solver's.
    linear_probe._linear_algebra.cache_clear()
    seen = []
    solve = scipy.optimize.minimize
    monkeypatch.setattr(scipy.optimize, "minimize", lambda *a, **k: seen.append(threads()) or solve(*a, **k))
    features, labels = torch.randn(40, 3), torch.arange(40) % 2
    with threadpool_limits(2, "blas"):
        fit_linear_probe(features, labels, strengths=(0.1,))
        assert threads() == {2}
    assert seen == [{1}]
