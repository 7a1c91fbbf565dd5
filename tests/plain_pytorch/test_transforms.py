"""The transforms of `torch.func` and forward-mode derivatives take a network in either mode, as they take a ResNet."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn import functional as F

from eqmodels import create_model
from eqmodels.layers import norm

LABELS = torch.tensor([0, 1, 2, 0])
MODES = ["train", "eval"]
NAMES = ["c4_resnet18s_w8", "c8_resnet18s_w8", "resnet18s_w4"]


def build(name, mode, randomised, **options):
    return randomised(create_model(name, num_classes=3, **options)).double().train(mode == "train")


@pytest.fixture
def maps():
    return torch.randn(4, 3, 9, 10, dtype=torch.float64)


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8 * float(expected.detach().abs().max()) + 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_an_ensemble_is_its_members(name, mode, randomised, shallow, maps):
    members = [build(name, mode, randomised) for _ in range(3)]
    parameters, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0])

    def member(parameters, buffers):
        return functional_call(skeleton, (parameters, buffers), (maps,))

    outputs = vmap(member)(parameters, buffers)
    for index, model in enumerate(members):
        assert_close(outputs[index], model(maps))
        for key, value in model.state_dict().items():
            stacked = buffers.get(key, parameters.get(key))
            torch.testing.assert_close(stacked[index].detach(), value, msg=f"statistics of the batch: {key}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_those_of_autograd(name, mode, randomised, shallow, maps):
    model = build(name, mode, randomised)
    parameters = {key: value.detach() for key, value in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(parameters):
        # Statistics that a transform would write into must be its own.
        own = {key: value.clone() for key, value in buffers.items()}
        return F.cross_entropy(functional_call(model, (parameters, own), (maps,)), LABELS)

    found = grad(loss)(parameters)
    F.cross_entropy(model(maps), LABELS).backward()
    for key, parameter in model.named_parameters():
        assert_close(found[key], parameter.grad)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_directional_derivatives_and_jacobians_agree(name, mode, randomised, shallow):
    model, images = build(name, mode, randomised), torch.randn(2, 3, 6, 6, dtype=torch.float64)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    buffers = dict(model.named_buffers())
    direction = torch.randn_like(images)

    def outputs(images):
        own = {key: value.clone() for key, value in buffers.items()}
        return functional_call(model, own, (images,))

    expected, change = jvp(outputs, (images,), (direction,))
    assert_close(expected, outputs(images))
    jacobian = jacrev(outputs)(images)
    assert_close(change, torch.einsum("bnxchw,xchw->bn", jacobian, direction))
    step = 1e-5
    difference = (outputs(images + step * direction) - outputs(images - step * direction)) / (2 * step)
    torch.testing.assert_close(change, difference, rtol=1e-3, atol=1e-4 * float(change.abs().max()))


@pytest.mark.parametrize("mode", MODES)
def test_dual_numbers_carry_derivatives(mode, randomised, shallow, maps):
    model = build("c4_resnet18s_w8", mode, randomised)
    direction = torch.randn_like(maps)
    with forward_ad.dual_level(), torch.no_grad():
        change = forward_ad.unpack_dual(model(forward_ad.make_dual(maps, direction))).tangent
    assert change is not None
    assert change.isfinite().all()


def test_the_fast_kernels_are_back_afterwards(monkeypatch):
    calls = []
    kernel = norm.field_batch_norm
    monkeypatch.setattr(norm, "field_batch_norm", lambda maps, bn: calls.append(0) or kernel(maps, bn))
    layer, maps = norm.FieldBatchNorm2d("c4", 2).eval(), torch.randn(2, 8, 5, 5)
    jvp(layer, (maps,), (torch.randn_like(maps),))
    vmap(layer)(maps[None])
    assert not calls
    layer(maps)
    assert calls
