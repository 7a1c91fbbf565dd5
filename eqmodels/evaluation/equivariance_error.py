"""The figure that says how far features are from turning with the image, for one group element.

The relative error ``||f(g x) - rho(g) f(x)|| / ||f(x)||`` over a batch: the root of the ratio of mean squares
``E|f(gx) - rho(g) f(x)|^2 / E|f(x)|^2`` that the literature also reports. It is 0 for a constant network, so it always
comes with a measure of collapse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.fields import Field
from eqmodels.groups import Group, PlanarGroup, rotate

__all__ = ["Motion", "group_to_test", "motions", "relative_error"]


@dataclass(frozen=True)
class Motion:
    """An element of a group that moves images; one that does not permute pixels is measured inside a circle.

    Attributes:
        group: the group.
        element: the element.
        exact: whether it permutes pixels. Quarter turns and flips keep the corners; other elements would show there
            which angle it was.
    """

    group: PlanarGroup
    element: int
    exact: bool

    @property
    def description(self) -> str:
        """The element in words."""
        return self.group.describe(self.element)

    def is_represented(self, field: Field) -> bool:
        """Whether a field says what becomes of its channels."""
        return field.represents(self.group, self.element)

    def start(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The images before the motion: masked by the circle if it is not exact."""
        return images if self.exact else rotate(images, 0.0, circular=True)

    def moved(self, field: Field, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B C *moved"]:
        """What features of a field become; where the field does not say, pixels move alone."""
        if self.is_represented(field):
            return field.act(self.group, self.element, features, circular=not self.exact)
        return self.group.act(self.element, features, circular=not self.exact) if features.dim() == 4 else features

    def error(self, field: Field, original: Tensor, value: Tensor) -> float:
        """How far features of the moved image are from the moved features.

        Args:
            field: what their channels mean.
            original: features of the image at the start.
            value: those of the moved image.
        """
        expected = self.moved(field, original)
        if not self.exact and value.dim() == 4:
            value, original = (rotate(maps, 0.0, circular=True) for maps in (value, original))
        return relative_error(value, expected, original)


def motions(group: PlanarGroup, elements: Iterable[int]) -> list[Motion]:
    """The motions of some elements but the identity, those that permute pixels first."""
    found = [Motion(group, g, group.is_exact(g)) for g in elements if g != group.identity]
    return sorted(found, key=lambda motion: not motion.exact)


def relative_error(value: Tensor, expected: Tensor, original: Tensor) -> float:
    """``||value - expected|| / ||original||``; infinite if the shapes differ, or if a zero became something else."""
    if value.shape != expected.shape:
        return math.inf
    difference, norm = float((value - expected).norm()), float(original.norm())
    if norm == 0:
        return 0.0 if difference == 0 else math.inf
    return difference / norm


def group_to_test(model: nn.Module, group: Group | str | None, field: Field | None) -> PlanarGroup:
    """The group to test with: the one that is asked for, else the network's, its output's or its last layer's.

    Args:
        model: the network.
        group: what is asked for, or None.
        field: of the output, if it is known.

    Raises:
        ValueError: if there is none, or it has no element but the identity.
    """
    layers = [module for module in reversed(list(model.modules())) if module is not model]
    named = [getattr(model, "group", None), getattr(field, "group", None), *(getattr(m, "group", None) for m in layers)]
    own = next((found for found in named if isinstance(found, PlanarGroup)), None)
    if isinstance(group, Group) and not isinstance(group, PlanarGroup):
        raise ValueError(f"group must be one of the plane, which moves images; got {group}. Pass, say, group='c4'.")
    tested = own if group is None else PlanarGroup.parse(group)
    if tested is None or tested.order == 1:
        raise ValueError(
            f"group must name a group of more than one element, or the network have one of its own; got "
            f"{'neither' if tested is None else tested}. Pass, say, group='c4'."
        )
    return tested
