"""The loss of a prediction is the cross-entropy in nats, in enough digits."""

from __future__ import annotations

import math

import pytest
import torch

from eqmodels.objectives import prediction_loss


def test_knowing_nothing_costs_the_logarithm_of_the_number_of_labels():
    loss = prediction_loss(torch.zeros(6, 24, dtype=torch.float64), torch.arange(6))
    assert float(loss) == pytest.approx(math.log(24), abs=1e-12)


def test_it_is_the_mean_of_minus_the_log_probability():
    logits, labels = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    expected = -logits.softmax(1)[torch.arange(7), labels].log().mean()
    torch.testing.assert_close(prediction_loss(logits, labels), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "computed"),
    [(torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64, torch.float64)],
)
def test_it_is_computed_in_float32_at_least(given, computed):
    logits, labels = torch.randn(7, 4).to(given), torch.arange(7) % 4
    loss = prediction_loss(logits, labels)
    assert loss.dtype == computed
    assert torch.equal(loss, prediction_loss(logits.to(computed), labels))
