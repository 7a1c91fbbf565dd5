"""What every group is to those who move something by its elements: of the plane or of space, finite or not."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from eqmodels._shapes import Float

__all__ = ["Element", "Group"]

Element = int | Tensor
"""One element: its number in a finite group; of a group with a continuum of elements its matrix."""


class Group(ABC):
    """Motions that can be composed: what features of an encoder are said to change under.

    `PlanarGroup` moves images; `SpaceGroup` and `PointGroup` move points of space.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The lower-case name that the names of networks begin with, for instance ``"c4"`` or ``"so3"``."""

    @abstractmethod
    def matrix(self, g: Element) -> Float[Tensor, "d d"]:
        """The orthogonal matrix of an element, in float64 where the group computes it.

        Raises:
            ValueError: if `g` is no element.
        """

    @abstractmethod
    def describe(self, g: Element) -> str:
        """The element in words, for reports.

        Raises:
            ValueError: if `g` is no element.
        """
