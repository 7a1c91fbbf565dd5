"""A user's function, and somebody else's network, as encoders."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from eqmodels import Encoder, PlanarGroup

FILE = Path(__file__).parents[2] / "examples" / "own_encoder.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("own_encoder", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_function_is_an_encoder_whose_field_is_true(example):
    encoder, group = example.own_function(), PlanarGroup(4)
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    upright = encoder(images)
    assert isinstance(encoder, Encoder)
    for g in group.elements:
        moved = encoder(group.act(g, images))
        torch.testing.assert_close(moved, encoder.out_field.act(group, g, upright), rtol=0, atol=1e-12)


def test_the_network_of_torchvision_is_an_encoder(example):
    encoder = example.torchvision_resnet18().eval()
    assert isinstance(encoder, Encoder)
    assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, 512)
    assert encoder.preprocessing.size == (224, 224)
