"""The head of the continuous angle: a vector that turns with the image."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Vectors
from eqmodels.heads.registry import register_head
from eqmodels.layers.angle import AnglePredictor

__all__ = ["AngleHead"]


@register_head("angle")
class AngleHead(AnglePredictor):
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
        super().__init__(group, in_field.count, hidden)

    @staticmethod
    def label(degrees: Float[Tensor, " B"]) -> Float[Tensor, "B 2"]:
        """The unit vector upwards of images that are turned by some degrees, counter-clockwise."""
        angle = torch.deg2rad(degrees)
        return torch.stack([-angle.sin(), angle.cos()], 1)
