"""The head of the continuous angle: a vector that turns with the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Vectors
from eqmodels.heads.registry import register_head
from eqmodels.layers import OutputConv2d, SteerableLinear

__all__ = ["AngleHead"]


@register_head("angle")
class AngleHead(nn.Module):
    """Says where up is in an image, by a vector of frequency 1: ``(B, |G| fields) -> (B, 2)``.

    The vector turns with the image, ``v(g x) = M(g) v(x)``, exactly for every element that moves pixels to pixels, and
    should be ``(0, 1)``, upwards, where the image is upright. So ``|v(g x) - M(g) (0, 1)| = |v(x) - (0, 1)|``: no image
    needs to be turned by an element of the group in training. For the angles between them there is no law, only
    training, with the label ``(-sin a, cos a)`` of an image turned by ``a`` counter-clockwise. Its length tells how
    sure it is: where the angle cannot be told, the squared error makes it short.

    Args:
        in_field: of the features: regular fields of the backbone's group.
        label_field: one vector of frequency 1 of this group.
        hidden: dense channels of the hidden layer.

    Attributes:
        out_field: the label field.

    Raises:
        TypeError: if `hidden` is not an integer.
        ValueError: if the features are not regular, the labels no such vector, or `hidden` below the group's order.
    """

    def __init__(self, in_field: Field, label_field: Field, *, hidden: int = 512) -> None:
        super().__init__()
        if not isinstance(in_field, Regular) or in_field.elements is not None:
            raise ValueError(
                "an angle head reads regular features of a group; got the field "
                f"{in_field if isinstance(in_field, Field) else shown(in_field)}. Use the features of "
                "global_pool='regular'."
            )
        group = in_field.group
        if not isinstance(label_field, Field) or label_field != Vectors(group, 1):
            raise ValueError(
                f"an angle head predicts one vector that turns with the image, the label_field {Vectors(group, 1)}; "
                f"got {label_field if isinstance(label_field, Field) else shown(label_field)}. Use head='equivariant' "
                "or head='mlp' for other labels."
            )
        fields = check_count("hidden", hidden, group.order) // group.order
        self.in_field, self.out_field = in_field, label_field
        self.hidden = SteerableLinear(group, in_field.count, fields)
        self.vector = OutputConv2d(group, fields, label_field, bias=False)

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B 2"]:
        """The vectors: to the right and upwards."""
        vectors: Tensor = self.vector(self.hidden(features).relu()[..., None, None])
        return vectors.flatten(1)

    @staticmethod
    def degrees(vectors: Float[Tensor, "B 2"]) -> Float[Tensor, " B"]:
        """By how many degrees each image is turned counter-clockwise, by its vector: from -180 to 180."""
        return torch.rad2deg(torch.atan2(-vectors[:, 0], vectors[:, 1]))

    @staticmethod
    def label(degrees: Float[Tensor, " B"]) -> Float[Tensor, "B 2"]:
        """The unit vector upwards of images that are turned by some degrees, counter-clockwise."""
        angle = torch.deg2rad(degrees)
        return torch.stack([-angle.sin(), angle.cos()], 1)
