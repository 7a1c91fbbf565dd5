"""Every way in which torch and loaders place weights gives the network that the state says, bit for bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from eqmodels import create_model
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d

NETWORKS = {
    "pixel": ("c4_resnet18s_w8", {"global_pool": "canonical", "pose_hidden": 8}),
    "harmonic": ("c8_resnet18s_w8", {}),
    "restricted": ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1")}),
}


def owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path), leaf


def by_assignment(model, state):
    model.load_state_dict(state, assign=True)


def emptied(model, state):
    model.to_empty(device="cpu").load_state_dict(state)


def one_by_one(model, state):
    """As transformers does: each tensor becomes a fresh parameter or buffer of its module."""
    for name, value in state.items():
        module, leaf = owner(model, name)
        setattr(module, leaf, nn.Parameter(value.clone()) if leaf in module._parameters else value.clone())


def behind_the_module_s_back(model, state):
    """As accelerate's `set_module_tensor_to_device` does: nothing of the module is called."""
    for name, value in state.items():
        module, leaf = owner(model, name)
        if leaf in module._parameters:
            module._parameters[leaf] = nn.Parameter(value.clone())
        else:
            module._buffers[leaf] = value.clone()


def for_one_forward_pass(model, state):
    """As accelerate's hooks of a device map do: weights come before a module's forward pass, and go after it."""

    def fetch(name):
        def hook(module, _):
            for leaf in module._parameters:
                if module._parameters[leaf] is not None:
                    module._parameters[leaf] = nn.Parameter(state[f"{name}.{leaf}"].clone())
            for leaf in module._buffers:
                module._buffers[leaf] = state[f"{name}.{leaf}"].clone()

        return hook

    def release(module, *_):
        for leaf, value in module._parameters.items():
            module._parameters[leaf] = None if value is None else nn.Parameter(value.detach().to("meta"))

    for name, module in model.named_modules():
        if module._parameters or module._buffers:
            module.register_forward_pre_hook(fetch(name))
            module.register_forward_hook(release)
        if isinstance(module, FieldBatchNorm2d):  # which reads the weights of its child without calling it
            hook = fetch(f"{name}.bn")
            module.register_forward_pre_hook(lambda module, inputs, hook=hook: hook(module.bn, inputs))


WAYS = [by_assignment, emptied, one_by_one, behind_the_module_s_back, for_one_forward_pass]


@pytest.fixture(params=NETWORKS)
def built(request, randomised, shallow):
    name, options = NETWORKS[request.param]
    return name, options, randomised(create_model(name, num_classes=3, **options)).eval()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_network_built_on_meta_becomes_the_network(way, built, images):
    name, options, model = built
    with torch.device("meta"):
        other = create_model(name, num_classes=3, **options).eval()
    way(other, model.state_dict())
    with torch.no_grad():
        assert torch.equal(other(images), model(images))
        assert torch.equal(other(images), model(images)), "and the second time"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_half_and_back_rounds_the_weights_alone(dtype, built, images):
    _, _, model = built
    other = copy.deepcopy(model).to(dtype).float()
    rounded = {name: value.to(dtype).float() for name, value in model.state_dict().items() if value.is_floating_point()}
    model.load_state_dict(rounded, strict=False)
    with torch.no_grad():
        assert torch.equal(other(images), model(images))


@pytest.mark.parametrize("name", ["c4", "c8", "d3"])
def test_filters_follow_a_weight_of_another_type(name):
    conv = SteerableConv2d(name, 2, 2, 3)
    expected = copy.deepcopy(conv).double().expanded()
    conv.weight = nn.Parameter(conv.weight.detach().double())
    assert torch.equal(conv.expanded(), expected)


@pytest.mark.parametrize("name", ["c4", "c8"])
def test_filters_follow_a_weight_to_meta_and_back(name):
    conv = SteerableConv2d(name, 2, 2, 3)
    expected, weight = conv.expanded(), conv.weight
    conv._parameters["weight"] = nn.Parameter(weight.detach().to("meta"))
    assert conv.expanded().is_meta
    conv._parameters["weight"] = weight
    assert torch.equal(conv.expanded(), expected)


@pytest.mark.parametrize("name", ["c4", "c8"])
def test_a_functional_call_takes_weights_of_another_type(name):
    conv = SteerableConv2d(name, 2, 2, 3)
    maps = torch.randn(1, conv.in_channels, 6, 6)
    weights = {key: value.detach().double() for key, value in conv.named_parameters()}
    expected = copy.deepcopy(conv).double()(maps.double())
    assert torch.equal(torch.func.functional_call(conv, weights, (maps.double(),)), expected)
    assert conv(maps).dtype == torch.float32
