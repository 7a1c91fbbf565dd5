"""The planar point groups C_N and D_N and their actions on images and on regular feature maps.

Conventions, used by every other module:

* an element is an integer, its index in `PlanarGroup.elements`;
* the element of index ``f * N + r`` is the rotation by ``2 pi r / N`` (counter-clockwise as seen on the screen) *after*
  ``f`` reflections ``x -> -x`` (a left-right flip);
* the action on an image moves its content, ``(g f)(x) = f(g^-1 x)``, about the centre of the pixel grid;
* a regular feature map of ``F`` fields has ``|G| F`` channels, group-major: field ``c`` of element ``h`` is channel
  ``h * F + c``, and ``(g f)_h(x) = f_{g^-1 h}(g^-1 x)``.

Source: Cohen and Welling, *Group Equivariant Convolutional Networks*, 2016, arXiv 1602.07576.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float, Int, Shaped
from eqmodels.errors import shown
from eqmodels.groups.group import Element, Group

__all__ = ["PlanarGroup", "circular_mask", "rotate"]

_NAME = re.compile(r"(?P<family>[cd])(?P<rotations>[0-9]{1,9})", re.IGNORECASE)


MOST_ROTATIONS = 9999
"""As many as the text of a field can say; tables of a group grow with their square."""


@dataclass(frozen=True)
class PlanarGroup(Group):
    """The cyclic group C_N (N rotations) or the dihedral group D_N (N rotations and N reflections) of the plane.

    Args:
        rotations: N, the number of rotations, at least 1.
        reflections: whether the group contains the reflection ``x -> -x``.

    Raises:
        TypeError: if `rotations` is not an integer or `reflections` not a bool.
        ValueError: if `rotations` is below 1 or above 9999.

    Example:
        >>> d4 = PlanarGroup.parse("d4")
        >>> d4.order, str(d4)
        (8, 'D4')
        >>> d4.compose(1, d4.inverse(1)) == d4.identity
        True
    """

    rotations: int
    reflections: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.rotations, bool) or not isinstance(self.rotations, int):
            raise TypeError(
                f"rotations must be an integer, the N of C_N or D_N; got {shown(self.rotations)}. "
                "Pass, say, PlanarGroup(4)."
            )
        if not isinstance(self.reflections, bool):
            raise TypeError(
                f"reflections must be True (D_N) or False (C_N); got {shown(self.reflections)}. "
                "Pass, say, PlanarGroup(4, True)."
            )
        if self.rotations < 1:
            raise ValueError(
                f"rotations must be at least 1 (C1 is the trivial group); got {shown(self.rotations)}. "
                "Pass, say, PlanarGroup(4)."
            )
        if self.rotations > MOST_ROTATIONS:
            raise ValueError(
                f"rotations must be at most {MOST_ROTATIONS}; got {shown(self.rotations)}. Pass, say, PlanarGroup(4)."
            )

    @classmethod
    def parse(cls, name: str | PlanarGroup) -> PlanarGroup:
        """The group of a name such as ``"c4"``, ``"D8"``; a group is returned as it is.

        Raises:
            ValueError: if the name is not a ``c`` or ``d`` followed by a positive number.
        """
        if isinstance(name, PlanarGroup):
            return name
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if match is None or int(match["rotations"]) < 1:
            raise ValueError(
                "a group is named c<N> (N rotations) or d<N> (N rotations and N reflections) with N >= 1; "
                f"got {shown(name)}. Use, for instance, 'c4' or 'd4'."
            )
        return cls(int(match["rotations"]), match["family"].lower() == "d")

    @property
    def name(self) -> str:
        """The lower-case name used in model names, for instance ``"c4"``."""
        return f"{'d' if self.reflections else 'c'}{self.rotations}"

    def __str__(self) -> str:
        return self.name.upper()

    @cached_property
    def order(self) -> int:
        """The number of elements, N or 2N."""
        return self.rotations * (2 if self.reflections else 1)

    @property
    def elements(self) -> range:
        """The elements 0 .. order - 1, the identity first, rotations before reflections."""
        return range(self.order)

    @property
    def identity(self) -> int:
        """The neutral element, 0."""
        return 0

    def reflected(self, g: Element) -> bool:
        """Whether the element reverses orientation."""
        return self._checked(g) >= self.rotations

    def degrees(self, g: Element) -> float:
        """The angle in degrees, 0 <= angle < 360, of the rotation that follows the reflection, if any."""
        return 360.0 * (self._checked(g) % self.rotations) / self.rotations

    def describe(self, g: Element) -> str:
        """The element in words, for reports: ``"90°"`` or ``"flip, then 90°"``."""
        turn = f"{self.degrees(g):g}°"
        return f"flip, then {turn}" if self.reflected(g) else turn

    def compose(self, g: int, h: int) -> int:
        """The product ``g h``: first ``h``, then ``g``."""
        n = self.rotations
        (f1, r1), (f2, r2) = divmod(self._checked(g), n), divmod(self._checked(h), n)
        # A reflection reverses the rotations that it passes: F R = R^-1 F.
        return ((f1 + f2) % 2) * n + (r1 + (-r2 if f1 else r2)) % n

    def inverse(self, g: int) -> int:
        """The element whose product with `g` is the identity."""
        f, r = divmod(self._checked(g), self.rotations)
        return g if f else -r % self.rotations

    def is_exact(self, g: int) -> bool:
        """Whether the element maps the pixel grid onto itself: a quarter turn, a flip of an axis, or both."""
        return (4 * (self._checked(g) % self.rotations)) % self.rotations == 0

    @cached_property
    def exact_elements(self) -> tuple[int, ...]:
        """The elements that map the pixel grid onto itself."""
        return tuple(g for g in self.elements if self.is_exact(g))

    def matrix(self, g: Element) -> Float[Tensor, "2 2"]:
        """The orthogonal matrix of the element in float64, acting on ``(x, y)`` with y upwards."""
        angle = math.radians(self.degrees(g))
        cos, sin = math.cos(angle), math.sin(angle)
        sign = -1.0 if self.reflected(g) else 1.0
        return torch.tensor([[sign * cos, -sin], [sign * sin, cos]], dtype=torch.float64)

    def relative_elements(self) -> Int[Tensor, "order order"]:
        """The table of ``g^-1 h``, row ``g``, column ``h``: what a group convolution's weight is indexed by."""
        rows = tuple(self.elements)
        return torch.tensor([_sources(self, rows, g) for g in rows], device="cpu")

    def act(
        self, g: int, images: Shaped[Tensor, "*batch H W"], *, circular: bool = False
    ) -> Shaped[Tensor, "*batch Hg Wg"]:
        """Moves images (or any planes) by a group element: ``(g f)(x) = f(g^-1 x)``.

        Quarter turns and flips only permute pixels: they are exact, for every dtype; a quarter turn of a rectangular
        image swaps its height and width. Other angles are sampled bilinearly, zero outside, and keep the shape (so two
        turns by 45 degrees are a quarter turn up to interpolation, and of square images only).

        Args:
            g: the element.
            images: planes of any dtype (floating point for angles that are not quarter turns).
            circular: zero everything outside the inscribed circle, so that the corners show nothing of the angle.

        Raises:
            ValueError: if `g` is not an element.
            TypeError: if integer images meet an angle that is not a quarter turn.
        """
        flipped = images.flip(-1) if self.reflected(g) else images
        return rotate(flipped, self.degrees(g), circular=circular)

    def act_on_fields(
        self, g: int, maps: Shaped[Tensor, "B C H W"], *, circular: bool = False
    ) -> Shaped[Tensor, "B C Hg Wg"]:
        """Moves regular feature maps: the pixels as `act` does, and the fibre by ``h -> g h``.

        Raises:
            ValueError: if `g` is not an element, or the number of channels is not a multiple of the order.
        """
        return self.act(g, self.permute_fibre(g, maps), circular=circular)

    def permute_fibre(
        self, g: int, features: Shaped[Tensor, "B C *space"], elements: tuple[int, ...] | None = None
    ) -> Shaped[Tensor, "B C *space"]:
        """The regular representation alone, ``out_h = in_{g^-1 h}``, on ``|G| F`` group-major channels.

        Args:
            g: the element.
            features: vectors or maps.
            elements: of the subgroup whose regular representation it is, `g` among them; None for the whole group.

        Raises:
            ValueError: if `g` is not an element, or the number of channels is not a multiple of the order.
        """
        rows = tuple(self.elements) if elements is None else elements
        if self._checked(g) not in rows:
            raise ValueError(f"{g} is none of the elements {rows}. Pass one of them.")
        channels = features.shape[1]
        if channels % len(rows):
            raise ValueError(
                f"regular features of {self} need a number of channels divisible by {len(rows)}; got {channels}. "
                "Features that are already invariant need no action on the fibre."
            )
        source = torch.tensor(_sources(self, rows, g), device=features.device)
        fibre = features.unflatten(1, (len(rows), channels // len(rows)))
        moved: Tensor = fibre.index_select(1, source).flatten(1, 2)
        return moved

    def contains(self, subgroup: PlanarGroup) -> bool:
        """Whether every element of `subgroup` is one of this group's."""
        return self.rotations % subgroup.rotations == 0 and (self.reflections or not subgroup.reflections)

    def embed(self, subgroup: PlanarGroup, h: int) -> int:
        """The element of this group that the element `h` of a subgroup is.

        Raises:
            ValueError: if `subgroup` is not a subgroup or `h` not one of its elements.
        """
        if not self.contains(subgroup):
            raise ValueError(
                f"{subgroup} is not a subgroup of {self}; choose one of C_n{' or D_n' if self.reflections else ''} "
                f"with n a divisor of {self.rotations}."
            )
        f, r = divmod(subgroup._checked(h), subgroup.rotations)
        return f * self.rotations + r * (self.rotations // subgroup.rotations)

    def counterpart(self, group: Group, g: Element) -> int | None:
        """The element of this group that moves images as the element `g` of another does; None if there is none.

        Groups of space move no images.

        Raises:
            ValueError: if `g` is not an element of `group`.

        Example:
            >>> c8, c4 = PlanarGroup(8), PlanarGroup(4)
            >>> c8.counterpart(c4, 1), c4.counterpart(c8, 1)
            (2, None)
        """
        if not isinstance(group, PlanarGroup):
            return None
        reflected, rotation = divmod(group._checked(g), group.rotations)
        position, rest = divmod(rotation * self.rotations, group.rotations)
        if rest or (reflected and not self.reflections):
            return None
        return reflected * self.rotations + position

    def restriction(self, subgroup: PlanarGroup) -> Int[Tensor, "subgroup cosets"]:
        """How a regular field falls apart into regular fields of a subgroup.

        Every element is ``h t`` with ``h`` in the subgroup and one representative ``t`` of each right coset; the
        entries of one column transform among themselves as the regular representation of the subgroup.

        Returns:
            The index of ``h t`` in this group, row ``h``, column ``t``: a pure reindexing of the fibre.

        Raises:
            ValueError: if `subgroup` is not a subgroup.
        """
        return self.cosets(tuple(self.embed(subgroup, h) for h in subgroup.elements))

    def cosets(self, elements: tuple[int, ...]) -> Int[Tensor, "elements cosets"]:
        """The right cosets of any subgroup, given by its elements: the table of `restriction`.

        Returns:
            The index of ``h t``, row ``h`` (in the order of `elements`), column ``t`` (one representative a coset).

        Raises:
            ValueError: if the elements are no subgroup whose first element is the identity.
        """
        products = {self.compose(g, h) for g in elements for h in elements}
        if not elements or elements[0] != self.identity or products != set(elements) or len(products) != len(elements):
            raise ValueError(
                f"elements must be a subgroup of {self}, each once and the identity 0 first; got {elements}. "
                f"All of them are tuple(group.elements)."
            )
        columns: list[list[int]] = []
        covered: set[int] = set()
        for t in self.elements:
            if t not in covered:
                column = [self.compose(h, t) for h in elements]
                columns.append(column)
                covered.update(column)
        return torch.tensor(columns, device="cpu").T.contiguous()

    def _checked(self, g: Element) -> int:
        if not isinstance(g, int) or not 0 <= g < self.order:
            raise ValueError(f"an element of {self} is an integer from 0 to {self.order - 1}; got {g}.")
        return g


@lru_cache(maxsize=1024)
def _sources(group: PlanarGroup, rows: tuple[int, ...], g: int) -> tuple[int, ...]:
    """The row that each row of a fibre moved by `g` comes from: that of ``g^-1 h``."""
    # Numbers, not a tensor: a cached tensor would keep the default device and the inference mode of the first call.
    inverse, row_of = group.inverse(g), {h: row for row, h in enumerate(rows)}
    return tuple(row_of[group.compose(inverse, h)] for h in rows)


def rotate(
    images: Shaped[Tensor, "*batch H W"], degrees: float, *, circular: bool = False
) -> Shaped[Tensor, "*batch Hg Wg"]:
    """Images turned counter-clockwise about the centre of the pixel grid by any angle.

    Multiples of 90 degrees permute pixels exactly (odd ones swap the height and the width); other angles are sampled
    bilinearly with zeros outside and keep the shape.

    Args:
        images: planes; floating point unless `degrees` is a multiple of 90.
        degrees: the angle in degrees.
        circular: zero everything outside the inscribed circle (see `circular_mask`).

    Raises:
        TypeError: if integer images are to be turned by an angle that is not a multiple of 90 degrees.
    """
    if degrees % 90 == 0:
        turned = torch.rot90(images, int(degrees // 90) % 4, (-2, -1))
    elif not images.is_floating_point():
        raise TypeError(
            f"turning by {degrees:g} degrees interpolates between pixels and needs floating point images; "
            f"got {images.dtype}. Convert with images.float()."
        )
    else:
        turned = _rotate_bilinearly(images, degrees)
    if not circular:
        return turned
    outside = circular_mask(turned.shape[-2], turned.shape[-1]).to(turned.device) == 0
    return turned.masked_fill(outside, 0)


def circular_mask(height: int, width: int) -> Float[Tensor, "{height} {width}"]:
    """One where a pixel's centre lies inside the largest circle that fits the grid, else zero."""
    y, x = _centred_coordinates(height, width)
    return ((x**2 + y**2) <= (min(height, width) / 2) ** 2).float()


def _centred_coordinates(height: int, width: int) -> tuple[Float[Tensor, "H 1"], Float[Tensor, "1 W"]]:
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    return y[:, None], x[None, :]


def _rotate_bilinearly(images: Shaped[Tensor, "*batch H W"], degrees: float) -> Shaped[Tensor, "*batch H W"]:
    height, width = images.shape[-2:]
    y, x = _centred_coordinates(height, width)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Rows count downwards, so a counter-clockwise turn on the screen looks up the source clockwise in (x, y-down).
    source_x, source_y = cos * x - sin * y, sin * x + cos * y
    # Half precision cannot tell the positions of neighbouring pixels apart.
    precise = torch.promote_types(images.dtype, torch.float32)
    grid = torch.stack([source_x * 2 / width, source_y * 2 / height], dim=-1).to(images.device, precise)
    planes = images.reshape(1, -1, height, width).to(precise)
    turned = F.grid_sample(planes, grid[None], mode="bilinear", align_corners=False)
    return turned.reshape(images.shape).to(images.dtype)
