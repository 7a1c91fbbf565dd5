"""The effective rank counts the directions that features fill."""

from __future__ import annotations

import math

import pytest
import torch

from eqmodels.evaluation import effective_rank
from eqmodels.evaluation.collapse import measure_collapse
from eqmodels.fields import Scalars


def with_singular_values(values, count=40, width=12):
    """A matrix of zero mean with the singular values given."""
    left = torch.randn(count, len(values), dtype=torch.float64)
    left = torch.linalg.qr(left - left.mean(0)).Q
    right = torch.linalg.qr(torch.randn(width, len(values), dtype=torch.float64)).Q
    return left @ torch.tensor(values, dtype=torch.float64).diag() @ right.T


@pytest.mark.parametrize("rank", [1, 2, 5, 12])
def test_equally_filled_directions_are_counted(rank):
    assert effective_rank(with_singular_values([3.0] * rank)) == pytest.approx(rank)


def test_it_is_the_exponential_of_the_entropy():
    p = [0.5, 0.3, 0.15, 0.05]
    expected = math.exp(-sum(x * math.log(x) for x in p))
    assert effective_rank(with_singular_values([7 * x for x in p])) == pytest.approx(expected)


def test_scale_shift_and_turn_do_not_matter():
    features = torch.randn(50, 6, dtype=torch.float64) * torch.arange(1, 7)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    expected = effective_rank(features)
    assert 1 < expected < 6
    for moved in (features * 1e-30, features + 1000, features @ turn, features[torch.randperm(50)]):
        assert effective_rank(moved) == pytest.approx(expected, rel=1e-6)


def test_the_mean_is_no_direction():
    features = with_singular_values([1.0, 1.0]) + 100 * torch.randn(12, dtype=torch.float64)
    assert effective_rank(features) == pytest.approx(2)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e10])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_constant_features_have_rank_0(value, count):
    assert effective_rank(torch.full((count, 7), value)) == 0


def test_it_is_at_most_one_less_than_the_images():
    assert effective_rank(torch.randn(4, 100)) <= 3 + 1e-9


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^features must be finite; those of 1 of 2 images are not\. Look for a diverged"
    ):
        effective_rank(torch.tensor([[1.0, value], [0.0, 1.0]]))
    assert math.isnan(measure_collapse(torch.tensor([[1.0, value], [0.0, 1.0]]), Scalars(2)).effective_rank)


@pytest.mark.parametrize("scale", [1e307, 1e-307, 2.0**-1040])
def test_numbers_whose_squares_are_none_have_the_same_rank(scale):
    features = torch.randn(50, 6, dtype=torch.float64).clamp(-3, 3)
    assert effective_rank(features * scale) == pytest.approx(effective_rank(features), rel=1e-6)


def test_collapse_reports_the_same_rank():
    vectors = torch.randn(30, 8) * torch.arange(8)
    assert measure_collapse(vectors, Scalars(8)).effective_rank == effective_rank(vectors)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,), (3, 4, 5, 5)])
def test_bad_input_is_one_sentence(shape):
    with pytest.raises(ValueError, match=r"features must be a matrix .* and not empty; got shape"):
        effective_rank(torch.zeros(shape))
