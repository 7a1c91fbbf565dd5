"""A gradient that is scaled or reversed on its way back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.checks import check_tensor
from eqmodels.errors import shown

__all__ = ["scale_gradient"]


def scale_gradient(features: Float[Tensor, "*shape"], factor: float) -> Float[Tensor, "*shape"]:
    """The features themselves, whose gradient is multiplied on its way back: ``y = x``, ``dL/dx = factor dL/dy``.

    What reads the result is trained as ever; what made the features is trained by `factor` times the same gradient. A
    factor of 1 changes nothing, 0 makes the gradient 0, and one below 0 reverses it: what made the features then
    ascends the loss that its reader descends.

    Source: the gradient reversal layer of Ganin & Lempitsky 2015, arXiv 1409.7495, whose factor is ``-lambda``.

    Args:
        features: of any shape and floating point type.
        factor: a finite number.

    Raises:
        TypeError: if the features are no dense tensor.
        ValueError: if the factor is no finite number.
    """
    check_tensor("features", features)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not abs(factor) < 1e30:
        raise ValueError(
            f"factor must be a finite number, which the gradient is multiplied by; got {shown(factor)}. Pass 1 to "
            "leave the gradient alone, or -1 to reverse it."
        )
    scaled: Tensor = _ScaledGradient.apply(features, factor)
    return scaled


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor.

    The forms ``f x + (1 - f) x.detach()`` would round the features, or ruin infinite ones.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, factor: float) -> Tensor:  # noqa: ANN401 (its type has no attributes)
        ctx.factor = factor
        # Autograd takes a result that is its argument for one that was changed in place.
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradient * ctx.factor, None
