"""Estimates of information: calibrated on exact models, null where nothing is to be known, held-out throughout."""

import math

import numpy as np
import pytest
import torch

from eqmodels.measures import (
    FilmFamily,
    LinearFamily,
    Observations,
    Prediction,
    additive,
    measure_synergy,
    pose_cue,
    style_leak,
)
from eqmodels.measures.information import SynergyTerms, bootstrap, cross_fitted_losses, split_by_image
from eqmodels.studies.calibration import sampled

FAST = LinearFamily(strengths=(1e-2, 1e-4, 1e-6))
MODELS = {
    "additive": (additive(4, 10), ("X",), None),
    "two labels": (additive(2, 10), ("X",), None),
    "nothing hidden": (additive(4, 10, strength=0), ("X",), None),
    "pose": (pose_cue(0.5), ("P",), "K"),
    "good cue": (pose_cue(0.9), ("P",), "K"),
    "style": (style_leak(0.5, classes=4), ("P", "L"), None),
}


def truths(network, seen, predicted):
    information = network.mutual_information
    found = {
        "known": information("A", seen),
        "unlocked": information("A", "C", given=seen),
        "irreducible": network.entropy("A", given=(*seen, "C")),
        "class_known": information("C", seen),
        "class_unlocked": information("C", "A", given=seen),
    }
    return found | ({"usable": information("A", predicted, given=seen)} if predicted else {})


def is_right(estimate, truth):
    """The acceptance of the project: within 0.02 nats, or the interval covers the truth."""
    return abs(estimate.mean - truth) <= 0.02 or estimate.low <= truth <= estimate.high


# Of models that are alike, one is asked every time.
OFTEN, SELDOM = ("additive", "nothing hidden"), ("pose", "style", "two labels", "good cue")


@pytest.mark.parametrize("name", [*OFTEN, *(pytest.param(name, marks=pytest.mark.slow) for name in SELDOM)])
def test_every_term_of_an_exact_model_is_found_from_ten_thousand_samples(name):
    network, seen, predicted = MODELS[name]
    terms = measure_synergy(sampled(network, seen, 10_000, predicted=predicted), FAST, folds=3)
    for term, truth in truths(network, seen, predicted).items():
        assert is_right(getattr(terms, term), truth), (term, truth, getattr(terms, term))
    assert abs(terms.permuted_classes.mean) < 0.01
    assert abs(terms.shuffled_labels.mean) < 0.01
    assert (terms.num_labels, terms.images, terms.rows) == (len(network.marginal("A")), 10_000, 10_000)


@pytest.mark.parametrize("name", ["additive", "good cue"])
def test_a_hundred_thousand_samples_are_closer(name):
    network, seen, predicted = MODELS[name]
    observations = sampled(network, seen, 100_000, predicted=predicted)
    split = split_by_image(observations, 2)
    values, classes = observations.num_labels, observations.num_classes

    def losses(side, side_values):
        problem = Prediction(observations.features, observations.labels, values, side, side_values)
        return cross_fitted_losses(LinearFamily(strengths=(1e-5,)), problem, split)

    alone, given = losses(None, 1), losses(observations.classes, classes)
    unlocked = bootstrap(alone - given, observations.images, resamples=200)
    truth = truths(network, seen, predicted)
    assert unlocked.mean == pytest.approx(truth["unlocked"], abs=0.01)
    assert math.log(values) - float(alone.mean()) == pytest.approx(truth["known"], abs=0.01)
    if predicted:
        usable = alone - losses(observations.predicted, classes)
        assert float(usable.mean()) == pytest.approx(truth["usable"], abs=0.01)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    """Of 200 repetitions; both of a bound and of a difference."""
    network = additive(2, 3)
    information = network.mutual_information
    known, unlocked = information("A", "X"), information("A", "C", given="X")
    covered = torch.zeros(2)
    for seed in range(200):
        observations = sampled(network, ("X",), 4000, seed=seed)
        split = split_by_image(observations, 2, seed)
        sides = ((None, 1), (observations.classes, 3))
        alone, given = (
            cross_fitted_losses(
                LinearFamily(strengths=(1e-5,)),
                Prediction(observations.features, observations.labels, 2, side, count),
                split,
            )
            for side, count in sides
        )
        for index, (values, truth) in enumerate(((math.log(2) - alone, known), (alone - given, unlocked))):
            interval = bootstrap(values, observations.images, resamples=400, seed=seed)
            covered[index] += interval.low <= truth <= interval.high
    assert bool(((covered >= 180) & (covered <= 198)).all()), covered


def test_resamples_draw_images_with_all_of_their_rows():
    """As Efron and Tibshirani write it, with the numbers of a generator of the seed."""
    images = torch.tensor([3, 3, 5, 8, 8, 8, 9])
    values = torch.tensor([0.1, 0.4, -2.0, 1.0, 1.5, 0.2, 3.0], dtype=torch.float64)
    generator, means = np.random.default_rng(4), []
    for _ in range(120):
        drawn = [values[images == (3, 5, 8, 9)[i]] for i in generator.integers(4, size=4)]
        means.append(float(torch.cat(drawn).mean()))
    found = bootstrap(values, images, resamples=120, seed=4)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=1e-12)
    assert (found.mean, found.count) == (pytest.approx(4.2 / 7), 4)


@pytest.mark.slow
def test_a_network_finds_what_no_linear_predictor_does():
    """A is the parity of two features, flipped if the class is 1: nothing linear; with FiLM all of it."""
    generator = torch.Generator().manual_seed(0)
    bits, classes = torch.randint(2, (6000, 2), generator=generator), torch.randint(2, (6000,), generator=generator)
    labels = (bits.sum(1) + classes) % 2
    observations = Observations(bits.float() * 2 - 1, labels, classes, torch.arange(6000), 2, 2)
    linear = measure_synergy(observations, FAST, folds=2, resamples=100)
    network = measure_synergy(observations, FilmFamily(hidden=32), folds=2, resamples=100)
    assert abs(linear.unlocked.mean) < 0.01
    assert network.unlocked.mean == pytest.approx(math.log(2), abs=0.02)
    assert network.class_unlocked.mean == pytest.approx(math.log(2), abs=0.02)
    assert abs(network.known.mean) < 0.01
    assert (linear.family, network.family) == ("linear", "mlp")


@pytest.mark.parametrize("family", [FAST, FilmFamily(hidden=64)], ids=lambda family: family.name)
def test_noise_knows_nothing_even_if_there_is_enough_of_it_to_remember(family):
    """With as many features as images the training loss is far below chance: only held-out losses are honest."""
    generator = torch.Generator().manual_seed(1)
    labels, classes = (torch.randint(n, (400,), generator=generator) for n in (4, 5))
    features = torch.randn(400, 200, generator=generator)
    terms = measure_synergy(Observations(features, labels, classes, torch.arange(400), 4, 5), family, folds=2)
    for term in ("known", "unlocked", "class_known", "class_unlocked", "permuted_classes", "shuffled_labels"):
        assert getattr(terms, term).mean < 0.03, term


def test_an_image_and_its_copies_never_stand_on_both_sides():
    images = torch.arange(60).repeat(4)
    classes = (torch.arange(60) % 3).repeat(4)
    features = torch.randn(240, 5, generator=torch.Generator().manual_seed(0))
    observations = Observations(features, torch.arange(4).repeat_interleave(60), classes, images, 4, 3)
    split = split_by_image(observations, 5, seed=3)
    for image in range(60):
        rows = images == image
        assert len(split.fold[rows].unique()) == 1
        assert len(split.validation[rows].unique()) == 1
    for fold in range(5):
        training = split.fold != fold
        assert len(classes[training & split.validation].unique()) == 3
        assert len(classes[training & ~split.validation].unique()) == 3
    # So what identifies an image, and nothing else, tells nothing of its class.
    own = torch.randn(60, 50, generator=torch.Generator().manual_seed(1)).repeat(4, 1)
    shuffled = torch.randint(3, (60,), generator=torch.Generator().manual_seed(2)).repeat(4)
    terms = measure_synergy(Observations(own, observations.labels, shuffled, images, 4, 3), FAST, folds=2)
    assert terms.class_known.mean < 0.05


def test_side_information_may_be_ignored():
    """The corrections are left out where they do not pay: the losses are those without side information."""
    generator = torch.Generator().manual_seed(4)
    labels, classes = (torch.randint(3, (900,), generator=generator) for _ in range(2))
    features = torch.nn.functional.one_hot(labels, 3) + torch.randn(900, 3, generator=generator)
    observations = Observations(features, labels, classes, torch.arange(900), 3, 3)
    split = split_by_image(observations, 2)
    alone, given = (
        cross_fitted_losses(FAST, Prediction(features, labels, 3, side, 3), split) for side in (None, classes)
    )
    assert float((alone - given).mean()) > -0.005


def test_terms_add_up_and_survive_json():
    network, seen, predicted = MODELS["pose"]
    terms = measure_synergy(sampled(network, seen, 1000, predicted=predicted), FAST, folds=2, resamples=50)
    total = terms.known.mean + terms.unlocked.mean + terms.irreducible.mean
    assert total == pytest.approx(math.log(4), abs=1e-9)
    assert SynergyTerms.from_dict(terms.to_dict()) == terms
    assert terms.normalised("unlocked") == pytest.approx(terms.unlocked.mean / math.log(4))
    with pytest.raises(ValueError, match="term must be one of known, unlocked"):
        terms.normalised("images")


def test_the_bootstrap_draws_images_whole():
    """Four equal rows an image have the interval of one, not half of it."""
    values = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = bootstrap(values, torch.arange(500))
    four = bootstrap(values.repeat(4), torch.arange(500).repeat(4))
    assert four.mean == pytest.approx(one.mean)
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=1e-6)
    expected = 2 * 1.96 * float(values.std()) / math.sqrt(500)
    assert one.high - one.low == pytest.approx(expected, rel=0.1)
    assert four.count == 500


def observations(**changes):
    generator = torch.Generator().manual_seed(0)
    values = {
        "features": torch.randn(40, 3, generator=generator),
        "labels": torch.arange(40) % 4,
        "classes": torch.arange(40) % 2,
        "images": torch.arange(40),
        "num_labels": 4,
        "num_classes": 2,
    }
    return Observations(**values | changes)


REFUSED = {
    "label out of range": ({"labels": torch.arange(40)}, r"labels must lie in 0\.\.3; got 0 to 39"),
    "negative label": ({"labels": torch.arange(40) % 4 - 1}, r"labels must lie in 0\.\.3; got -1 to 2"),
    "class out of range": ({"classes": torch.arange(40) % 3}, r"classes must lie in 0\.\.1; got 0 to 2"),
    "one class": (
        {"classes": torch.zeros(40, dtype=torch.int64)},
        "classes must be at least two, with two images each",
    ),
    "one class by number": (
        {"classes": torch.zeros(40, dtype=torch.int64), "num_classes": 1},
        "classes must be at least two",
    ),
    "fewer samples than classes": ({"num_classes": 50}, "got 50 classes, the smallest of 0 of 40 images"),
    "constant": ({"features": torch.ones(40, 3)}, "features must vary; those of all 40 rows are equal"),
    "nan": ({"features": torch.full((40, 3), math.nan)}, "features must be finite; those of 40 of 40"),
    "images of two classes": (
        {"images": torch.zeros(40, dtype=torch.int64)},
        "all rows of an image must be of one class",
    ),
    "lengths": (
        {"classes": torch.zeros(3, dtype=torch.int64)},
        r"classes must be one integer a row of features.*\(40,\)",
    ),
    "float images": ({"images": torch.rand(40)}, "images must be one integer a row"),
    "predicted": ({"predicted": torch.full((40,), 2)}, r"predicted must lie in 0\.\.1; got 2 to 2"),
    "no features": ({"features": torch.empty(40, 0)}, "features must be a matrix"),
}


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("case", REFUSED)
def test_bad_observations_are_one_sentence(case):
    changes, pattern = REFUSED[case]
    with pytest.raises(ValueError, match=pattern) as caught:
        observations(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folds", [0, 1, 11])
def test_folds_that_leave_a_class_without_images_are_refused(folds):
    with pytest.raises(ValueError, match=f"at most half the number of images of the smallest class, 20; got {folds}"):
        measure_synergy(observations(), folds=folds)


def test_a_task_of_one_label_is_refused():
    with pytest.raises(ValueError, match="a task of one label has nothing to know"):
        measure_synergy(observations(labels=torch.zeros(40, dtype=torch.int64), num_labels=1))


def test_an_interval_needs_two_images():
    with pytest.raises(ValueError, match="at least two images and two resamples; got 1 and 1000"):
        bootstrap(torch.zeros(4), torch.zeros(4, dtype=torch.int64))
