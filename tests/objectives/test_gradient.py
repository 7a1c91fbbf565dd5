"""A scaled gradient: the identity forwards, a factor backwards."""

from __future__ import annotations

import pytest
import torch

from eqmodels.objectives import scale_gradient

FACTORS = [-9.0, -1.0, 0.0, 0.5, 1.0, 3.0]


def features(dtype=torch.float64):
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_forwards_it_is_the_identity(factor, dtype):
    x = features(dtype)
    x[0, 0], x[1, 1] = torch.inf, torch.nan
    scaled = scale_gradient(x, factor)
    assert scaled.dtype == dtype
    assert torch.equal(scaled.nan_to_num(), x.nan_to_num())


@pytest.mark.parametrize("factor", FACTORS)
def test_backwards_it_is_a_factor(factor):
    def gradients(scale):
        x, reader = features().requires_grad_(), torch.arange(6, dtype=torch.float64).reshape(3, 2).requires_grad_()
        (scale(x) @ reader).exp().sum().log().backward()
        return x.grad, reader.grad

    (of_x, of_reader), (plain, own) = gradients(lambda x: scale_gradient(x, factor)), gradients(lambda x: x)
    torch.testing.assert_close(of_x, factor * plain, rtol=1e-12, atol=1e-12)
    assert torch.equal(of_reader, own)
    assert plain.abs().max() > 0.1


def test_it_does_not_touch_other_ways_of_the_gradient():
    x = features().requires_grad_()
    (x.sin().sum() + scale_gradient(x, -2.0).cos().sum()).backward()
    torch.testing.assert_close(x.grad, x.detach().cos() + 2 * x.detach().sin(), rtol=1e-12, atol=1e-12)


def test_it_keeps_the_precision_of_autocast():
    layer, x = torch.nn.Linear(3, 4), features(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = scale_gradient(layer(x), -1.0)
    assert hidden.dtype == torch.bfloat16
    hidden.float().sum().backward()
    torch.testing.assert_close(layer.bias.grad, torch.full((4,), -5.0))


@pytest.mark.tracing
def test_it_compiles_in_one_graph():
    def loss(x):
        return (scale_gradient(x * 2, -3.0) ** 2).sum()

    x = features().requires_grad_()
    torch.compile(loss, backend="aot_eager", fullgraph=True)(x).backward()
    torch.testing.assert_close(x.grad, -3 * 8 * x.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -float("inf")])
def test_a_factor_that_is_no_number_is_refused(factor):
    with pytest.raises(ValueError, match=r"^factor must be a finite number, .*; got -?(nan|inf)\. Pass 1 to"):
        scale_gradient(features(), factor)
