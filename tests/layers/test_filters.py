"""The expansion of one small weight: its memory, its dtype, its gradient and its state."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from eqmodels.layers import SteerableConv2d, SteerableFilters

CHOICES = [
    ("c1", "pixel", 3),
    ("c4", "pixel", 3),
    ("d4", "pixel", 4),
    ("c4", "harmonic", 3),
    ("d8", "harmonic", 5),
    ("c3", "harmonic", 1),
]

each_choice = pytest.mark.parametrize(("name", "basis", "kernel_size"), CHOICES)
lifting_or_regular = pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "regular"])


@each_choice
@lifting_or_regular
def test_filters_lie_in_channels_last_memory(name, basis, kernel_size, lifting):
    filters = SteerableFilters(name, 3, 2, kernel_size, basis=basis, lifting=lifting)
    expanded = filters.expanded()
    assert expanded.shape == (filters.out_channels, filters.in_channels, kernel_size, kernel_size)
    assert expanded.is_contiguous(memory_format=torch.channels_last)


@each_choice
def test_filters_have_the_dtype_of_autocast_and_the_gradient_of_the_weight(name, basis, kernel_size):
    filters = SteerableFilters(name, 3, 2, kernel_size, basis=basis)
    exact = filters.expanded()
    assert exact.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        expanded = filters.expanded()
    assert expanded.dtype == torch.bfloat16
    torch.testing.assert_close(expanded.float(), exact, rtol=0.05, atol=0.05)
    expanded.float().square().sum().backward()
    assert filters.weight.grad.dtype == torch.float32
    assert filters.weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@each_choice
def test_filters_follow_the_module_to_another_dtype(name, basis, kernel_size, dtype):
    assert SteerableFilters(name, 3, 2, kernel_size, basis=basis).to(dtype).expanded().dtype == dtype


@each_choice
@lifting_or_regular
def test_the_expansion_is_linear_in_the_weight_and_has_its_gradient(name, basis, kernel_size, lifting):
    filters = SteerableFilters(name, 1, 1, kernel_size, basis=basis, lifting=lifting).double()
    functional = torch.randn_like(filters.expanded())
    (filters.expanded() * functional).sum().backward()
    with torch.no_grad():
        before = (filters.expanded() * functional).sum()
        step = torch.randn_like(filters.weight)
        filters.weight += step
        difference = (filters.expanded() * functional).sum() - before
    torch.testing.assert_close(difference, (filters.weight.grad * step).sum())


@each_choice
def test_the_state_is_the_weight_alone_in_every_mode(name, basis, kernel_size):
    filters = SteerableFilters(name, 3, 2, kernel_size, basis=basis)
    assert list(filters.train().state_dict()) == list(filters.eval().state_dict()) == ["weight"]


def test_filters_follow_the_weight_in_every_mode():
    """No filters are kept behind the caller's back: an averaged teacher in evaluation mode uses its newest weight."""
    conv = SteerableConv2d("c4", 2, 2, 3).eval()
    with torch.no_grad():
        maps = torch.randn(1, 8, 5, 5)
        before = conv(maps)
        conv.weight.mul_(2)
        torch.testing.assert_close(conv(maps), 2 * before)


@each_choice
def test_copies_and_pickles_have_the_same_filters(name, basis, kernel_size):
    filters = SteerableFilters(name, 3, 2, kernel_size, basis=basis)
    for other in (copy.deepcopy(filters), pickle.loads(pickle.dumps(filters))):
        assert torch.equal(other.expanded(), filters.expanded())
        assert other.weight is not filters.weight


@pytest.mark.parametrize(("name", "kernel_size"), [("d4", 5), ("c8", 3), ("d3", 5)])
@pytest.mark.parametrize("kind", ["inference", "meta"])
def test_filters_do_not_remember_where_their_kind_was_first_built(name, kernel_size, kind):
    """Neither the inference mode nor the default device of a first network may reach a later one."""
    from eqmodels.layers import filters as module

    module._tables.cache_clear()
    with torch.inference_mode() if kind == "inference" else torch.device("meta"):
        SteerableConv2d(name, 2, 2, kernel_size)
    conv = SteerableConv2d(name, 2, 2, kernel_size)
    conv(torch.randn(1, conv.in_channels, 6, 6)).sum().backward()
    assert conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "kernel_size"), [("d4", 3), ("c8", 5)])
def test_shapes_are_known_on_the_meta_device(name, kernel_size):
    with torch.device("meta"):
        conv = SteerableConv2d(name, 2, 3, kernel_size)
        maps = conv(torch.zeros(1, conv.in_channels, 8, 9))
    assert maps.is_meta
    assert maps.shape == (1, conv.out_channels, 8, 9)
