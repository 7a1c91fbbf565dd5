"""The linear prediction head."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float

__all__ = ["LinearHead"]


class LinearHead(nn.Linear):
    """Logits as a linear function of the features: ``(B, in_features) -> (B, num_labels)``."""

    def __init__(self, in_features: int, num_labels: int) -> None:
        super().__init__(in_features, num_labels)

    def forward(self, features: Float[Tensor, "B in_features"]) -> Float[Tensor, "B num_labels"]:
        """See the class."""
        return super().forward(features)
