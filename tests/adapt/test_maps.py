"""Dense networks that are adapted: what they say of themselves, and their stock form."""

from __future__ import annotations

import pickle

import pytest
import torch

from eqmodels.adapt import canonicalise, symmetrise
from eqmodels.export import to_plain
from tests.adapt.test_canonicalise import pose
from tests.adapt.test_symmetrise import images, network

MAKERS = {
    "symmetrised": lambda inner: symmetrise(inner, "d4", output="maps"),
    "hard": lambda inner: canonicalise(inner, pose(), output="maps"),
    "frames": lambda inner: canonicalise(inner, pose(), mode="frames", output="maps"),
}


@pytest.mark.tracing
@pytest.mark.parametrize("size", [(13, 13), (12, 16)], ids=str)
@pytest.mark.parametrize("kind", MAKERS)
def test_they_become_stock_modules(kind, size):
    model, upright = MAKERS[kind](network()).double(), images(*size)
    plain = to_plain(model, size=size)
    torch.testing.assert_close(plain(upright), model(upright))
    assert b"eqmodels" not in pickle.dumps(plain)


@pytest.mark.parametrize("kind", MAKERS)
def test_they_say_how_maps_change_and_what_images_go_through(kind):
    inner = network()
    inner.pretrained_cfg = {"input_size": (3, 24, 20), "mean": [0.5] * 3, "std": [0.5] * 3}
    model = MAKERS[kind](inner)
    assert f"maps of 5 channels that the elements of {model.group} leave" in model.describe_output()
    pixels = torch.full((3, 40, 40), 255, dtype=torch.uint8)
    assert torch.equal(model.transform()(pixels), torch.ones(3, 24, 20))
    assert model.transform(16)(pixels).shape == (3, 16, 16)
