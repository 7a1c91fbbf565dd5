"""Reading the pose off regular features."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from eqmodels.checks import check_count
from eqmodels.groups import PlanarGroup
from eqmodels.layers.linear import SteerableLinear

__all__ = ["pose_predictor"]


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
