"""Spearman's correlation: known values, laws and intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqmodels.measures.rank_correlation import rank_correlation

SERIES = st.lists(st.integers(-5, 5), min_size=3, max_size=12)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [4, 5, 60], 1.0),
        ([1, 2, 3], [3, 2, -7], -1.0),
        # 1 - 6 sum d^2 / (n (n^2 - 1)), without ties.
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 1 - 6 * 4 / (5 * 24)),
        # Ties share their mean rank: the correlation of (0, 1.5, 1.5, 3) and (0, 1, 2, 3).
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5)),
    ],
)
def test_known_values(one, other, expected):
    assert rank_correlation(one, other).mean == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(SERIES)
def test_a_monotone_change_of_values_changes_nothing(values):
    other = np.random.default_rng(len(values)).normal(size=len(values))
    one = rank_correlation(values, other, seed=1)
    two = rank_correlation(np.exp(np.array(values) / 3.0), other, seed=1)
    assert (math.isnan(one.mean) and math.isnan(two.mean)) or one.mean == pytest.approx(two.mean, abs=1e-9)


def test_the_interval_of_independent_series_covers_zero_and_of_dependent_ones_does_not():
    generator = np.random.default_rng(0)
    x, noise = generator.normal(size=(2, 60))
    independent, dependent = rank_correlation(x, noise), rank_correlation(x, x + 0.5 * noise)
    assert independent.low < 0 < independent.high
    assert dependent.low > 0.5
    assert independent.low <= independent.mean <= independent.high
    assert independent.count == 60


def test_pairs_of_a_group_are_drawn_together():
    """Each pair ten times is no more evidence than once."""
    generator = np.random.default_rng(3)
    x, noise = generator.normal(size=(2, 12))
    once = rank_correlation(x, x + noise)
    pairs = [np.repeat(values, 10) for values in (x, x + noise)]
    groups = [str(i // 10) for i in range(120)]
    grouped, careless = rank_correlation(*pairs, groups=groups), rank_correlation(*pairs)
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=0.2)
    assert careless.high - careless.low < 0.6 * (once.high - once.low)
    assert math.isnan(rank_correlation([1, 2, 3], [1, 2, 3], groups=["a", "a", "b"]).low)


def test_a_constant_series_has_no_correlation():
    found = rank_correlation([1, 1, 1], [1, 2, 3])
    assert math.isnan(found.mean)
    assert math.isnan(found.low)


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, math.nan], [1, 2, 3]), ([[1], [2], [3]], [1, 2, 3])],
)
def test_bad_input_is_one_sentence(one, other):
    with pytest.raises(ValueError, match="at least three pairs of finite numbers"):
        rank_correlation(one, other)
