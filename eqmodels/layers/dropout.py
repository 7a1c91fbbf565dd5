"""Dropout of regular fields as wholes, so that what is left still turns with the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.checks import check_fibre
from eqmodels.errors import shown
from eqmodels.fields import Field
from eqmodels.groups import PlanarGroup
from eqmodels.layers.declared import regular_field
from eqmodels.layers.scripting import NotScriptable

__all__ = ["FeatureDropout", "FieldDropout1d", "FieldDropout2d"]

torch.fx.wrap("check_fibre")


class FieldDropout2d(NotScriptable):
    """Dropout of whole fields: a field is kept or zeroed at every pixel and in its whole fibre at once.

    ``(B, |G| fields, H, W)`` in and out; kept fields are scaled by ``1 / (1 - p)``.

    Args:
        group: a `PlanarGroup` or its name.
        p: probability of zeroing a field, in [0, 1].

    Raises:
        ValueError: if `p` is no probability, or, in `forward`, if the channels are no whole fibres.

    Source: Tompson et al. 2015, arXiv 1411.4280.
    """

    def __init__(self, group: PlanarGroup | str, p: float = 0.5) -> None:
        super().__init__()
        check_probability("p", p)
        self.group = PlanarGroup.parse(group)
        # A module, so that a trace follows its mode.
        self.drop: nn.Module = nn.Dropout3d(p)

    def output_field(self, field: Field) -> Field:
        """That of the input; in train mode the law holds in distribution, as each call draws its mask.

        Raises:
            ValueError: if the input is of no regular fields of the group.
        """
        return regular_field(self, self.group, field)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Maps with some fields zeroed (train mode), or as they are (eval mode)."""
        return self._dropped(maps)

    def _dropped(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B C *space"]:
        # Fields become channels and the fibre a third axis of space, so that a channel dropped is a field dropped.
        fields = check_fibre(features, self.group.order).unflatten(1, (self.group.order, -1)).transpose(1, 2)
        dropped: Tensor = self.drop(fields)
        return dropped.transpose(1, 2).flatten(1, 2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return str(self.group)


class FieldDropout1d(FieldDropout2d):
    """Dropout of whole fields of feature vectors ``(B, |G| fields)``, see `FieldDropout2d`.

    Args:
        group: a `PlanarGroup` or its name.
        p: probability of zeroing a field, in [0, 1].

    Raises:
        ValueError: if `p` is no probability, or, in `forward`, if the channels are no whole fibres.
    """

    def __init__(self, group: PlanarGroup | str, p: float = 0.5) -> None:
        super().__init__(group, p)
        self.drop = nn.Dropout1d(p)

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """Features with some fields zeroed (train mode), or as they are (eval mode)."""
        return self._dropped(features)


class FeatureDropout(NotScriptable):
    """Dropout of what a `GlobalPool` puts out: of scalars one by one, of regular fields as wholes.

    Args:
        group: a `PlanarGroup` or its name.
        mode: of the pooling.
        p: probability of zeroing a scalar or a field, in [0, 1].

    Raises:
        ValueError: if `p` is no probability.
    """

    def __init__(self, group: PlanarGroup | str, mode: str, p: float) -> None:
        super().__init__()
        self.group, self.mode = PlanarGroup.parse(group), mode
        check_probability("drop_rate", p)
        self.scalars = nn.Dropout(p)
        self.fields = FieldDropout1d(self.group, p) if mode else FieldDropout2d(self.group, p)

    def forward(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B C *space"]:
        """Features with some zeroed (train mode), or as they are (eval mode)."""
        if self.mode == "invariant+regular":
            scalars, rest = features.tensor_split((features.shape[1] // (self.group.order + 1),), dim=1)
            return torch.cat([self.scalars(scalars), self.fields(rest)], dim=1)
        if self.mode == "catavgmax":
            mean, largest = features.chunk(2, dim=1)
            return torch.cat([self.fields(mean), self.fields(largest)], dim=1)
        are_scalars = self.mode == "invariant" or self.mode.startswith("canonical")
        kept: Tensor = self.scalars(features) if are_scalars else self.fields(features)
        return kept


def check_probability(name: str, value: float) -> float:
    """The value itself, if it is a probability.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability between 0 and 1; got {shown(value)}. Use 0 for no dropout.")
    return value
