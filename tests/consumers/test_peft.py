"""peft adapts the weights of an encoder by matrices of low rank, and the network stays exactly equivariant."""

from __future__ import annotations

import copy

import peft
import pytest
import torch

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant
from eqmodels.layers import SteerableConv2d

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")


@pytest.fixture(params=["c4_resnet18s_w8", "c8_resnet18s_w8"])
def network(request, randomised):
    return randomised(create_model(request.param, num_classes=3)).eval()


def adapted(network, **options):
    weights = [f"{name}.weight" for name, module in network.named_modules() if isinstance(module, SteerableConv2d)]
    return peft.get_peft_model(network, peft.LoraConfig(r=2, target_modules=[], target_parameters=weights, **options))


def test_adapters_learn_keep_the_law_and_merge(network, tmp_path):
    images = torch.rand(2, 3, 12, 12)
    with torch.no_grad():
        before = network(images)
    original = copy.deepcopy(network)
    model = adapted(network, init_lora_weights=False)
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert all("lora_" in name for name in trainable)
    model(images).square().mean().backward()
    assert {name for name, value in model.named_parameters() if value.grad is not None} == trainable
    assert_equivariant(copy.deepcopy(model).merge_and_unload(), size=12, randomised=False, tolerance=1e-10)
    with torch.no_grad():
        after = model(images)
        assert not torch.allclose(after, before, atol=1e-3)
        model.save_pretrained(tmp_path)
        again = peft.PeftModel.from_pretrained(original, tmp_path)
        torch.testing.assert_close(again(images), after)
        merged = model.merge_and_unload()
        torch.testing.assert_close(merged(images), after, rtol=1e-4, atol=1e-4)
    assert merged.state_dict().keys() == create_model("c4_resnet18s_w8", num_classes=3).state_dict().keys()


def test_fresh_adapters_change_nothing(network):
    images = torch.rand(2, 3, 12, 12)
    with torch.no_grad():
        before = network(images)
        torch.testing.assert_close(adapted(network)(images), before)
