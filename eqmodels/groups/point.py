"""The finite groups of rotations of the Platonic solids, without and with reflections.

======  =====  ===========================================================================
name    order  what it leaves as it is
======  =====  ===========================================================================
``t``   12     rotations of the tetrahedron
``o``   24     rotations of the cube and of the octahedron: the 24 orientations of a cube
``i``   60     rotations of the icosahedron
``td``  24     the tetrahedron, reflections too
``th``  24     ``t`` and the inversion
``oh``  48     the cube
``ih``  120    the icosahedron
======  =====  ===========================================================================

The axes of the cube are x, y and z; the corners of the icosahedron are ``(0, +-1, +-phi)`` and its cyclic exchanges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.groups.group import Element, Group
from eqmodels.groups.rotations import axis_angle_matrix
from eqmodels.groups.space import SpaceGroup

__all__ = ["PointGroup"]

GOLDEN = (1 + 5**0.5) / 2
NAMES = ("t", "o", "i", "td", "th", "oh", "ih")


@dataclass(frozen=True)
class PointGroup(Group):
    """A finite group of rotations of space, perhaps with reflections; an element is its number.

    Elements that reflect come after those that do not; the identity is 0.

    Args:
        kind: its name, see above.

    Raises:
        ValueError: if there is no such name.

    Example:
        >>> cube = PointGroup("o")
        >>> cube.order, cube.compose(3, cube.inverse(3))
        (24, 0)
    """

    kind: str

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in NAMES:
            raise ValueError(
                f"a finite group of space is one of {', '.join(NAMES)}; got {shown(self.kind)}. Use 'o', the rotations "
                "of the cube."
            )

    @property
    def name(self) -> str:
        """Its name, for instance ``"o"``."""
        return self.kind

    def __str__(self) -> str:
        return self.kind.capitalize()

    @property
    def reflections(self) -> bool:
        """Whether some elements reverse orientation."""
        return len(self.kind) == 2

    @property
    def matrices(self) -> Float[Tensor, "order 3 3"]:
        """The matrix of every element, in float64 on the CPU."""
        return torch.tensor(_matrices(self.kind), dtype=torch.float64, device="cpu")

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(_matrices(self.kind))

    @property
    def elements(self) -> range:
        """The elements 0 .. order - 1, the identity first, rotations before reflections."""
        return range(self.order)

    @property
    def identity(self) -> int:
        """The neutral element, 0."""
        return 0

    def matrix(self, g: Element) -> Float[Tensor, "3 3"]:
        """The orthogonal matrix of an element, in float64 on the CPU.

        Raises:
            ValueError: if `g` is no element.
        """
        return self.matrices[self._checked(g)]

    def reflected(self, g: int) -> bool:
        """Whether the element reverses orientation."""
        return self.reflections and self._checked(g) >= self.order // 2

    def compose(self, g: int, h: int) -> int:
        """The product ``g h``: first ``h``, then ``g``."""
        return _products(self.kind)[self._checked(g)][self._checked(h)]

    def inverse(self, g: int) -> int:
        """The element whose product with `g` is the identity."""
        return _products(self.kind)[self._checked(g)].index(self.identity)

    def describe(self, g: Element) -> str:
        """The element in words, as `SpaceGroup.describe` has it."""
        return SpaceGroup(reflections=True).describe(self.matrix(g))

    def _checked(self, g: Element) -> int:
        if not isinstance(g, int) or not 0 <= g < self.order:
            raise ValueError(f"an element of {self} is an integer from 0 to {self.order - 1}; got {shown(g)}.")
        return g


Rows = tuple[tuple[float, ...], ...]
"""One matrix as numbers: a cached tensor would keep the device and the inference mode of the first call."""


@cache
def _matrices(kind: str) -> tuple[Rows, ...]:
    with torch.device("cpu"):  # whatever device networks are built on, such as "meta"
        return _found(kind)


def _found(kind: str) -> tuple[Rows, ...]:
    """The matrices of a group, from its generators or from those of a group that it has or is in."""
    if kind in ("th", "oh", "ih"):
        rotations = torch.tensor(_matrices(kind[0]), dtype=torch.float64)
        return _rows(torch.cat([rotations, -rotations]))
    if kind == "td":
        cube = torch.tensor(_matrices("o"), dtype=torch.float64)
        inside = torch.tensor([rows in set(_matrices("t")) for rows in _matrices("o")])
        return _rows(torch.cat([cube[inside], -cube[~inside]]))
    about_z = {"t": 180.0, "o": 90.0, "i": 180.0}[kind]
    generators = [
        axis_angle_matrix(torch.tensor([0, 0, 1], dtype=torch.float64), about_z),
        axis_angle_matrix(torch.tensor([1, 1, 1], dtype=torch.float64), 120.0),
    ]
    if kind == "i":
        generators.append(axis_angle_matrix(torch.tensor([0, 1, GOLDEN], dtype=torch.float64), 72.0))
    return _closure(generators)


def _closure(generators: list[Float[Tensor, "3 3"]]) -> tuple[Rows, ...]:
    """All products of some matrices, the identity first, in the order of the number of factors."""
    found = dict.fromkeys(_rows(torch.eye(3, dtype=torch.float64)[None]))
    newest = list(found)
    while newest:
        products = [torch.tensor(rows, dtype=torch.float64) @ generator for rows in newest for generator in generators]
        newest = [rows for rows in dict.fromkeys(_rows(torch.stack(products))) if rows not in found]
        found.update(dict.fromkeys(newest))
    return tuple(found)


def _rows(matrices: Float[Tensor, "G 3 3"]) -> tuple[Rows, ...]:
    """Matrices as numbers without rounding errors: every entry of these groups is one of nine."""
    parts = torch.tensor([0, 0.5, 1, GOLDEN / 2, (GOLDEN - 1) / 2], dtype=torch.float64)
    known = torch.cat([parts, -parts[1:]])
    nearest = known[(matrices[..., None] - known).abs().argmin(-1)]
    return tuple(tuple(map(tuple, matrix)) for matrix in nearest.tolist())


@cache
def _products(kind: str) -> list[list[int]]:
    """The table of products, row ``g``, column ``h``."""
    place = {rows: number for number, rows in enumerate(_matrices(kind))}
    with torch.device("cpu"):
        matrices = torch.tensor(_matrices(kind), dtype=torch.float64)
        products = torch.einsum("gij,hjk->ghik", matrices, matrices)
        return [[place[rows] for rows in _rows(row)] for row in products]
