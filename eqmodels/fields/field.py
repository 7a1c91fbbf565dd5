"""What a channel axis means, as a value: scalars, regular fields of a group, and sums of these.

A field says how the channels of vectors ``(B, C)`` and maps ``(B, C, H, W)`` change when the image moves. Layers,
backbones and heads carry one for what they take and one for what they put out. Like e3nn's ``Irreps``, fields are
compared, printed and read back: ``str(field)`` and `Field.parse` are inverse.

Source: Cohen, Geiger and Weiler 2019, *A General Theory of Equivariant CNNs on Homogeneous Spaces*, arXiv 1811.02017.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqmodels._shapes import Float, Shaped
from eqmodels.checks import check_count, check_tensor
from eqmodels.errors import shown
from eqmodels.fields.turning import turned_by_pose
from eqmodels.groups import Element, Group, PlanarGroup

__all__ = ["Field", "Regular", "Scalars", "Sum", "check_field"]

torch.fx.wrap("check_field")

READERS: dict[re.Pattern[str], Callable[[re.Match[str]], Field]] = {}  # how each kind is written, and what reads it


class Field(ABC):
    """What the channels of features mean.

    Attributes:
        channels: their number.
        group: the group that acts on them; None if they do not change under any.
    """

    channels: int
    group: Group | None

    @abstractmethod
    def represents(self, group: Group, g: Element) -> bool:
        """Whether it says what becomes of the channels when the element `g` of `group` moves the image."""

    @abstractmethod
    def transform(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"]
    ) -> Shaped[Tensor, "B C *space"]:
        """The representation on the channels alone; pixels stay where they are.

        Args:
            group: the group that moves the image: its own, or any other that shares the element.
            g: the element of `group`.
            features: any.

        Raises:
            ValueError: if the element is not represented, or the features have another number of channels.
        """

    @abstractmethod
    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """Features that no element changes: the maximum over each fibre; maps of them still turn with the image.

        Raises:
            ValueError: if the features have another number of channels.
        """

    @abstractmethod
    def turned_back(
        self, features: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], *, soft: bool = False
    ) -> Float[Tensor, "B C"]:
        """Vectors turned back by a pose, see `turn_back`; scalars stay as they are.

        Raises:
            ValueError: if the features have another number of channels, or there is not one logit an element.
        """

    def to_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Group-major channels (this package's) in escnn's order, field by field; the same for most fields.

        Raises:
            ValueError: if the features have another number of channels.
        """
        return check_field(features, self)

    def from_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Channels in escnn's order in this package's.

        Raises:
            ValueError: if the features have another number of channels.
        """
        return check_field(features, self)

    def act(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"], *, circular: bool = False
    ) -> Shaped[Tensor, "B C *moved"]:
        """What features of the moved image or cloud are: of maps ``(B, C, H, W)`` the pixels move too.

        Args:
            group: the group that moves it.
            g: the element of `group`.
            features: vectors, maps or features of points ``(B, C, N)``.
            circular: of maps, zero everything outside the circle.

        Raises:
            ValueError: as `transform`.
        """
        transformed = self.transform(group, g, features)
        moves = isinstance(group, PlanarGroup) and isinstance(g, int) and features.dim() == 4
        return group.act(g, transformed, circular=circular) if moves else transformed  # type: ignore[attr-defined]

    def __add__(self, other: Field) -> Field:
        return Sum.of(self, other)

    @staticmethod
    def parse(text: str) -> Field:
        """The field that ``str`` wrote, such as ``"8 x regular(c4) + 3 x scalar"``.

        Raises:
            ValueError: if the text is none.
        """
        parts: list[Field] = []
        for part in text.split(" + ") if isinstance(text, str) else [""]:
            matches = ((read, words.fullmatch(part)) for words, read in READERS.items())
            found = [read(match) for read, match in matches if match is not None]
            if not found:
                raise ValueError(
                    f"a field is written as '8 x regular(c4) + 3 x scalar'; got {str(text)[:80]!r}. Use the text that "
                    "str(field) gives."
                )
            parts += found
        return Sum.of(*parts)


@dataclass(frozen=True)
class Scalars(Field):
    """Channels that no motion of the image changes: of an image, of invariant features, of class scores.

    Args:
        count: their number.

    Raises:
        TypeError: if `count` is not an integer.
        ValueError: if it is negative.

    Example:
        >>> Scalars(3).channels, str(Scalars(3))
        (3, '3 x scalar')
    """

    count: int

    def __post_init__(self) -> None:
        check_count("count", self.count, 0)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """As many as scalars."""
        return self.count

    @property
    def group(self) -> Group | None:  # type: ignore[override]
        """None: no group changes them."""
        return None

    def represents(self, group: Group, g: Element) -> bool:  # noqa: ARG002
        """Always: scalars stay as they are."""
        return True

    def transform(
        self,
        group: Group,  # noqa: ARG002
        g: Element,  # noqa: ARG002
        features: Shaped[Tensor, "B C *space"],
    ) -> Shaped[Tensor, "B C *space"]:
        """The features themselves."""
        return check_field(features, self)

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """The features themselves."""
        return check_field(features, self)

    def turned_back(
        self,
        features: Float[Tensor, "B C"],
        logits: Float[Tensor, "B G"],  # noqa: ARG002
        *,
        soft: bool = False,  # noqa: ARG002
    ) -> Float[Tensor, "B C"]:
        """The features themselves."""
        return check_field(features, self)

    def __str__(self) -> str:
        return f"{self.count} x scalar"


@dataclass(frozen=True, init=False)
class Regular(Field):
    """Regular fields of a group, or of one of its subgroups: a fibre of one channel an element.

    Channels are group-major: field ``c`` of the element in row ``h`` is channel ``h * count + c``, and ``(g f)_h =
    f_{g^-1 h}``.

    Args:
        group: the group, or its name.
        count: number of fields.
        elements: the elements of a subgroup, in the order of the rows, the identity first; None for the whole group.

    Raises:
        TypeError: if `count` is not an integer.
        ValueError: if it is negative, or the elements are no subgroup.

    Example:
        >>> field = Regular("c4", 2)
        >>> field.channels, str(field + Scalars(3))
        (8, '2 x regular(c4) + 3 x scalar')
        >>> features = torch.randn(5, 8)
        >>> torch.equal(field.transform(PlanarGroup(4), 1, features), features.roll(2, 1))
        True
    """

    group: PlanarGroup
    count: int
    elements: tuple[int, ...] | None

    def __init__(self, group: PlanarGroup | str, count: int, elements: Sequence[int] | None = None) -> None:
        object.__setattr__(self, "group", PlanarGroup.parse(group))
        object.__setattr__(self, "count", check_count("count", count, 0))
        rows = None if elements is None else tuple(elements)
        if rows is not None:
            self.group.cosets(rows)  # raises if they are no subgroup
        object.__setattr__(self, "elements", None if rows == tuple(self.group.elements) else rows)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """The element of each row of the fibre."""
        return tuple(self.group.elements) if self.elements is None else self.elements

    @property
    def order(self) -> int:
        """Channels of one field."""
        return len(self.rows)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """One a field and row."""
        return self.order * self.count

    def represents(self, group: Group, g: Element) -> bool:
        """Whether the element moves the image as one of the rows' elements does."""
        return self.group.counterpart(group, g) in self.rows

    def transform(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"]
    ) -> Shaped[Tensor, "B C *space"]:
        """The rows of the fibre permuted."""
        h = self.group.counterpart(group, g)
        if h is None or h not in self.rows:
            raise ValueError(
                f"{self} says nothing of {group.describe(g)} (element {g} of {group}), which is none of its elements. "
                f"Move the image by an element of {self.group}."
            )
        return self.group.permute_fibre(h, check_field(features, self), self.rows)

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """One a field."""
        pooled: Tensor = check_field(features, self).unflatten(1, (self.order, self.count)).amax(1)
        return pooled

    def turned_back(
        self, features: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], *, soft: bool = False
    ) -> Float[Tensor, "B C"]:
        """The rows of the fibre permuted back, see `turn_back`."""
        products = [[self.rows.index(self.group.compose(g, h)) for h in self.rows] for g in self.rows]
        return turned_by_pose(check_field(features, self), logits, products, soft=soft)

    def to_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Channels ``h * F + c`` reordered to ``c * |G| + h``."""
        reordered: Tensor = check_field(features, self).unflatten(1, (self.order, self.count)).transpose(1, 2)
        return reordered.flatten(1, 2)

    def from_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Channels ``c * |G| + h`` reordered to ``h * F + c``."""
        reordered: Tensor = check_field(features, self).unflatten(1, (self.count, self.order)).transpose(1, 2)
        return reordered.flatten(1, 2)

    def __str__(self) -> str:
        part = "" if self.elements is None else f":{','.join(map(str, self.elements))}"
        return f"{self.count} x regular({self.group.name}{part})"


@dataclass(frozen=True)
class Sum(Field):
    """Fields one behind the other on the channel axis.

    Args:
        parts: the fields, none of them a sum; `Sum.of` makes it so.

    Raises:
        ValueError: if regular fields of several groups are among them.
    """

    parts: tuple[Field, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, tuple) or not all(isinstance(part, Field) for part in self.parts):
            raise TypeError(f"parts must be a tuple of fields; got {shown(self.parts)}. Add fields with +.")
        if len(groups := {part.group for part in self.parts if part.group is not None}) > 1:
            raise ValueError(
                f"fields of a sum must be of one group; got {' and '.join(sorted(map(str, groups)))}. Restrict them to "
                "a subgroup first."
            )

    @staticmethod
    def of(*fields: Field) -> Field:
        """The sum of fields, flat; of one field that field itself."""
        flat = [part for field in fields for part in (field.parts if isinstance(field, Sum) else (field,))]
        return flat[0] if len(flat) == 1 else Sum(tuple(flat))

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Those of all parts."""
        return sum(part.channels for part in self.parts)

    @property
    def group(self) -> Group | None:  # type: ignore[override]
        """That of the parts that have one."""
        return next((part.group for part in self.parts if part.group is not None), None)

    def represents(self, group: Group, g: Element) -> bool:
        """Whether all parts do."""
        return all(part.represents(group, g) for part in self.parts)

    def split(self, features: Shaped[Tensor, "B C *space"]) -> tuple[Shaped[Tensor, "B part *space"], ...]:
        """The channels of each part.

        Raises:
            ValueError: if the features have another number of channels.
        """
        parts: tuple[Tensor, ...] = check_field(features, self).split([part.channels for part in self.parts], 1)
        return parts

    def transform(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"]
    ) -> Shaped[Tensor, "B C *space"]:
        """Each part by itself."""
        pairs = zip(self.parts, self.split(features), strict=True)
        return torch.cat([part.transform(group, g, own) for part, own in pairs], 1)

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """Those of each part."""
        return torch.cat([part.invariants(own) for part, own in zip(self.parts, self.split(features), strict=True)], 1)

    def turned_back(
        self, features: Float[Tensor, "B C"], logits: Float[Tensor, "B G"], *, soft: bool = False
    ) -> Float[Tensor, "B C"]:
        """Each part by itself."""
        pairs = zip(self.parts, self.split(features), strict=True)
        return torch.cat([part.turned_back(own, logits, soft=soft) for part, own in pairs], 1)

    def to_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Each part by itself."""
        return torch.cat([part.to_escnn(own) for part, own in zip(self.parts, self.split(features), strict=True)], 1)

    def from_escnn(self, features: Shaped[Tensor, "B C *space"]) -> Shaped[Tensor, "B C *space"]:
        """Each part by itself."""
        return torch.cat([part.from_escnn(own) for part, own in zip(self.parts, self.split(features), strict=True)], 1)

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))


def check_field(features: Tensor, field: Field) -> Tensor:
    """The features themselves, if they have the channels of a field.

    Raises:
        TypeError: if they are no dense tensor.
        ValueError: if they do not.
    """
    check_tensor("features", features)
    if features.dim() < 2 or features.shape[1] != field.channels:
        raise ValueError(
            f"features of the field {field} have the shape (batch, {field.channels}, ...); got "
            f"{tuple(features.shape)}. Declare the field that they are of."
        )
    return features


def _regular(match: re.Match[str]) -> Regular:
    elements = None if match["elements"] is None else tuple(map(int, match["elements"].split(",")))
    return Regular(PlanarGroup.parse(match["group"]), int(match["count"]), elements)


READERS[re.compile(r"(?P<count>[0-9]{1,9}) x scalar")] = lambda match: Scalars(int(match["count"]))
_REGULAR = r"(?P<count>[0-9]{1,9}) x regular\((?P<group>[cd][0-9]{1,4})(:(?P<elements>[0-9]+(,[0-9]+)*))?\)"
READERS[re.compile(_REGULAR)] = _regular
