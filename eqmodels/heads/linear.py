"""The linear prediction head."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.fields import Field
from eqmodels.heads.registry import register_head

__all__ = ["LinearHead"]


@register_head("linear")
class LinearHead(nn.Linear):
    """Logits as a linear function of the features: ``(B, in_field.channels) -> (B, label_field.channels)``.

    Args:
        in_field: of the features.
        label_field: of the labels; what they mean is learned, so that only their number counts.

    Attributes:
        out_field: None: the logits are a learned function of the features, and of the pose if these are.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are no features, or no labels.
    """

    def __init__(self, in_field: Field, label_field: Field) -> None:
        check_arguments(LinearHead, locals())
        super().__init__(check_count("in_features", in_field.channels), check_count("num_labels", label_field.channels))
        self.in_field, self.out_field = in_field, None

    def forward(self, features: Float[Tensor, "B in_features"]) -> Float[Tensor, "B num_labels"]:
        """The logits."""
        return super().forward(features)
