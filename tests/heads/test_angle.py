"""The head of the continuous angle: its vector turns with the image, and learns where up is."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels import create_model
from eqmodels.fields import Regular, Scalars, Vectors
from eqmodels.groups import PlanarGroup
from eqmodels.heads import AngleHead, create_head

NETWORKS = ("c4_resnet18s_w8", "d4_resnet18s_w8", "c8_resnet18s_w8", "c1_resnet18s_w8", "d2_resnet18s_w8")


def head_for(group: str, fields: int = 3) -> AngleHead:
    head = create_head("angle", Regular(group, fields), Vectors(group, 1), hidden=32)
    assert isinstance(head, AngleHead)
    return head


@pytest.mark.parametrize("group", ["c1", "c2", "c4", "d1", "d4", "c8", "d8"])
@torch.no_grad()
def test_vectors_of_moved_features_are_the_moved_vectors(group, randomised):
    head = randomised(head_for(group).double())
    field, planar = head.in_field, PlanarGroup.parse(group)
    features = torch.randn(4, field.channels, dtype=torch.float64)
    upright = head(features)
    assert upright.shape == (4, 2)
    assert (upright.norm(dim=1) > 1e-3).all()
    for g in planar.elements:
        found = head(field.transform(planar, g, features))
        torch.testing.assert_close(found, head.out_field.transform(planar, g, upright), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_error_of_a_moved_image_is_that_of_the_upright_one(name, randomised):
    network = randomised(create_model(name, in_chans=3, num_classes=0, global_pool="regular").double()).eval()
    head = randomised(head_for(network.group.name, network.map_field.count).double())
    image, up = torch.rand(2, 3, 33, 29, dtype=torch.float64), torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float64)
    expected = (head(network(image)) - up).norm(dim=1)
    for g in network.group.exact_elements:
        label = head.out_field.transform(network.group, g, up)
        found = (head(network(network.group.act(g, image))) - label).norm(dim=1)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_labels_and_degrees_are_inverse_and_turn_counter_clockwise():
    degrees = torch.tensor([0.0, 90.0, -45.0, 179.0])
    torch.testing.assert_close(AngleHead.degrees(AngleHead.label(degrees)), degrees)
    torch.testing.assert_close(AngleHead.label(torch.tensor([0.0, 90.0])), torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    field = Vectors("c4", 1)
    turned = field.transform(field.group, 1, AngleHead.label(torch.tensor([20.0])))
    torch.testing.assert_close(AngleHead.degrees(turned), torch.tensor([110.0]))


def test_it_learns_an_angle_that_features_tell():
    """Of one regular field that peaks where up is: what is between two elements is learned."""
    torch.manual_seed(0)
    head = create_head("angle", Regular("c4", 8), Vectors("c4", 1), hidden=64)
    mixing = torch.randn(8)

    def features(degrees):
        phases = torch.deg2rad(degrees[:, None] - 90.0 * torch.arange(4))
        return (phases.cos()[:, :, None] + (phases + 1).cos()[:, :, None] * mixing).flatten(1)

    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(150):
        degrees = torch.rand(64) * 90 - 45
        optimiser.zero_grad()
        (head(features(degrees)) - head.label(degrees)).square().sum(1).mean().backward()
        optimiser.step()
    asked = torch.linspace(-170, 170, 35)
    error = (head.degrees(head(features(asked)).detach()) - asked + 180) % 360 - 180
    assert error.abs().max() < 10


@pytest.mark.parametrize(
    ("in_field", "label_field", "options", "message"),
    [
        (
            Scalars(8),
            Vectors("c4", 1),
            {},
            "an angle head reads regular features of a group; got the field 8 x scalar. Use the features of "
            "global_pool='regular'.",
        ),
        (
            Regular("c4", 2),
            Regular("c4", 1),
            {},
            "an angle head predicts one vector that turns with the image, the label_field 1 x vector(c4); got 1 x "
            "regular(c4). Use head='equivariant' or head='mlp' for other labels.",
        ),
        (Regular("c4", 2), Vectors("c4", 1), {"hidden": 3}, "hidden must be at least 4"),
    ],
)
def test_what_it_cannot_be_made_of_is_answered_in_one_sentence(in_field, label_field, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        create_head("angle", in_field, label_field, **options)
