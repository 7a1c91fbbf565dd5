"""The prediction head of the paper: one hidden layer."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.fields import Field
from eqmodels.heads.registry import register_head

__all__ = ["MLPHead"]


@register_head("mlp")
class MLPHead(nn.Sequential):
    """Logits by a perceptron with one hidden layer: ``(B, in_field.channels) -> (B, label_field.channels)``.

    Args:
        in_field: of the features.
        label_field: of the labels; what they mean is learned, so that only their number counts.
        hidden: width of the hidden layer.
        dropout: probability of zeroing a hidden unit.
        batch_norm: whether hidden units are normalised over the batch before the ReLU, as in the classifiers of
            PointNet and DGCNN: maxima over points differ too little from cloud to cloud to learn from without.

    Attributes:
        out_field: None: the logits are a learned function of the features, and of the pose if these are.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `hidden` is below 1, `dropout` is no probability, or there are no features, or no labels.

    Source: Wang et al. 2024, arXiv 2411.06508, with a hidden layer of 2048; Qi et al. 2017, arXiv 1612.00593.
    """

    def __init__(
        self, in_field: Field, label_field: Field, *, hidden: int = 2048, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        check_arguments(
            MLPHead,
            {"in_field": in_field, "label_field": label_field, "dropout": dropout, "batch_norm": batch_norm},
        )
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability between 0 and 1; got {shown(dropout)}. Pass 0 for none.")
        super().__init__(
            OrderedDict(
                hidden=nn.Linear(check_count("in_features", in_field.channels), check_count("hidden", hidden)),
                **({"norm": nn.BatchNorm1d(hidden)} if batch_norm else {}),
                relu=nn.ReLU(inplace=True),
                drop=nn.Dropout(dropout),
                logits=nn.Linear(hidden, check_count("num_labels", label_field.channels)),
            )
        )
        self.in_field, self.out_field = in_field, None
