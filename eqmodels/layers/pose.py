"""Reading the pose off regular features, and turning them back by it."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.groups import PlanarGroup
from eqmodels.layers.checks import check_count, check_fibre, check_logits
from eqmodels.layers.linear import SteerableLinear

__all__ = ["pose_predictor", "turn_back"]

torch.fx.wrap("check_fibre")
torch.fx.wrap("check_logits")


def pose_predictor(group: PlanarGroup | str, fields: int, hidden: int = 2048) -> nn.Sequential:
    """An equivariant perceptron from regular features to one logit a group element.

    ``(B, |G| fields) -> (B, |G|)``. The logits are a regular field of their own: those of the moved image are the moved
    logits, ``logits_h(g x) = logits_{g^-1 h}(x)``. If the logit of the identity is the largest for upright images, then
    that of ``g`` is for images moved by ``g``.

    Args:
        group: a `PlanarGroup` or its name.
        fields: regular fields of the features.
        hidden: dense channels ``|G| * hidden fields`` between the two layers, rounded down to whole fields.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if `fields` is below 1 or `hidden` below the order of the group.
    """
    group = PlanarGroup.parse(group)
    hidden_fields = check_count("hidden", hidden, group.order) // group.order
    return nn.Sequential(
        OrderedDict(
            hidden=SteerableLinear(group, fields, hidden_fields),
            relu=nn.ReLU(inplace=True),
            # A bias would be the same for all elements, and tell nothing.
            logits=SteerableLinear(group, hidden_fields, 1, bias=False),
        )
    )


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
        ValueError: if the features are no whole fibres, or the logits not one a group element.
    """
    products = [[group.compose(g, h) for h in group.elements] for g in group.elements]
    candidates = check_fibre(regular, group.order).unflatten(1, (group.order, -1))[:, products]
    logits = check_logits(logits, group.order)
    weights = logits.softmax(1) if soft else F.one_hot(logits.argmax(1), group.order).to(regular.dtype)
    # One product a pose instead of a gather: no branch on values, so that it traces, exports and is differentiable.
    turned: Tensor = torch.einsum("bg,bghf->bhf", weights.to(regular.dtype), candidates)
    return turned.flatten(1)
