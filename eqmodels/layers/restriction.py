"""Restriction to a subgroup: regular fields of a group read as regular fields of one of its subgroups."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from eqmodels._shapes import Shaped
from eqmodels.checks import check_fibre
from eqmodels.fields import Field, Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers.declared import regular_field
from eqmodels.layers.scripting import NotScriptable

__all__ = ["Restrict"]

fx.wrap("check_fibre")


class Restrict(NotScriptable):
    """Reads regular fields of a group as ``|G| / |H|`` times as many regular fields of a subgroup H.

    ``(B, C, *space)`` in and out: the same channels in another order (see `PlanarGroup.restriction`). Layers of the
    subgroup follow, which are free to tell directions apart that the group holds equal.

    Args:
        group: the group of the input, or its name.
        subgroup: the group of the output, or its name.

    Raises:
        ValueError: if the one is not a subgroup of the other, or, in `forward`, if the channels are no whole fibres.

    Source: Weiler and Cesa 2019, arXiv 1911.08251, section 2.7.
    """

    def __init__(self, group: PlanarGroup | str, subgroup: PlanarGroup | str) -> None:
        super().__init__()
        self.source, self.group = PlanarGroup.parse(group), PlanarGroup.parse(subgroup)
        self._order: tuple[int, ...] = tuple(self.source.restriction(self.group).flatten().tolist())

    def output_field(self, field: Field) -> Field:
        """Regular fields of the subgroup, ``|G| / |H|`` times as many.

        Raises:
            ValueError: if the input is of no regular fields of the group.
        """
        return Regular(self.group, regular_field(self, self.source, field).channels // self.group.order)

    def forward(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """The channels, ordered by the rows and columns of `PlanarGroup.restriction`."""
        # Numbers and slices rather than an index tensor, which would be state to move, average and trace.
        fibre = check_fibre(features, self.source.order).chunk(self.source.order, 1)
        return torch.cat([fibre[h] for h in self._order], 1)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.source} -> {self.group}"
