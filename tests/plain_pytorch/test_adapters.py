"""What changes weights from outside: low-rank adapters, which keep the law, and the quantiser of traced networks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant
from eqmodels.export import to_plain
from eqmodels.layers import SteerableConv2d

RANK = 2


class LowRank(nn.Module):
    """``w + b a`` for every block of a weight ``(blocks, out, in)``: what peft's ``target_parameters`` puts on it.

    Source: Hu et al. 2021, arXiv 2106.09685.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        blocks, rows, columns = weight.shape
        self.a = nn.Parameter(torch.randn(blocks, RANK, columns).to(weight))
        self.b = nn.Parameter(0.1 * torch.randn(blocks, rows, RANK).to(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.b @ self.a


@pytest.mark.parametrize("name", ["c4_resnet18s_w8", "c8_resnet18s_w16"])
def test_low_rank_adapters_of_the_weights_learn_keep_the_law_and_merge(name, randomised, shallow, images):
    network = randomised(create_model(name, num_classes=3)).requires_grad_(False)
    before = copy.deepcopy(network).eval()
    for layer in network.modules():
        if isinstance(layer, SteerableConv2d):
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
    network.double()(images.double()).square().mean().backward()
    learning = {key for key, value in network.named_parameters() if value.grad is not None and value.grad.any()}
    assert learning == {key for key, value in network.named_parameters() if value.requires_grad}
    assert_equivariant(network.eval(), size=16)
    adapted = network(images.double())
    assert not torch.allclose(adapted.float(), before(images), atol=1e-3)
    for layer in network.modules():
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
    assert network.state_dict().keys() == before.state_dict().keys()
    torch.testing.assert_close(network(images.double()), adapted)


@pytest.mark.tracing
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_exported_network_is_quantised(randomised, shallow, images):
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    network = randomised(create_model("c4_resnet18s_w8", num_classes=3)).eval()
    plain = to_plain(network, size=(16, 20))
    observed = prepare_fx(plain, get_default_qconfig_mapping("x86"), (images,))
    with torch.no_grad():
        observed(images)
        found, expected = convert_fx(observed)(images), network(images)
    assert not torch.equal(found, expected)
    # Of 8 bits, after some ten layers.
    torch.testing.assert_close(found, expected, rtol=0, atol=0.2 * float(expected.abs().max()))
