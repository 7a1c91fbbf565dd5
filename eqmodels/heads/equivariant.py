"""The strict prediction head: logits that turn with the image."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.groups import PlanarGroup
from eqmodels.layers import pose_predictor

__all__ = ["EquivariantHead"]


class EquivariantHead(nn.Module):
    """Predicts which element of a subgroup moved the image, by logits that permute when the image moves.

    ``(B, |G| fields) -> (B, |H|)`` for a backbone's group G and a task's subgroup H: the child `pose` gives one logit
    an element of G, ``l_g``, and what the task does not ask is summed out over the right cosets,
    ``logit_h = log sum_t exp(l_{h t})``. For ``k`` in H, ``logit_h(k x) = logit_{k^-1 h}(x)``, and so the cross-entropy
    of the image moved by ``k`` with the label ``k`` *equals* that of the upright image with the identity's label: no
    image needs to be turned in training.

    Args:
        group: the backbone's group, or its name.
        fields: regular fields of the features.
        task_group: the group that the task's transformations belong to.
        elements: the task's transformations as elements of `task_group`; a subgroup, the identity first. None for all.
        hidden: dense channels of the hidden layer.

    Attributes:
        pose: from regular features to one logit an element of `group`; what canonical pooling needs.
        cosets: the elements of `group` that count for each label, the label's own first.

    Raises:
        ValueError: if the backbone's group does not contain the task's transformations.
    """

    def __init__(
        self,
        group: PlanarGroup | str,
        fields: int,
        task_group: PlanarGroup | str,
        elements: tuple[int, ...] | None = None,
        *,
        hidden: int = 2048,
    ) -> None:
        super().__init__()
        self.group, task_group = PlanarGroup.parse(group), PlanarGroup.parse(task_group)
        if not self.group.contains(task_group):
            raise ValueError(
                f"an equivariant head needs a backbone whose group contains the task's, {task_group}; got one of "
                f"{self.group}. Use head='mlp', or a {task_group.name}_ backbone."
            )
        chosen = tuple(task_group.elements) if elements is None else elements
        self.cosets: list[list[int]] = self.group.cosets(
            tuple(self.group.embed(task_group, h) for h in chosen)
        ).tolist()
        self.pose = pose_predictor(self.group, fields, hidden)

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B labels"]:
        """See the class."""
        logits: Tensor = self.pose(features)
        return logits[:, self.cosets].logsumexp(2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, labels={len(self.cosets)}"
