"""Fields of space: channels that turn with a cloud of points as scalars, vectors and harmonics do.

Written as e3nn writes its ``Irreps``, of which they have the order, the basis and the layout: ``"32x0e+16x1o"`` is 32
scalars and then 16 vectors of three channels each, x, y and z of the first vector before those of the second. The
letter is the parity under the inversion, ``e`` (stays) or ``o`` (changes sign); without letters, ``"32x0+16x1"``,
nothing is said of reflections, and the field is one of SO(3).

Source: Geiger and Smidt 2022, *e3nn: Euclidean Neural Networks*, arXiv 2207.09453.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqmodels._shapes import Float, Shaped
from eqmodels.errors import shown
from eqmodels.fields.field import READERS, Field, check_field
from eqmodels.groups import Element, Group, PointGroup, SpaceGroup, check_orthogonal, wigner_d
from eqmodels.groups.wigner import MOST_DEGREE

__all__ = ["Irreps", "IrrepsPart", "safe_norm"]

_PART = re.compile(r"(?P<count>[0-9]{1,9})x(?P<degree>[0-9]{1,2})(?P<parity>[eo]?)")
_WORDS = re.compile(rf"{re.sub(r'[(][?]P<[a-z]+>', '(', _PART.pattern)}([+][0-9]{{1,9}}x[0-9]{{1,2}}[eo]?)*")


@dataclass(frozen=True)
class IrrepsPart:
    """So many irreducible fields of one kind.

    Attributes:
        count: their number.
        degree: 0 for scalars, 1 for vectors, 2 for symmetric tensors without a trace, and so on.
        parity: what the inversion multiplies them by, 1 or -1; 0 where nothing is said of it.
    """

    count: int
    degree: int
    parity: int

    @property
    def size(self) -> int:
        """Channels of one field."""
        return 2 * self.degree + 1

    @property
    def channels(self) -> int:
        """Channels of all of them."""
        return self.count * self.size

    @property
    def is_invariant(self) -> bool:
        """Whether nothing changes them."""
        return self.degree == 0 and self.parity >= 0

    def __str__(self) -> str:
        return f"{self.count}x{self.degree}{('', 'e', 'o')[self.parity]}"


@dataclass(frozen=True, init=False)
class Irreps(Field):
    """Irreducible fields of SO(3), or with parities of O(3), one behind the other, in the words of e3nn.

    Args:
        parts: the text, such as ``"32x0e+16x1o"``, or the parts.

    Raises:
        ValueError: if it is none, some parts have a parity and others none, or a degree is above 11.

    Example:
        >>> field = Irreps("2x0+1x1")
        >>> field.channels, str(field), str(field.group)
        (5, '2x0+1x1', 'SO(3)')
        >>> quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        >>> field.transform(field.group, quarter, torch.tensor([[7.0, 8, 1, 0, 0]]))
        tensor([[7., 8., 0., 1., 0.]])
    """

    parts: tuple[IrrepsPart, ...]

    def __init__(self, parts: str | Sequence[IrrepsPart]) -> None:
        if isinstance(parts, str) and _WORDS.fullmatch(parts.replace(" ", "")):
            matches = [_PART.fullmatch(word) for word in parts.replace(" ", "").split("+")]
            signs = {"": 0, "e": 1, "o": -1}
            found = tuple(IrrepsPart(int(m["count"]), int(m["degree"]), signs[m["parity"]]) for m in matches if m)
        elif isinstance(parts, list | tuple) and parts and all(isinstance(part, IrrepsPart) for part in parts):
            found = tuple(parts)
        else:
            raise ValueError(f"irreps are written as '32x0e+16x1o' or '32x0+16x1'; got {shown(parts)}. Write them so.")
        if len({part.parity == 0 for part in found}) > 1:
            raise ValueError(
                f"irreps have a parity each (a field of O(3)) or none (of SO(3)); got {'+'.join(map(str, found))}. "
                "Write e or o behind every degree, or behind none."
            )
        if (largest := max(part.degree for part in found)) > MOST_DEGREE:
            raise ValueError(f"degrees of irreps are at most {MOST_DEGREE}; got {largest}. Leave higher ones out.")
        object.__setattr__(self, "parts", found)

    @cached_property
    def group(self) -> SpaceGroup:  # type: ignore[override]
        """O(3) if the parts have parities, else SO(3)."""
        return SpaceGroup(reflections=self.parts[0].parity != 0)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Those of all parts."""
        return sum(part.channels for part in self.parts)

    @property
    def invariant_count(self) -> int:
        """The number of invariants: one a field."""
        return sum(part.count for part in self.parts)

    def represents(self, group: Group, g: Element) -> bool:
        """Whether it is an element of a group of space, and does not reflect if nothing is said of parity."""
        if not isinstance(group, SpaceGroup | PointGroup):
            return False
        return self.group.reflections or bool(torch.linalg.det(group.matrix(g)) > 0)

    def transform(
        self, group: Group, g: Element, features: Shaped[Tensor, "B C *space"]
    ) -> Shaped[Tensor, "B C *space"]:
        """Every part turned."""
        check_field(features, self)
        if not self.represents(group, g):
            raise ValueError(
                f"{self} says nothing of {group.describe(g)}, an element of {group}, which is none of {self.group}. "
                f"Move the points by an element of {self.group}."
            )
        return self.turned(features, group.matrix(g).expand(len(features), 3, 3))

    def split(self, features: Shaped[Tensor, "B C *space"]) -> tuple[Shaped[Tensor, "B count size *space"], ...]:
        """The channels of each part, an axis for its fields and one for the channels of each.

        Raises:
            ValueError: if the features have another number of channels.
        """
        pieces = check_field(features, self).split([part.channels for part in self.parts], 1)
        return tuple(
            piece.unflatten(1, (part.count, part.size)) for part, piece in zip(self.parts, pieces, strict=True)
        )

    def turned(
        self, features: Shaped[Tensor, "B C *space"], matrices: Float[Tensor, "B 3 3"]
    ) -> Shaped[Tensor, "B C *space"]:
        """The features of clouds that are moved, each by a matrix of its own.

        Args:
            features: vectors, or features of points ``(B, C, N)``.
            matrices: orthogonal ones of `group`, one for each cloud.

        Raises:
            TypeError: if the matrices are not floating point.
            ValueError: if the features have another number of channels, the matrices are not orthogonal ones of 3 by 3,
                or not one a cloud.
        """
        matrices = check_orthogonal("matrices", matrices).to(features)
        if matrices.dim() != 3 or len(matrices) != len(features):
            raise ValueError(
                f"matrices must be one of 3 by 3 for each of {len(features)} clouds; got the shape "
                f"{tuple(matrices.shape)}. Repeat one with matrix.expand({len(features)}, 3, 3)."
            )
        return self.turned_freely(features, matrices)

    def turned_freely(
        self, features: Shaped[Tensor, "B C *space"], matrices: Float[Tensor, "B 3 3"]
    ) -> Shaped[Tensor, "B C *space"]:
        """As `turned`, without a look at the values of the matrices, for what is traced or differentiated."""
        signs = torch.linalg.det(matrices.detach()).sign()
        proper = matrices * signs[:, None, None]
        moved = []
        for part, fields in zip(self.parts, self.split(features), strict=True):
            if part.degree:
                turn = wigner_d(part.degree, proper)
                fields = torch.einsum("bij,bcj...->bci...", turn, fields)  # noqa: PLW2901
            if part.parity < 0:
                fields = fields * signs.reshape(-1, *[1] * (fields.dim() - 1))  # noqa: PLW2901
            moved.append(fields.flatten(1, 2))
        return torch.cat(moved, 1)

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """Scalars as they are, of pseudo-scalars the magnitude, and the length of everything else: one a field."""
        pairs = zip(self.parts, self.split(features), strict=True)
        return torch.cat([own.flatten(1, 2) if part.is_invariant else safe_norm(own, 2) for part, own in pairs], 1)

    def turned_back(
        self, features: Float[Tensor, "B C"], frames: Float[Tensor, "B 3 3"], *, soft: bool = False
    ) -> Float[Tensor, "B C"]:
        """Vectors turned back by the frame of each cloud: exactly invariant if the frames turn with the clouds.

        Args:
            features: of clouds.
            frames: orthogonal matrices with ``F(R x) = R F(x)``.
            soft: False; there is no average over all rotations.

        Raises:
            TypeError: if the frames are not floating point.
            ValueError: if the features have another number of channels, the frames are not orthogonal or not one a
                cloud, or `soft` is True.
        """
        if soft:
            raise ValueError(
                "soft must be False for fields of space, whose poses cannot all be averaged. Leave it out."
            )
        return self.turned(features, frames.transpose(-1, -2))

    def __str__(self) -> str:
        return "+".join(map(str, self.parts))


def safe_norm(values: Float[Tensor, "*shape"], axis: int) -> Float[Tensor, "*rest"]:
    """The length along an axis, with a gradient of zero instead of NaN where it is zero."""
    squares = values.square().sum(axis)
    is_zero = squares == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squares).sqrt())


READERS[_WORDS] = lambda match: Irreps(match.group())
