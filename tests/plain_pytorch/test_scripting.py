"""`torch.jit.script` is refused in a sentence, and what it names works."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from eqmodels import create_model
from eqmodels.export import to_plain
from eqmodels.layers import ExactDownsample2d, FieldBatchNorm2d, GlobalPool, Restrict, SteerableConv2d, SteerableLinear

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.tracing,
]


def sentence(kind: str) -> str:
    return re.escape(
        f"torch.jit.script compiles plain Python, which a {kind} is not made of; got one. Use "
        "torch.jit.trace(network.eval(), images), of the network or of what eqmodels.export.to_plain(network) gives."
    )


def test_a_network_is_refused_wherever_it_is(model):
    for module in (model, nn.Sequential(nn.Identity(), model)):
        with pytest.raises(TypeError, match=f"^{sentence(type(model).__name__)}$"):
            torch.jit.script(module)


@pytest.mark.parametrize(
    "layer",
    [
        SteerableConv2d("c4", 3, 2, 3, lifting=True),
        SteerableLinear("d4", 2, 2),
        FieldBatchNorm2d("c4", 2),
        ExactDownsample2d(),
        GlobalPool("c4"),
        Restrict("d4", "c4"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_is_refused(layer):
    with pytest.raises(TypeError, match=sentence(type(layer).__name__)):
        torch.jit.script(nn.Sequential(layer))


@pytest.mark.parametrize("way", ["network", "plain"])
@pytest.mark.parametrize("pool", ["invariant", "canonical"])
def test_what_the_sentence_names_works(way, pool, images):
    model = create_model("c4_resnet18s_w4", num_classes=3, global_pool=pool).eval()
    with torch.no_grad():
        expected = model(images)
        scripted = torch.jit.trace(model if way == "network" else to_plain(model, size=(16, 20)), images)
        torch.testing.assert_close(scripted(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
