"""The strict prediction head: logits that turn with the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._autocast import autocast_dtype
from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular
from eqmodels.heads.registry import register_head
from eqmodels.layers import pose_predictor

__all__ = ["EquivariantHead"]


@register_head("equivariant")
class EquivariantHead(nn.Module):
    """Predicts which element of a subgroup moved the image, by logits that permute when the image moves.

    ``(B, |G| fields) -> (B, |H|)`` for a backbone's group G and a task's subgroup H: the child `pose` gives one logit
    an element of G, ``l_g``, and what the task does not ask is summed out over the right cosets,
    ``logit_h = log sum_t exp(l_{h t})``. For ``k`` in H, ``logit_h(k x) = logit_{k^-1 h}(x)``, and so the cross-entropy
    of the image moved by ``k`` with the label ``k`` *equals* that of the upright image with the identity's label: no
    image needs to be turned in training.

    Args:
        in_field: of the features: regular fields of the backbone's group.
        label_field: one regular field of the task's group, or of the elements in it that are the task's
            transformations.
        hidden: dense channels of the hidden layer.

    Attributes:
        out_field: the label field: the logits of the moved image are the moved logits.
        pose: from regular features to one logit an element of `group`; what canonical pooling needs.
        cosets: the elements of `group` that count for each label, the label's own first.

    Raises:
        TypeError: if `hidden` is not an integer.
        ValueError: if the features are not regular, the labels no transformations of a group, or the backbone's group
            does not contain these; or if `hidden` is below the order of the group.
    """

    def __init__(self, in_field: Field, label_field: Field, *, hidden: int = 2048) -> None:
        super().__init__()
        if not isinstance(label_field, Regular) or label_field.count != 1:
            raise ValueError(
                "an equivariant head predicts an element of a planar group, and this task is no action of one. "
                "Use head='mlp', or a task such as 'rotation'."
            )
        if not isinstance(in_field, Regular) or in_field.elements is not None:
            raise ValueError(
                "an equivariant head reads regular features of a group; got the field "
                f"{in_field if isinstance(in_field, Field) else shown(in_field)}. Use the features of "
                "global_pool='regular'."
            )
        self.group, task_group = in_field.group, label_field.group
        if not self.group.contains(task_group):
            raise ValueError(
                f"an equivariant head needs a backbone whose group contains the task's, {task_group}; got one of "
                f"{self.group}. Use head='mlp', or a {task_group.name}_ backbone."
            )
        self.in_field, self.out_field = in_field, label_field
        elements = tuple(self.group.embed(task_group, h) for h in label_field.rows)
        self.cosets: list[list[int]] = self.group.cosets(elements).tolist()
        self.pose = pose_predictor(self.group, in_field.count, hidden)

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B labels"]:
        """``logit_h`` of every label, in the order of the rows of the label field."""
        if autocast_dtype(features.device) is not None:
            # What all logits have in common has no gradient but that of rounding, which optimisers such as Adam make as
            # large as any other. In float32 it stays small; in bfloat16 it ran away, and left no digits for the rest.
            with torch.autocast(features.device.type, enabled=False):
                logits: Tensor = self.pose(features.float())
        else:
            logits = self.pose(features)
        return logits[:, self.cosets].logsumexp(2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, labels={len(self.cosets)}"
