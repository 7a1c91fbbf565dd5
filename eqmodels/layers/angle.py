"""Reading the angle by which an image is turned off regular features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.checks import check_count
from eqmodels.fields import Field, Regular, Vectors
from eqmodels.groups import PlanarGroup
from eqmodels.layers.declared import expect_field
from eqmodels.layers.linear import SteerableLinear
from eqmodels.layers.output_conv import OutputConv2d

__all__ = ["AnglePredictor"]


class AnglePredictor(nn.Module):
    """An equivariant perceptron from regular features to one vector of frequency 1: ``(B, |G| fields) -> (B, 2)``.

    The vector turns with the image, ``v(g x) = M(g) v(x)``, exactly for every element that moves pixels to pixels, and
    should be ``(0, 1)``, upwards, where the image is upright.

    Args:
        group: a `PlanarGroup` or its name.
        fields: regular fields of the features.
        hidden: dense channels ``|G| * hidden fields`` between the two layers, rounded down to whole fields.

    Attributes:
        in_field: of the features, regular fields.
        out_field: one vector of frequency 1.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if `fields` is below 1 or `hidden` below the order of the group.
    """

    def __init__(self, group: PlanarGroup | str, fields: int, hidden: int = 512) -> None:
        super().__init__()
        group = PlanarGroup.parse(group)
        hidden_fields = check_count("hidden", hidden, group.order) // group.order
        self.in_field: Field = Regular(group, check_count("fields", fields))
        self.out_field: Field = Vectors(group, 1)
        self.hidden = SteerableLinear(group, fields, hidden_fields)
        self.vector = OutputConv2d(group, hidden_fields, self.out_field, bias=False)

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B 2"]:
        """The vectors: to the right and upwards."""
        vectors: Tensor = self.vector(self.hidden(features).relu()[..., None, None])
        return vectors.flatten(1)

    def output_field(self, field: Field) -> Field:
        """One vector of frequency 1.

        Raises:
            ValueError: if the input is of another field.
        """
        expect_field(self, self.in_field, field)
        return self.out_field

    @staticmethod
    def degrees(vectors: Float[Tensor, "B 2"]) -> Float[Tensor, " B"]:
        """By how many degrees each image is turned counter-clockwise, by its vector: from -180 to 180."""
        if vectors.dtype in (torch.bfloat16, torch.float16):  # which tell degrees apart badly
            vectors = vectors.float()
        return torch.rad2deg(torch.atan2(-vectors[:, 0], vectors[:, 1]))
