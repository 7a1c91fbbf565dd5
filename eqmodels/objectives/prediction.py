"""The loss of every prediction: cross-entropy in nats."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eqmodels._shapes import Float, Int

__all__ = ["prediction_loss"]


def prediction_loss(logits: Float[Tensor, "B labels"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """The mean cross-entropy in nats, ``mean_i log sum_k exp(logit_ik) - logit_i,label_i``, in float32 at least.

    For labels A it is an upper bound on ``H(A | Z)`` where it is measured on held-out images.

    Args:
        logits: of every label, of any floating point type; those of autocast have too few digits for the logarithm.
        labels: from 0.
    """
    return cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)
