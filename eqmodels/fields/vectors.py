"""Vectors that turn with the image: of orientation, of flow, and of what repeats at a part of a turn."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float, Shaped
from eqmodels.checks import check_count, check_logits
from eqmodels.fields.field import READERS, Field, check_field
from eqmodels.groups import Element, Group, PlanarGroup

__all__ = ["Vectors"]


@dataclass(frozen=True, init=False)
class Vectors(Field):
    """Vectors of the plane, of two channels each, which turn as the image does: ``(g v)(x) = M(g) v(g^-1 x)``.

    Channels are component-major, as those of `Regular` are group-major: the components along x, to the right, of all
    vectors, and then those along y, *upwards*. (Optical flow with y downwards has the other sign there.) With
    ``frequency=k`` a turn by an angle turns the vector by k times as much: with 2 it stands for a direction that has no
    head, as ``(cos 2a, sin 2a)`` does of a line at the angle a.

    Args:
        group: the group, or its name.
        count: number of vectors.
        frequency: turns of the vector in one of the image.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if `count` is negative, or `frequency` below 1.

    Example:
        >>> field = Vectors("c4", 1)
        >>> field.channels, str(field)
        (2, '1 x vector(c4)')
        >>> field.transform(field.group, 1, torch.tensor([[1.0, 0.0]]))  # to the right, turned by 90 degrees
        tensor([[0., 1.]])
    """

    group: PlanarGroup
    count: int
    frequency: int

    def __init__(self, group: PlanarGroup | str, count: int, frequency: int = 1) -> None:
        object.__setattr__(self, "group", PlanarGroup.parse(group))
        object.__setattr__(self, "count", check_count("count", count, 0))
        object.__setattr__(self, "frequency", check_count("frequency", frequency, 1, bits=10))

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Two a vector."""
        return 2 * self.count

    def matrix(self, g: int) -> Float[Tensor, "2 2"]:
        """What an element of `group` does to one vector, in float64: entries of 0 and 1 where it turns by quarters."""
        # Of a mirrored element, x -> -x comes first: the angle a becomes 180 degrees - a, and k a becomes k 180 - k a.
        mirrored = self.group.reflected(g)
        flip = torch.diag(torch.tensor([-1.0 if mirrored else 1.0, 1.0], dtype=torch.float64))
        first = -flip if mirrored and self.frequency % 2 == 0 else flip
        turn = torch.linalg.matrix_power(self.group.matrix(g) @ flip, self.frequency)
        matrix: Tensor = turn @ first
        return torch.where((matrix - matrix.round()).abs() < 1e-12, matrix.round(), matrix)

    def represents(self, group: Group, g: Element) -> bool:
        """Whether the element moves the image as one of its group does."""
        return self.group.counterpart(group, g) is not None

    def transform(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"]
    ) -> Shaped[Tensor, "B C *space"]:
        """Every vector turned, or mirrored."""
        h = self.group.counterpart(group, g)
        if h is None:
            raise ValueError(
                f"{self} says nothing of {group.describe(g)} (element {g} of {group}), which is none of its elements. "
                f"Move the image by an element of {self.group}."
            )
        parts: Tensor = check_field(features, self).unflatten(1, (2, self.count))
        return _applied(self.matrix(h).to(features), parts).flatten(1, 2)

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """The length of each vector."""
        vectors: Tensor = check_field(features, self).unflatten(1, (2, self.count))
        lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1)
        return lengths

    def turned_back(
        self, features: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], *, soft: bool = False
    ) -> Float[Tensor, "B C"]:
        """Vectors turned back by the likeliest pose, or by the mean over all poses."""
        order = self.group.order
        logits = check_logits(logits, order, check_field(features, self))
        weights = logits.softmax(1) if soft else F.one_hot(logits.argmax(1), order)
        back = torch.stack([self.matrix(g).T for g in self.group.elements]).to(features)
        turned = torch.einsum("bg,gij,bjc->bic", weights.to(features), back, features.unflatten(1, (2, self.count)))
        return turned.flatten(1)

    def to_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Channels ``k * F + c`` reordered to ``2 c + k``."""
        reordered: Tensor = check_field(features, self).unflatten(1, (2, self.count)).transpose(1, 2)
        return reordered.flatten(1, 2)

    def from_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Channels ``2 c + k`` reordered to ``k * F + c``."""
        reordered: Tensor = check_field(features, self).unflatten(1, (self.count, 2)).transpose(1, 2)
        return reordered.flatten(1, 2)

    def __str__(self) -> str:
        frequency = "" if self.frequency == 1 else f":{self.frequency}"
        return f"{self.count} x vector({self.group.name}{frequency})"


def _applied(matrix: Float[Tensor, "2 2"], vectors: Shaped[Tensor, "B 2 F *space"]) -> Shaped[Tensor, "B 2 F *space"]:
    """A matrix times every vector."""
    x, y = vectors.unbind(1)
    return torch.stack([row[0] * x + row[1] * y for row in matrix], 1)


_VECTORS = re.compile(r"(?P<count>[0-9]{1,9}) x vector\((?P<group>[cd][0-9]{1,4})(:(?P<frequency>[1-9][0-9]{0,2}))?\)")
READERS[_VECTORS] = lambda match: Vectors(
    PlanarGroup.parse(match["group"]), int(match["count"]), int(match["frequency"] or 1)
)
