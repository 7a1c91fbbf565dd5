"""The prediction head of the paper: one hidden layer."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from eqmodels.checks import check_count

__all__ = ["MLPHead"]


class MLPHead(nn.Sequential):
    """Logits by a perceptron with one hidden layer: ``(B, in_features) -> (B, num_labels)``.

    Args:
        in_features: length of the feature vectors.
        num_labels: number of labels.
        hidden: width of the hidden layer.
        dropout: probability of zeroing a hidden unit.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if it is below 1, or `dropout` is no probability.

    Source: Wang et al. 2024, arXiv 2411.06508, with a hidden layer of 2048.
    """

    def __init__(self, in_features: int, num_labels: int, *, hidden: int = 2048, dropout: float = 0.0) -> None:
        super().__init__(
            OrderedDict(
                hidden=nn.Linear(check_count("in_features", in_features), check_count("hidden", hidden)),
                relu=nn.ReLU(inplace=True),
                drop=nn.Dropout(dropout),
                logits=nn.Linear(hidden, check_count("num_labels", num_labels)),
            )
        )
