"""Batch norms that other libraries freeze: each puts a module of its own in the place of the stock one."""

from __future__ import annotations

import copy

import pytest
import timm.utils
import torch
from timm.layers import freeze_batch_norm_2d
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant
from eqmodels.export import to_plain
from eqmodels.layers import FieldBatchNorm2d


class DetrFrozenBatchNorm2d(nn.Module):
    """As in DETR and in transformers: four buffers, and neither eps nor momentum."""

    def __init__(self, count: int) -> None:
        super().__init__()
        for name, value in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            self.register_buffer(name, torch.full((count,), value))

    def forward(self, x):
        weight, bias, variance, mean = (
            value.reshape(1, -1, 1, 1) for value in (self.weight, self.bias, self.running_var, self.running_mean)
        )
        scale = weight * (variance + 1e-5).rsqrt()
        return x * scale + (bias - mean * scale)


def replaced(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The same with frozen norms in the place of stock ones, wherever they are."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = kind(child.num_features)
            for key, value in frozen.named_buffers():
                value.copy_(child.state_dict()[key])
            module.add_module(name, frozen)
        else:
            replaced(child, kind)
    return module


WAYS = {
    "timm": freeze_batch_norm_2d,
    "torchvision": lambda model: replaced(model, FrozenBatchNorm2d),
    "DETR": lambda model: replaced(model, DetrFrozenBatchNorm2d),
}


@pytest.fixture(params=WAYS)
def frozen(request, model):
    """A network, and a copy with norms frozen, both in train mode."""
    return model, WAYS[request.param](copy.deepcopy(model))


@pytest.mark.parametrize("model", ["basic", "bottleneck", "wide", "standard"], indirect=True)
def test_a_frozen_norm_is_the_norm_in_eval_mode(frozen, images):
    model, other = (network.eval() for network in frozen)
    with torch.no_grad():
        expected = model(images)
        torch.testing.assert_close(other(images), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("model", ["basic"], indirect=True)
def test_it_stays_what_it_was_in_train_mode(frozen, images):
    model, other = frozen
    before = copy.deepcopy({name: value for name, value in other.state_dict().items() if "running" in name})
    outputs = other.train()(images)
    outputs.sum().backward()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in before.items())
    with torch.no_grad():
        expected = model.eval()(images)
    torch.testing.assert_close(outputs.detach(), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("model", ["basic"], indirect=True)
def test_it_is_exported_and_equivariant(frozen, images):
    _, other = frozen
    other.eval()
    assert_equivariant(other, size=14)
    for fold in (False, True):
        with torch.no_grad():
            expected = other(images)
            plain = to_plain(other, size=(16, 20), fold_batch_norm=fold)(images)
        torch.testing.assert_close(plain, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_one_frozen_stage_leaves_the_others_to_learn(images):
    model = create_model("c4_resnet18s_w4", num_classes=3)
    timm.utils.freeze(model, ["stem"])
    model(images).sum().backward()
    assert model.stem.conv.weight.grad is None
    assert model.layer1[0].conv1.weight.grad is not None


def test_a_norm_without_scale_and_shift_is_the_stock_one():
    norm = FieldBatchNorm2d("c4", 3)
    plain = copy.deepcopy(norm)
    plain.bn = nn.BatchNorm2d(3, affine=False)
    maps = torch.randn(2, 12, 5, 6)
    torch.testing.assert_close(plain(maps), norm(maps))
