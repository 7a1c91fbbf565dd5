"""Maps enlarged to a given size, and fields laid side by side: what a decoder needs beside convolutions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_channels, check_joined, check_maps, check_target
from eqmodels.fields import Field, Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers.scripting import NotScriptable

__all__ = ["ExactUpsample2d", "JoinFields"]

torch.fx.wrap("check_channels")
torch.fx.wrap("check_joined")
torch.fx.wrap("check_maps")
torch.fx.wrap("check_target")


class ExactUpsample2d(NotScriptable):
    """Resamples a feature map bilinearly to any size, exactly equivariant to quarter turns and flips.

    ``(B, C, H, W) -> (B, C, H2, W2)``: output pixel ``i`` of ``H2`` looks at ``(i + 1/2) H / H2 - 1/2``, between the
    centres of two pixels, and beyond the outer centres at the outer pixel. These places mirror onto each other at every
    size, odd or even. They do not where corners are aligned by multiples of a stride, nor with the nearest pixel, which
    has to choose where two are equally near.
    """

    def output_field(self, field: Field) -> Field:
        """That of the input, whose channels are averaged one by one."""
        return field

    def forward(self, maps: Float[Tensor, "B C H W"], size: tuple[int, int]) -> Float[Tensor, "B C H2 W2"]:
        """Maps of the given height and width.

        Raises:
            TypeError: if the maps are no dense tensor of floating point, or the size is no two integers.
            ValueError: if the maps have another rank or no pixels, or a size is below 1.
        """
        return F.interpolate(check_maps(maps), check_target(size), mode="bilinear", align_corners=False)


class JoinFields(NotScriptable):
    """Lays the regular fields of two maps side by side: in every row of the fibre, first the one's, then the other's.

    ``(B, |G| F, H, W), (B, |G| F2, H, W) -> (B, |G| (F + F2), H, W)``.

    Args:
        group: a `PlanarGroup` or its name.
        fields: regular fields of the first map.
        others: of the second.
    """

    def __init__(self, group: PlanarGroup | str, fields: int, others: int) -> None:
        super().__init__()
        self.group = PlanarGroup.parse(group)
        self.first, self.second = Regular(self.group, fields), Regular(self.group, others)
        self.out_field = Regular(self.group, fields + others)

    def forward(
        self, maps: Float[Tensor, "B C H W"], others: Float[Tensor, "B C2 H W"]
    ) -> Float[Tensor, "B joined H W"]:
        """Both maps in one.

        Raises:
            TypeError: if they are no dense tensors of floating point.
            ValueError: if they have other channels than their fields, or differ in the number of images, in size or in
                their device.
        """
        maps = check_channels(maps, self.first.channels, 4)
        others = check_channels(others, self.second.channels, 4)
        maps = check_joined(maps, others)
        order = self.group.order
        joined: Tensor = torch.cat([maps.unflatten(1, (order, -1)), others.unflatten(1, (order, -1))], 2)
        return joined.flatten(1, 2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, {self.first.count}, {self.second.count}"
