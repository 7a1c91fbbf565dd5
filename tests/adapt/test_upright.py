"""Pictures that are turned upright by the head of the angle: the same features at every angle that it tells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels.adapt import TurnedUpright
from eqmodels.data import at_size, load_data
from eqmodels.evaluation.orbits import Motion, View
from eqmodels.hub import load_pretrained

NAME = "c4_resnet18_w32.distil_lite0"


@pytest.fixture(scope="module")
def run():
    return load_pretrained(NAME)


@pytest.fixture(scope="module")
def encoder(run) -> TurnedUpright:
    return TurnedUpright(run)


@pytest.fixture(scope="module")
def pixels():
    return at_size(load_data("openclipart_mini", "test"), (96, 96)).pixels(slice(0, 6))


class Known(nn.Module):
    """A head that is told the angle."""

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, features):
        angle = torch.deg2rad(torch.full((len(features),), self.degrees))
        return torch.stack([-angle.sin(), angle.cos()], 1)


def test_quarter_turns_change_nothing(encoder, run, pixels):
    images = run.preprocessing.normalise(pixels)
    with torch.no_grad():
        features, degrees = encoder(images), encoder.degrees(images)
        for quarters in (1, 2, 3):
            turned = images.rot90(quarters, (-2, -1))
            assert (encoder(turned) - features).norm() / features.norm() < 1e-4
            apart = encoder.degrees(turned) - degrees - 90 * quarters
            assert ((apart + 180) % 360 - 180).abs().max() < 1e-2
    assert features.shape == (6, encoder.out_field.channels)


def test_an_angle_that_is_known_is_turned_back(run, pixels):
    """All but what is lost by sampling twice, where the picture itself differs by far more."""
    whole = run.preprocessing.normalise(pixels)
    turned = run.preprocessing.normalise(View(Motion.by_degrees(40), circular=True).of(pixels))
    encoder, found = TurnedUpright(run), {}
    with torch.no_grad():
        for degrees, images in ((0.0, whole), (40.0, turned), (0.0, turned)):
            encoder.angle = Known(degrees)
            found[degrees, images is whole] = encoder(images)
    reference = found[0.0, True]
    kept, lost = ((one - reference).norm() / reference.norm() for one in (found[40.0, False], found[0.0, False]))
    assert kept < 0.25
    assert kept < lost / 2


def test_corners_and_sides_beyond_the_square_are_not_seen(encoder, run, pixels):
    images = run.preprocessing.normalise(pixels)
    wider = torch.cat([torch.randn(6, 3, 96, 10), images, torch.randn(6, 3, 96, 10)], -1)
    cornered = images.clone()
    cornered[..., :10, :10] = 3.0
    with torch.no_grad():
        reference = encoder(images)
        for other in (wider, cornered):
            assert (encoder(other) - reference).norm() / reference.norm() < 1e-4


def test_the_network_learns_by_the_second_pass(run, pixels):
    encoder = TurnedUpright(run, "invariant")
    encoder(run.preprocessing.normalise(pixels[:1])).sum().backward()
    assert all(parameter.grad is None for parameter in encoder.angle.parameters())
    assert next(encoder.encoder.parameters()).grad is not None
    assert next(run.backbone.parameters()).grad is None


def test_a_network_without_such_a_head_is_refused():
    with pytest.raises(ValueError, match="run must have a head of the angle; c4_resnet18s_w16 has none"):
        TurnedUpright(load_pretrained("c4_resnet18s_w16.rot_fmnist_simclr"))
