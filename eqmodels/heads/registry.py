"""Prediction heads by name."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from eqmodels.groups import PlanarGroup
from eqmodels.heads.equivariant import EquivariantHead
from eqmodels.heads.linear import LinearHead
from eqmodels.heads.mlp import MLPHead

__all__ = ["HeadName", "create_head"]

HeadName = Literal["linear", "mlp", "equivariant"]


def create_head(
    name: HeadName,
    *,
    group: PlanarGroup | str,
    in_features: int,
    num_labels: int,
    task_group: PlanarGroup | None = None,
    elements: tuple[int, ...] | None = None,
    hidden: int = 2048,
    dropout: float = 0.0,
) -> nn.Module:
    """A prediction head ``(B, in_features) -> (B, num_labels)`` on the regular features of a backbone.

    Args:
        name: ``"linear"``, ``"mlp"`` or ``"equivariant"``.
        group: the backbone's group.
        in_features: channels of the features, ``|G| fields``.
        num_labels: labels of the task.
        task_group: of an equivariant head, the group of the task's transformations.
        elements: of an equivariant head, the task's transformations as elements of `task_group`; None for all.
        hidden: dense channels of the hidden layer, if there is one.
        dropout: in the hidden layer of ``"mlp"``.

    Raises:
        ValueError: if the name is unknown, or an equivariant head is asked for a task that is no action of a subgroup
            of the backbone's group, or for features that are no whole fibres.
    """
    group = PlanarGroup.parse(group)
    if name == "linear":
        return LinearHead(in_features, num_labels)
    if name == "mlp":
        return MLPHead(in_features, num_labels, hidden=hidden, dropout=dropout)
    if name != "equivariant":
        raise ValueError(f"head must be one of {', '.join(get_args(HeadName))}; got {name!r}. Use 'mlp'.")
    if task_group is None:
        raise ValueError(
            "an equivariant head predicts an element of a planar group, and this task is no action of one. "
            "Use head='mlp', or a task such as 'rotation'."
        )
    if in_features % group.order:
        raise ValueError(
            f"an equivariant head reads regular features of {group}, a multiple of {group.order}; got in_features="
            f"{in_features}. Use the features of global_pool='regular'."
        )
    return EquivariantHead(group, in_features // group.order, task_group, elements, hidden=hidden)
