"""Exact information: known values, identities on random networks, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqmodels.measures import BayesianNetwork, Variable, additive, pose_cue, style_leak, two_poses
from eqmodels.measures.theorems import random_network

SEEDS = st.integers(0, 10_000)


def networks(seed):
    return random_network(np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("transformations", "classes", "synergy"), [(2, 10, 0.6238), (4, 10, 1.2045), (24, 10, 2.0979), (4, 100, 1.3681)]
)
def test_synergy_of_the_additive_model(transformations, classes, synergy):
    """Values of FACTS, to a thousandth of a nat."""
    network = additive(transformations, classes)
    assert network.mutual_information("A", "C", given="X") == pytest.approx(synergy, abs=1e-3)
    assert network.mutual_information("A", "C") == pytest.approx(0, abs=1e-12)
    shown = additive(transformations, classes, strength=0)
    assert shown.mutual_information("A", "C", given="X") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("accuracy", "usable", "residual"), [(0.1, 0, 0.936), (0.5, 0.187, 0.749), (0.9, 0.726, 0.210), (1.0, 0.936, 0)]
)
def test_synergy_vanishes_where_learning_the_class_pays_most(accuracy, usable, residual):
    network = pose_cue(accuracy)
    assert network.mutual_information("A", "C", given="P") == pytest.approx(0.936, abs=1e-3)
    assert network.entropy("A", "P") - network.entropy("A", ("P", "K")) == pytest.approx(usable, abs=1e-3)
    assert network.mutual_information("A", "C", given=("P", "K")) == pytest.approx(residual, abs=1e-3)


def test_a_shortcut_takes_the_synergy_away_and_pruning_it_gives_it_back():
    leaks = [style_leak(leak) for leak in (0.0, 0.25, 0.5, 0.75, 1.0)]
    synergies = [network.mutual_information("A", "C", given=("P", "L")) for network in leaks]
    assert all(one > other + 0.05 for one, other in itertools.pairwise(synergies))
    assert synergies[0] == pytest.approx(leaks[0].mutual_information("A", "C", given="P"), abs=1e-12)
    assert synergies[-1] == pytest.approx(0, abs=1e-12)


def test_several_transformations_gain_the_smaller_of_the_two_gains():
    network = two_poses()
    information, seen = network.mutual_information, ("P1", "P2")
    single = max(information("A1", "C", seen), information("A2", "C", seen))
    gains = information("A1", "C", (*seen, "A2")), information("A2", "C", (*seen, "A1"))
    gain = information(("A1", "A2"), "C", seen) - single
    assert gain == pytest.approx(min(gains), abs=1e-9)
    assert gain < max(gains) - 0.1


def test_entropies_of_a_fair_and_of_a_biased_coin():
    network = BayesianNetwork([Variable.uniform("fair", 2), Variable("biased", [0.9, 0.1])])
    assert network.entropy("fair") == pytest.approx(math.log(2), abs=1e-15)
    assert network.entropy("biased") == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=1e-15)
    assert network.entropy(("fair", "biased")) == pytest.approx(network.entropy("fair") + network.entropy("biased"))
    assert network.entropy("fair", given="fair") == 0
    assert network.mutual_information("fair", "fair") == pytest.approx(math.log(2))


def test_parity_is_pure_synergy_and_a_copy_pure_redundancy():
    bits = [Variable.uniform("a", 2), Variable.uniform("b", 2)]
    parity = BayesianNetwork([*bits, Variable.function("x", {"a": 2, "b": 2}, lambda a, b: a ^ b)])
    assert parity.interaction_information("a", "b", "x") == pytest.approx(math.log(2))
    copies = [Variable.function(name, {"a": 2}, lambda a: a) for name in ("b", "c")]
    redundant = BayesianNetwork([bits[0], *copies])
    assert redundant.interaction_information("a", "b", "c") == pytest.approx(-math.log(2))
    four = BayesianNetwork(
        [*bits, Variable.function("x", {"a": 2, "b": 2}, lambda a, b: a ^ b), Variable.uniform("d", 2)]
    )
    assert four.interaction_information("a", "b", "x", "d") == pytest.approx(0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_identities_hold_in_random_networks(seed):
    network = networks(seed)
    h, i = network.entropy, network.mutual_information
    assert network.joint.sum() == pytest.approx(1, abs=1e-12)
    assert h(("A1", "C"), "X") == pytest.approx(h("A1", "X") + h("C", ("X", "A1")), abs=1e-9)
    assert i("A1", "C", "X") == pytest.approx(i("C", "A1", "X"), abs=1e-9)
    assert i(("A1", "A2"), "X") == pytest.approx(i("A1", "X") + i("A2", "X", "A1"), abs=1e-9)
    assert i("A1", "Z") <= i("A1", "X") + 1e-9
    direct = sum(
        p * math.log(p / (a * c))
        for (p, a, c) in zip(
            network.marginal(("A1", "X")).ravel(),
            np.repeat(network.marginal("A1"), len(network.marginal("X"))),
            np.tile(network.marginal("X"), len(network.marginal("A1"))),
            strict=True,
        )
        if p > 0
    )
    assert i("A1", "X") == pytest.approx(direct, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.permutations(["A1", "A2", "C", "S", "X", "Z"]), st.integers(1, 6))
def test_marginals_have_the_order_that_was_asked_for(seed, names, count):
    network, names = networks(seed), names[:count]
    marginal = network.marginal(names)
    assert marginal.shape == tuple(network.joint.shape[network.names.index(name)] for name in names)
    state = tuple(0 for _ in names)
    chosen = tuple(0 if name in names else slice(None) for name in network.names)
    assert marginal[state] == pytest.approx(network.joint[chosen].sum(), abs=1e-15)


def test_samples_follow_the_joint_distribution():
    network = pose_cue(0.5)
    samples = network.sample(200_000, seed=1)
    assert list(samples) == ["A", "C", "R", "P", "K"]
    np.testing.assert_array_equal(samples["P"], (samples["A"] + samples["R"]) % 4)
    counts = np.zeros_like(network.marginal(("C", "K")))
    np.add.at(counts, (samples["C"], samples["K"]), 1 / 200_000)
    np.testing.assert_allclose(counts, network.marginal(("C", "K")), atol=2e-3)
    again = network.sample(200_000, seed=1)
    assert all((samples[name] == again[name]).all() for name in samples)


REFUSED = {
    "name twice": (lambda: BayesianNetwork([Variable.uniform("a", 2)] * 2), "names must be different"),
    "no name": (lambda: BayesianNetwork([Variable.uniform("", 2)]), "not empty"),
    "parent later": (
        lambda: BayesianNetwork([Variable("x", np.eye(2), ["a"]), Variable.uniform("a", 2)]),
        "parents of x must come before it",
    ),
    "shape": (
        lambda: BayesianNetwork([Variable.uniform("a", 3), Variable("x", np.eye(2), ["a"])]),
        r"of sizes \(3,\).*got the shape \(2, 2\)",
    ),
    "sum": (lambda: BayesianNetwork([Variable("a", [0.5, 0.6])]), "off by 0.1"),
    "negative": (lambda: BayesianNetwork([Variable("a", [1.5, -0.5])]), "an entry is negative"),
    "nan": (lambda: BayesianNetwork([Variable("a", [math.nan, 1.0])]), "sum to 1"),
    "too large": (lambda: BayesianNetwork([Variable.uniform(str(i), 10) for i in range(9)]), "at most 20,000,000"),
    "unknown name": (lambda: additive(2, 2).entropy("Y"), "variables of this network are A, C, X; got 'Y'"),
    "twice": (lambda: additive(2, 2).marginal(["A", "A"]), "names must differ"),
    "one group": (lambda: additive(2, 2).interaction_information("A"), "at least two groups"),
    "no sample": (lambda: additive(2, 2).sample(0), "count must be at least 1"),
    "no value": (lambda: additive(0, 2), "values of A must be at least 1"),
    "negative strength": (lambda: additive(2, 2, strength=-1), "strength must not be negative"),
    "probability": (lambda: pose_cue(1.5), "accuracy is a probability, from 0 to 1; got 1.5"),
    "leak": (lambda: style_leak(-0.1), "leak is a probability"),
    "one pose": (lambda: two_poses(poses=1), "at least two poses"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_sentence(case):
    call, pattern = REFUSED[case]
    with pytest.raises(ValueError, match=pattern) as caught:
        call()
    assert "\n" not in str(caught.value)
