"""Other people's networks, and functions, as encoders."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

from eqmodels import Encoder, create_model
from eqmodels.backbones import as_encoder
from eqmodels.fields import Regular, Scalars
from eqmodels.transforms import Preprocessing

pytestmark = pytest.mark.usefixtures("no_shape_checks")


def pooled(images):
    return images.mean((-2, -1))


def test_every_backbone_is_an_encoder_and_a_bare_module_is_none():
    assert isinstance(create_model("c4_resnet18s_w4"), Encoder)
    assert not isinstance(nn.Linear(3, 3), Encoder)
    assert not isinstance(pooled, Encoder)


def test_a_function_is_an_encoder():
    encoder = as_encoder(pooled, in_chans=2, size=(8, 9), mean=[0.5, 0.4], std=[0.1, 0.2], out_field="2 x scalar")
    assert isinstance(encoder, Encoder)
    images = torch.rand(3, 2, 8, 9)
    assert torch.equal(encoder(images), pooled(images))
    assert encoder.preprocessing == Preprocessing((0.5, 0.4), (0.1, 0.2), (8, 9))
    assert encoder.out_field == Scalars(2)


def test_a_module_is_a_child_that_follows():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    encoder = as_encoder(network, in_chans=3, out_field=Regular("c4", 1))
    assert encoder.preprocessing is None
    assert not encoder.double().eval().network[1].training
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(encoder(images), network(images))
    assert torch.equal(copy.deepcopy(encoder)(images), network(images))


def test_a_network_of_timm_says_what_its_images_are():
    network = timm.create_model("resnet18", num_classes=0)
    encoder = as_encoder(network)
    known = network.pretrained_cfg
    assert encoder.in_chans == 3
    assert encoder.preprocessing == Preprocessing(known["mean"], known["std"], known["input_size"][1:])
    assert as_encoder(network, size=64).preprocessing.size == (64, 64)
    assert encoder.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 512)


def test_a_network_of_torchvision_is_an_encoder():
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    encoder = as_encoder(network, in_chans=3, size=32, mean=(0.5,) * 3, std=(0.2,) * 3).eval()
    assert encoder(torch.rand(1, 3, 32, 32)).shape == (1, 512)


@pytest.mark.parametrize(
    ("network", "error", "sentence"),
    [
        (lambda images: {"features": images}, TypeError, "the wrapped network returned a dict"),
        (lambda images: (images,), TypeError, "the wrapped network returned a tuple"),
        (lambda images: images, ValueError, r"of the shape \(batch, 2\); the wrapped network returned \(3, 2, 8, 8\)"),
        (lambda images: images.mean((1, 2, 3)), ValueError, r"returned \(3,\)"),
        (lambda images: pooled(images)[:1], ValueError, r"returned \(1, 2\)"),
        (lambda images: pooled(images).repeat(1, 2), ValueError, r"returned \(3, 4\)"),
    ],
)
def test_what_is_no_vector_an_image_is_refused(network, error, sentence):
    encoder = as_encoder(network, in_chans=2, out_field="2 x scalar")
    with pytest.raises(error, match=sentence):
        encoder(torch.rand(3, 2, 8, 8))


def test_images_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"images must have the shape \(batch, 2, height, width\)"):
        as_encoder(pooled, in_chans=2)(torch.rand(3, 3, 8, 8))


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({}, ValueError, "in_chans must be given, since a function does not say"),
        ({"in_chans": 0}, ValueError, "in_chans must be at least 1"),
        ({"in_chans": 2, "size": 8}, ValueError, "size, mean and std describe images together; got no mean"),
        ({"in_chans": 2, "size": 8, "mean": [1], "std": [1]}, ValueError, "one number for each of 2 channels"),
        ({"in_chans": 2, "size": 0, "mean": [1, 1], "std": [1, 1]}, ValueError, "size must be at least 1"),
        ({"in_chans": 2, "out_field": "many"}, ValueError, "a field is written as"),
    ],
)
def test_what_cannot_be_is_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        as_encoder(pooled, **options)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="network must be a module or a function"):
        as_encoder("resnet18", in_chans=3)
