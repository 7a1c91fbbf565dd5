"""Normalisation and dropout treat a regular field as one."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from eqmodels.groups import PlanarGroup
from eqmodels.layers import FieldBatchNorm2d, FieldDropout2d, FieldLayerNorm2d
from tests.layers.commuting import GROUPS, assert_commutes, randomise

FIELDS = 3

each_group = pytest.mark.parametrize("name", GROUPS)
each_memory = pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])


def random_maps(name, *, fields=FIELDS, batch=4, memory=torch.contiguous_format, dtype=torch.float64):
    channels = PlanarGroup.parse(name).order * fields
    # Every channel has a mean and a scale of its own, so that it matters over what the statistics run.
    scale, shift = 1 + torch.rand(channels, 1, 1), torch.randn(channels, 1, 1)
    return (torch.randn(batch, channels, 5, 4) * scale + shift).to(dtype, memory_format=memory)


def random_norm(norm):
    randomise(norm)
    for key, value in norm.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_()
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    return norm


def by_hand(bn: nn.BatchNorm2d, maps: torch.Tensor) -> torch.Tensor:
    """The definition: elements of the group are further images of the batch."""
    batch, _, height, width = maps.shape
    return bn(maps.reshape(-1, bn.num_features, height, width)).reshape(batch, -1, height, width)


# Batch-norm.


class ReplacedBatchNorm2d(nn.BatchNorm2d):
    """Any other child than the stock one, which FieldBatchNorm2d must call."""


@each_group
@each_memory
@pytest.mark.parametrize("child", [nn.BatchNorm2d, ReplacedBatchNorm2d], ids=["fused", "called"])
def test_batch_norm_is_that_of_one_channel_a_field(name, memory, child):
    """Outputs, gradients and running statistics, over two steps of training and then in evaluation."""
    ours = random_norm(FieldBatchNorm2d(name, FIELDS, momentum=0.3, eps=1e-3))
    theirs = copy.deepcopy(ours.bn)
    ours.bn.__class__ = child
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        maps = random_maps(name, memory=memory).requires_grad_()
        copied = maps.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        weights = torch.randn_like(copied)
        actual, expected = ours(maps), by_hand(theirs, copied)
        torch.testing.assert_close(actual, expected)
        ours.zero_grad()
        theirs.zero_grad()
        (actual * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(maps.grad, copied.grad)
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, other.grad)
        assert ours.state_dict().keys() == {f"bn.{key}" for key in theirs.state_dict()}
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[f"bn.{key}"], value)


@pytest.mark.parametrize("name", ["c1", "c2"])
@pytest.mark.usefixtures("no_shape_checks")
def test_batch_norm_has_second_derivatives(name):
    norm = random_norm(FieldBatchNorm2d(name, 2))
    maps = random_maps(name, fields=2, batch=2)[..., :2, :2].requires_grad_()

    def of_everything(maps, weight, bias):
        parameters = {"bn.weight": weight, "bn.bias": bias}
        return torch.func.functional_call(norm, parameters, (maps,))

    inputs = (maps, norm.bn.weight, norm.bn.bias)
    assert torch.autograd.gradcheck(of_everything, inputs)
    assert torch.autograd.gradgradcheck(of_everything, inputs)


@each_memory
def test_batch_norm_in_float32_is_as_precise_as_that_of_plain_channels(memory):
    """Far from zero; PyTorch's own sums are the less precise in channels-last memory."""
    maps = random_maps("c4", fields=2, batch=2, dtype=torch.float32).repeat(2, 1, 20, 20) + 30
    maps = maps.contiguous(memory_format=memory)
    ours, plain, exact = FieldBatchNorm2d("c4", 2), nn.BatchNorm2d(8), nn.BatchNorm2d(2).double()
    error = (ours(maps).double() - by_hand(exact, maps.double())).abs().max()
    usual = (plain(maps).double() - nn.BatchNorm2d(8).double()(maps.double())).abs().max()
    assert error < 2 * usual + 1e-5
    torch.testing.assert_close(ours.bn.running_var.double(), exact.running_var, rtol=1e-3, atol=0)


@each_group
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_commutes(name, training):
    norm = random_norm(FieldBatchNorm2d(name, FIELDS)).train(training)
    group, maps = norm.group, random_maps(name)
    assert_commutes(norm, group, maps)
    # Over the fibre it holds for the elements that the grid does not have, too.
    assert_commutes(norm, group, maps, before="permute_fibre", after="permute_fibre", elements=group.elements)


def test_batch_norm_of_a_frozen_network_keeps_its_statistics():
    norm = random_norm(FieldBatchNorm2d("c4", FIELDS)).eval()
    before = copy.deepcopy(norm.state_dict())
    norm(random_maps("c4"))
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())


def test_sync_batch_norm_takes_the_place_of_the_child():
    model = nn.Sequential(random_norm(FieldBatchNorm2d("d4", FIELDS)))
    maps, state = random_maps("d4"), copy.deepcopy(model.state_dict())
    expected = model.eval()(maps)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(converted[0].bn) is nn.SyncBatchNorm
    assert converted.state_dict().keys() == state.keys()
    # Its training mode needs several devices; in evaluation it answers here as well.
    torch.testing.assert_close(converted.eval()(maps), expected)


def test_batch_norm_of_a_single_value_is_refused():
    with pytest.raises(ValueError, match=r"more than (one|1) value"):
        FieldBatchNorm2d("c1", 2)(torch.zeros(1, 2, 1, 1))


# Layer-norm.


@each_group
def test_layer_norm_normalises_each_pixel_over_all_channels(name):
    norm = random_norm(FieldLayerNorm2d(name, FIELDS, eps=1e-2))
    maps, order = random_maps(name), PlanarGroup.parse(name).order
    for pixel in [(0, 0), (2, 3)]:
        values = maps[(0, slice(None), *pixel)]
        normalised = (values - values.mean()) / (values.var(correction=0) + 1e-2).sqrt()
        expected = [normalised[i] * norm.weight[i % FIELDS] + norm.bias[i % FIELDS] for i in range(order * FIELDS)]
        torch.testing.assert_close(norm(maps)[(0, slice(None), *pixel)], torch.stack(expected))


@each_group
def test_layer_norm_commutes(name):
    norm = random_norm(FieldLayerNorm2d(name, FIELDS))
    group, maps = norm.group, random_maps(name)
    assert_commutes(norm, group, maps)
    assert_commutes(norm, group, maps, before="permute_fibre", after="permute_fibre", elements=group.elements)


def test_layer_norm_does_not_depend_on_the_batch():
    norm, maps = random_norm(FieldLayerNorm2d("c4", FIELDS)), random_maps("c4")
    torch.testing.assert_close(norm(maps)[:1], norm(maps[:1]))


# Dropout.


@each_group
def test_dropout_keeps_or_drops_whole_fields(name):
    order, p = PlanarGroup.parse(name).order, 0.3
    maps = torch.rand(8, order * 50, 3, 2) + 0.5
    dropped = FieldDropout2d(name, p)(maps)
    ratio = (dropped / maps).unflatten(1, (order, 50)).transpose(1, 2).flatten(2)
    # One number for a field's whole fibre at all pixels, either 0 or 1 / (1 - p).
    torch.testing.assert_close(ratio, ratio[:, :, :1].expand_as(ratio))
    kept = ratio[:, :, 0] > 0
    torch.testing.assert_close(ratio[:, :, 0], kept / (1 - p))
    # 400 independent fields: five standard deviations around 1 - p, hence an unchanged expectation.
    assert abs(float(kept.float().mean()) - (1 - p)) < 5 * (p * (1 - p) / 400) ** 0.5
    assert not torch.equal(kept[0], kept[1]), "every image has its own mask"


@each_group
def test_dropout_does_nothing_in_evaluation_or_with_probability_0(name):
    maps = random_maps(name)
    assert torch.equal(FieldDropout2d(name, 0.9).eval()(maps), maps)
    assert torch.equal(FieldDropout2d(name, 0.0)(maps), maps)


def test_dropout_with_probability_1_leaves_nothing():
    assert not FieldDropout2d("c4", 1.0)(random_maps("c4")).any()


@each_group
def test_dropout_with_the_same_mask_commutes(name):
    group, maps = PlanarGroup.parse(name), random_maps(name)
    dropout = FieldDropout2d(name, 0.5)

    def same_mask(maps):
        torch.manual_seed(1)
        return dropout(maps)

    assert_commutes(same_mask, group, maps)
    assert_commutes(same_mask, group, maps, before="permute_fibre", after="permute_fibre", elements=group.elements)


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_an_impossible_probability_is_answered_in_one_sentence(p):
    with pytest.raises(ValueError, match=re.escape(f"p must be a probability between 0 and 1; got {p}. Use 0")):
        FieldDropout2d("c4", p)


@pytest.mark.parametrize("build", [FieldBatchNorm2d, FieldLayerNorm2d])
@pytest.mark.parametrize("fields", [0, -1])
def test_an_impossible_number_of_fields_is_answered_in_one_sentence(build, fields):
    with pytest.raises(ValueError, match=f"fields must be at least 1; got {fields}"):
        build("c4", fields)


@pytest.mark.parametrize("layer", [FieldBatchNorm2d("c4", 2), FieldLayerNorm2d("c4", 2)], ids=str)
@pytest.mark.parametrize("channels", [6, 16])
@pytest.mark.usefixtures("no_shape_checks")
def test_maps_of_another_width_are_answered_in_one_sentence(layer, channels):
    message = f"this layer takes features of the shape (batch, 8, height, width); got (2, {channels}, 3, 3)."
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(torch.zeros(2, channels, 3, 3))


@pytest.mark.usefixtures("no_shape_checks")
def test_broken_fibres_are_answered_in_one_sentence():
    with pytest.raises(ValueError, match=r"\(batch, a multiple of 4, \.\.\.\); got \(2, 6, 3, 3\)"):
        FieldDropout2d("c4", 0.5)(torch.zeros(2, 6, 3, 3))


def test_a_cumulative_average_is_that_of_the_stock_module():
    """With `momentum` None, as `torch.optim.swa_utils.update_bn` sets it, the statistics are means over the batches."""
    norm = FieldBatchNorm2d("c4", 2)
    norm.bn.momentum = None
    batches = [torch.randn(3, 8, 4, 4) + shift for shift in range(3)]
    for batch in batches:
        norm(batch)
    means = torch.stack([batch.unflatten(1, (4, 2)).mean((0, 1, 3, 4)) for batch in batches])
    torch.testing.assert_close(norm.bn.running_mean, means.mean(0))


@pytest.mark.tracing
def test_a_traced_dropout_follows_its_mode():
    maps = torch.randn(2, 8, 3, 3)
    traced = torch.fx.symbolic_trace(FieldDropout2d("c4", 0.5))
    assert not torch.equal(traced.train()(maps), maps)
    assert torch.equal(traced.eval()(maps), maps)


def test_an_empty_batch_stays_empty():
    assert FieldBatchNorm2d("c4", 4)(torch.zeros(0, 16, 2, 2)).shape == (0, 16, 2, 2)


@pytest.mark.parametrize("name", ["c4", "d8"])
def test_gradients_in_bfloat16_are_right_to_its_rounding(name):
    norm = FieldBatchNorm2d(name, 4)
    maps = (10 + torch.randn(8, norm.group.order * 4, 6, 6)).bfloat16()
    functional = torch.randn(maps.shape).bfloat16()
    gradients = []
    for dtype in (torch.bfloat16, torch.float64):
        inputs = maps.detach().clone().to(dtype).requires_grad_()
        (norm.to(torch.float32 if dtype == torch.bfloat16 else dtype)(inputs) * functional.to(dtype)).sum().backward()
        gradients.append(inputs.grad.double())
    assert (gradients[0] - gradients[1]).norm() < 0.01 * gradients[1].norm()
