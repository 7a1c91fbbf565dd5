"""Intervals contain the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from eqmodels.evaluation import Estimate, estimate, proportion_interval
from eqmodels.measures.intervals import t_quantile


@pytest.mark.parametrize(
    ("degrees", "value"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (5, 2.5706),
        (10, 2.2281),
        (30, 2.0423),
        (120, 1.9799),
        (1000, 1.9623),
        (1001, 1.9623),
        (10**9, 1.95996),
    ],
)
def test_the_quantiles_are_those_of_the_tables(degrees, value):
    assert t_quantile(0.975, degrees) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("probability", [0.001, 0.2, 0.9, 0.995])
def test_the_quantiles_of_one_and_two_degrees_are_closed_formulas(probability):
    assert t_quantile(probability, 1) == pytest.approx(math.tan(math.pi * (probability - 0.5)), rel=1e-9)
    half = 2 * probability - 1
    assert t_quantile(probability, 2) == pytest.approx(half * math.sqrt(2 / (1 - half**2)), rel=1e-9)


@pytest.mark.parametrize("degrees", [1, 2, 7, 10**4])
def test_the_median_is_zero_and_the_tails_are_mirrored(degrees):
    assert t_quantile(0.5, degrees) == pytest.approx(0, abs=1e-12)
    assert t_quantile(0.1, degrees) == pytest.approx(-t_quantile(0.9, degrees))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_95_per_cent_of_the_intervals_contain_the_mean(count):
    runs = 0.8 + 0.03 * torch.randn(2000, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    intervals = [estimate(run) for run in runs.tolist()]
    covered = sum(interval.low <= 0.8 <= interval.high for interval in intervals) / 2000
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize(("p", "total"), [(0.85, 200), (0.5, 50), (0.98, 500)])
def test_95_per_cent_of_the_intervals_contain_the_accuracy(p, total):
    correct = torch.rand(2000, total, generator=torch.Generator().manual_seed(0)).lt(p).sum(1).tolist()
    intervals = {one: proportion_interval(one, total) for one in set(correct)}
    covered = sum(intervals[one].low <= p <= intervals[one].high for one in correct) / 2000
    assert 0.93 < covered < 0.975


def test_an_estimate_is_the_formula():
    found = estimate([1.0, 2.0, 6.0])
    half = 4.302653 * math.sqrt(7) / math.sqrt(3)
    assert (found.mean, found.count, found.values) == (3, 3, (1.0, 2.0, 6.0))
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-5)


def test_one_value_has_no_interval():
    found = estimate([0.848])
    assert (found.mean, found.count) == (0.848, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.as_percent(), str(found)) == ("84.8", "0.848")


def test_equal_values_have_an_interval_of_no_width():
    found = estimate(x for x in (0.5, 0.5, 0.5))
    assert (found.low, found.high) == (0.5, 0.5)


def test_wilsons_interval_is_that_of_the_literature():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for correct, total, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = proportion_interval(correct, total)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
        assert (found.mean, found.count) == (correct / total, total)


@pytest.mark.parametrize("total", [1, 7, 10_000])
def test_a_proportion_stays_within_0_and_1(total):
    none, every = proportion_interval(0, total), proportion_interval(total, total)
    assert none.low == none.mean == 0 < none.high < 1
    assert every.high == every.mean == 1 > every.low > 0
    assert every.low == pytest.approx(1 - none.high)


def test_an_estimate_is_shown_with_its_half_width():
    found = Estimate(0.848, 0.842, 0.854, 3)
    assert (found.as_percent(), str(found)) == ("84.8 ± 0.6", "0.848 ± 0.006")
    assert Estimate(0.9, 0.8, 0.92, 3).as_percent() == "90.0 ± 10.0"


def test_overlap_is_mutual_and_includes_the_ends():
    low, middle, high = Estimate(1.0, 0.0, 2.0, 3), Estimate(3.0, 2.0, 4.0, 3), Estimate(6.0, 5.0, 7.0, 3)
    inner = Estimate(3.0, 2.9, 3.1, 3)
    for one, other, expected in [(low, middle, True), (low, high, False), (middle, high, False), (middle, inner, True)]:
        assert one.overlaps(other) is other.overlaps(one) is expected
    assert low.overlaps(low)


def test_an_unknown_interval_overlaps_with_nothing_and_all():
    known, unknown = estimate([0.1, 0.2]), estimate([0.1])
    for one, other in [(known, unknown), (unknown, known)]:
        with pytest.raises(ValueError, match=r"needs two known intervals; that of 0\.1 is of 1 value"):
            one.overlaps(other)


def test_a_difference_has_the_interval_of_welch():
    a, b = estimate([3.0, 4.0, 5.0]), estimate([1.0, 2.0, 3.0])
    # Equal variances of as many values: the degrees are those of Student, 4.
    half = t_quantile(0.975, 4) * math.sqrt(2 / 3)
    found = a.minus(b)
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    back = b.minus(a)
    assert (back.mean, back.low, back.high) == pytest.approx((-found.mean, -found.high, -found.low))
    # A value that does not vary leaves the other's interval.
    constant = a.minus(estimate([1.0, 1.0, 1.0]))
    assert constant.high - constant.mean == pytest.approx(a.high - a.mean)
    exact = estimate([1.0, 1.0]).minus(estimate([0.5, 0.5]))
    assert exact.low == exact.high == 0.5
    assert math.isnan(a.minus(estimate([1.0])).low)


def test_nineteen_of_twenty_differences_are_covered_whatever_the_variances():
    generator = np.random.default_rng(0)
    for deviation in (0.2, 1.0, 5.0):
        ours, theirs = generator.normal(0, 1, (1000, 3)), generator.normal(0.5, deviation, (1000, 3))
        pairs = [estimate(a).minus(estimate(b)) for a, b in zip(ours, theirs, strict=True)]
        covered = np.mean([pair.low <= -0.5 <= pair.high for pair in pairs])
        # Rounded degrees make it rather too wide.
        assert 0.93 <= covered <= 0.99


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: proportion_interval(5, 9).minus(estimate([0.1])), "minus needs the values of both; 0.5556 has none"),
        (lambda: estimate([]), "values must be finite numbers, at least one"),
        (lambda: estimate([0.5, math.nan]), "values must be finite numbers"),
        (lambda: proportion_interval(5, 4), "correct must be from 0 to total, .* got 5 of 4"),
        (lambda: proportion_interval(-1, 4), "got -1 of 4"),
        (lambda: proportion_interval(0, 0), "got 0 of 0"),
        (lambda: t_quantile(1.0, 3), "probability must be between 0 and 1"),
        (lambda: t_quantile(0.9, 0), "degrees at least 1"),
    ],
)
def test_bad_input_is_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
