"""Images and features of another type or device than the weights: one sentence, where torch has none that helps."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels import create_model
from eqmodels.layers import SteerableConv2d, SteerableLinear

pytestmark = pytest.mark.usefixtures("no_shape_checks")


def build():
    return create_model("c4_resnet18s_w4", num_classes=3).eval()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("mode", ["train", "eval", "traced"])
def test_images_of_another_type(dtype, mode):
    model = build().train(mode == "train")
    network = torch.fx.symbolic_trace(model) if mode == "traced" else model
    message = (
        f"images must be of the network's type, torch.float32; got {dtype}. Convert them with .to(torch.float32), the "
        f"network with model.to({dtype}), or call it under torch.autocast."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        network(torch.zeros(2, 3, 12, 12, dtype=dtype))


def test_images_on_another_device():
    message = (
        "images must be on the device of the network, cpu; got meta. Move them with .to('cpu'), or the network with "
        "model.to('meta')."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build()(torch.zeros(2, 3, 12, 12, device="meta"))


def test_features_of_another_type():
    for layer, shape in ((SteerableConv2d("c4", 2, 2, 3), (1, 8, 5, 5)), (SteerableLinear("c4", 2, 2), (1, 8))):
        with pytest.raises(
            TypeError, match=r"^features must be of the network's type, torch\.float32; got torch\.float16"
        ):
            layer(torch.zeros(shape, dtype=torch.float16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_autocast_takes_every_type_that_it_casts(dtype):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert build()(torch.zeros(2, 3, 12, 12, dtype=dtype)).dtype == torch.bfloat16
        with pytest.raises(TypeError, match=r"network's type, torch\.float32; got torch\.float64"):
            build()(torch.zeros(2, 3, 12, 12, dtype=torch.float64))


def test_a_network_on_meta_takes_images_there():
    with torch.device("meta"):
        assert create_model("c4_resnet18s_w4", num_classes=3)(torch.zeros(2, 3, 12, 12)).shape == (2, 3)
