"""The standard ResNets of the benchmarks are torchvision's."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from eqmodels import create_model
from eqmodels.backbones import from_torchvision

RESNETS = ["resnet18", "resnet34", "resnet50"]
each_block = pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet34", marks=pytest.mark.slow), "resnet50"])


@pytest.mark.parametrize("stem", ["s", ""])
@each_block
def test_outputs_are_torchvisions(name, stem, randomised):
    theirs = torchvision.models.get_model(name, weights=None, num_classes=10)
    if stem == "s":
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    theirs = randomised(theirs)
    ours = from_torchvision(theirs.state_dict())
    images = torch.randn(2, 3, 24, 32) if stem == "s" else torch.randn(2, 3, 65, 48)
    with torch.no_grad():
        for train in (False, True):
            expected = theirs.train(train)(images)
            error = (ours.train(train)(images) - expected).abs().max() / expected.abs().max()
            assert float(error) <= 1e-6
    # The running statistics of training are the same, too.
    expected_state = from_torchvision(theirs.state_dict()).state_dict()
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected_state[key], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", RESNETS)
def test_parameters_have_torchvisions_names_shapes_and_initial_scale(name):
    theirs = from_torchvision(torchvision.models.get_model(name, weights=None).state_dict()).state_dict()
    ours = create_model(name).state_dict()
    assert list(ours) == list(theirs)
    for key, value in ours.items():
        assert value.shape == theirs[key].shape
        if value.dim() == 4 and value.numel() > 10_000:
            assert float(value.std() / theirs[key].std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("width", [4, 12])
def test_every_width_is_a_multiple_of_the_first_stage(width):
    model = create_model("resnet18s", width=width)
    assert [info["num_chs"] for info in model.feature_info] == [width, width, 2 * width, 4 * width, 8 * width]


@pytest.mark.parametrize("pool", ["invariant", "regular"])
def test_without_a_group_both_poolings_are_the_average(pool):
    model = create_model("resnet18s_w4", num_classes=0, global_pool=pool).eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.forward_features(images).mean((2, 3)))
