"""Your own head: logits by cosine similarity to one learned direction a label, with an option of its own.

eqmodels pretrain --import examples/own_head.py --head cosine --head-options '{"scale": 20}'
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels.fields import Field
from eqmodels.heads import register_head


@register_head("cosine")
class CosineHead(nn.Module):
    """``scale * cos(features, direction of the label)``: ``(B, in_field.channels) -> (B, label_field.channels)``.

    Args:
        in_field: of the features.
        label_field: of the labels.
        scale: of the logits.
    """

    def __init__(self, in_field: Field, label_field: Field, *, scale: float = 10.0) -> None:
        super().__init__()
        self.in_field, self.out_field = in_field, None
        self.directions = nn.Linear(in_field.channels, label_field.channels, bias=False)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """The logits."""
        return self.scale * F.linear(F.normalize(features), F.normalize(self.directions.weight))
