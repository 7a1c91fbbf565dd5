"""What every prediction is judged by: cross-entropy in nats, and whether the label's logit is the largest."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eqmodels._shapes import Bool, Float, Int
from eqmodels.checks import check_labels, check_tensor

__all__ = ["predicted", "prediction_loss"]


def prediction_loss(logits: Float[Tensor, "B labels"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """The mean cross-entropy in nats, ``mean_i log sum_k exp(logit_ik) - logit_i,label_i``, in float32 at least.

    For labels A it is an upper bound on ``H(A | Z)`` where it is measured on held-out images.

    Args:
        logits: of every label, of any floating point type; those of autocast have too few digits for the logarithm.
        labels: from 0.

    Raises:
        TypeError: if one is no dense tensor, the logits are not floating point, or the labels not integers.
        ValueError: if there is not one label a row of logits.
    """
    check_labels(check_tensor("logits", logits), labels)
    return cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)


def predicted(logits: Float[Tensor, "B labels"], labels: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Whether the label's logit is above all others.

    Not `argmax`, which gives ties to the first label: where images are not turned, all labels are the first one, and a
    network that knows nothing, all its logits equal, would seem to know everything.

    Args:
        logits: of every label.
        labels: from 0.

    Raises:
        TypeError: if one is no dense tensor, the logits are not floating point, or the labels not integers.
        ValueError: if there is not one label a row of logits.
    """
    check_labels(check_tensor("logits", logits), labels)
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -math.inf)
    return own[:, 0] > others.amax(1)
