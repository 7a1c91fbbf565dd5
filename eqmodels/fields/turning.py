"""Regular features turned back by a predicted pose."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_fibre, check_logits
from eqmodels.groups import PlanarGroup

__all__ = ["turn_back", "turned_by_pose"]

torch.fx.wrap("check_fibre")
torch.fx.wrap("check_logits")


def turn_back(
    group: PlanarGroup, regular: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], *, soft: bool = False
) -> Float[Tensor, "B C"]:
    """Regular features turned back by the pose that logits name: exactly invariant if the logits turn with the image.

    With ``(rho(g) f)_h = f_{g^-1 h}``: ``rho(g*)^-1 f`` for the largest logit ``g*``, or, soft, the average of
    ``rho(g)^-1 f`` over all g with the weights ``softmax(logits)_g``. An image that equals its own moved copy has equal
    logits for both, and features that do not tell them apart: its tie is harmless.

    Args:
        group: the group of order ``|G|``.
        regular: group-major regular features, ``C = |G| fields``.
        logits: one a group element.
        soft: whether to average over the poses instead of choosing one.

    Raises:
        TypeError: if features or logits are no dense tensor, or not floating point.
        ValueError: if the features are no whole fibres of vectors, or the logits not one an image and group element, or
            on another device.
    """
    group = PlanarGroup.parse(group)
    products = [[group.compose(g, h) for h in group.elements] for g in group.elements]
    regular = check_fibre(regular, group.order, floating=True, vectors=True)
    return turned_by_pose(regular, logits, products, soft=soft)


def turned_by_pose(
    features: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], products: list[list[int]], *, soft: bool
) -> Float[Tensor, "B C"]:
    """Features ``f`` of rows ``h`` whose row of the moved fibre is ``f_{g h}``, for the pose ``g`` that logits name.

    Args:
        features: ``len(products)`` rows of as many fields, group-major.
        logits: one a row.
        products: the row of ``g h``, by the rows of ``g`` and ``h``.
        soft: whether to average over the poses by their softmax instead of choosing the most likely one.

    Raises:
        TypeError: if the logits are no dense tensor, or not floating point.
        ValueError: if there is not one logit an image and row, or they are on another device.
    """
    order = len(products)
    # Not [:, products]: the slice would fix the number of images in what PyTorch 2.6 exports.
    candidates = features.unflatten(1, (order, -1))[..., products, :]
    logits = check_logits(logits, order, features)
    weights = logits.softmax(1) if soft else F.one_hot(logits.argmax(1), order).to(features.dtype)
    # One product a pose instead of a gather: no branch on values, so that it traces, exports and is differentiable.
    turned: Tensor = torch.einsum("bg,bghf->bhf", weights.to(features.dtype), candidates)
    return turned.flatten(1)
