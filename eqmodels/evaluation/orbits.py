"""What test images are moved by: the elements of an encoder's own group, quarter turns, and any angle.

A motion of the plane is the same thing wherever it comes from: a quarter turn, an element of C4 and 90 degrees are one
key, and the third element of C8 is another than the third of C4. Whole images are moved by what permutes their pixels.
Whatever else moves them is interpolated, and its corners would tell the angle: then everything that is compared, the
probe's training images, the reference and the moved image, is seen through the same inscribed circle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real

from torch import Tensor

from eqmodels._shapes import Shaped
from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.groups import PlanarGroup

__all__ = ["QUARTERS", "UPRIGHT", "Motion", "Orbits", "View", "quarter_orbits"]


@dataclass(frozen=True)
class Motion:
    """A motion of the plane about the centre of the image: a left-right flip, or none, and then a turn.

    Args:
        turn: counter-clockwise, of a whole turn; from 0 up to 1, others are brought there.
        reflected: whether the flip comes first.

    Raises:
        TypeError: if the turn is no number, or the other neither True nor False.
        ValueError: if the turn is not finite.

    Example:
        >>> Motion.of(PlanarGroup(8), 2) == Motion.of(PlanarGroup(4), 1) == Motion.by_degrees(90)
        True
        >>> str(Motion.of(PlanarGroup(6, True), 7))
        'flip, then 60°'
    """

    turn: Fraction = Fraction(0)
    reflected: bool = False

    def __post_init__(self) -> None:
        check_arguments(Motion, {"reflected": self.reflected})
        turn: object = self.turn
        if isinstance(turn, bool) or not isinstance(turn, Real):
            raise TypeError(f"turn must be a part of a whole turn; got {shown(turn)}. Pass, say, Fraction(1, 4).")
        if not -math.inf < self.turn < math.inf:
            raise ValueError(f"turn must be a finite number; got {shown(self.turn)}. Pass, say, Fraction(1, 4).")
        object.__setattr__(self, "turn", Fraction(self.turn) % 1)

    @classmethod
    def of(cls, group: PlanarGroup, g: int) -> Motion:
        """The motion of a group's element.

        Raises:
            ValueError: if `g` is no element of the group.
        """
        return cls(Fraction(g % group.rotations, group.rotations), group.reflected(g))

    @classmethod
    def by_degrees(cls, degrees: int) -> Motion:
        """A turn by whole degrees, counter-clockwise."""
        return cls(Fraction(degrees, 360))

    @property
    def degrees(self) -> float:
        """The angle of the turn, from 0 up to 360."""
        return float(360 * self.turn)

    @property
    def is_exact(self) -> bool:
        """Whether it maps the pixel grid onto itself."""
        return (4 * self.turn).denominator == 1

    @property
    def element(self) -> tuple[PlanarGroup, int]:
        """The smallest group that has it, and which of its elements it is."""
        group = PlanarGroup(self.turn.denominator, self.reflected)
        return group, self.turn.numerator + (group.rotations if self.reflected else 0)

    def turned(self, quarters: int) -> Motion:
        """The motion, and after it so many quarter turns."""
        return Motion(self.turn + Fraction(quarters, 4), self.reflected)

    def __str__(self) -> str:
        return PlanarGroup.describe(*self.element)


@dataclass(frozen=True)
class View:
    """How images are shown to a network: moved, and whole or through the inscribed circle.

    ``str(view)`` is its key in files, such as ``"flip, then 90°"`` and ``"45° in a circle"``.

    Attributes:
        motion: what they are moved by.
        circular: whether all that is outside the circle is zero.
    """

    motion: Motion = Motion()
    circular: bool = False

    def of(self, images: Shaped[Tensor, "B C H W"]) -> Shaped[Tensor, "B C Hg Wg"]:
        """Images in this view; a quarter turn swaps height and width."""
        group, g = self.motion.element
        return group.act(g, images, circular=self.circular)

    def turned(self, quarters: int) -> View:
        """The view of the image that is turned by so many quarters more."""
        return View(self.motion.turned(quarters), self.circular)

    def __str__(self) -> str:
        return f"{self.motion}{' in a circle' if self.circular else ''}"


UPRIGHT = View()
"""Images as they are."""
QUARTERS = tuple(UPRIGHT.turned(number) for number in range(4))
"""Images as they are, and turned by one, two and three quarters."""


@dataclass(frozen=True)
class Orbits:
    """The views in which the encoder of a group is tested.

    Attributes:
        whole: of whole images, upright first: moved by the group's own elements that permute pixels; and then, as a
            control for everybody, by those quarter turns that are none of these.
        circular: through the circle, upright first: moved by the elements of the group that interpolate; empty if it
            has none.
    """

    whole: tuple[View, ...]
    circular: tuple[View, ...]

    @classmethod
    def of(cls, group: PlanarGroup) -> Orbits:
        """Those of any C_N or D_N.

        Example:
            >>> c6 = Orbits.of(PlanarGroup(6))
            >>> [str(view) for view in c6.whole]
            ['0°', '180°', '90°', '270°']
            >>> [str(view) for view in c6.circular]
            ['0° in a circle', '60° in a circle', '120° in a circle', '240° in a circle', '300° in a circle']
        """
        own = [Motion.of(group, g) for g in group.elements]
        whole = dict.fromkeys([View(motion) for motion in own if motion.is_exact])
        between = [View(motion, circular=True) for motion in own if not motion.is_exact]
        reference = [View(circular=True)] if between else []
        return cls((*whole, *(view for view in QUARTERS if view not in whole)), (*reference, *between))

    @staticmethod
    def curve(step: int) -> tuple[View, ...]:
        """Turned by every multiple of so many degrees and seen through the circle."""
        return tuple(View(Motion.by_degrees(degrees), circular=True) for degrees in range(0, 360, step))


def quarter_orbits(views: Iterable[View]) -> list[list[View]]:
    """Views sorted into those that differ by quarter turns alone, in the order of the first of each."""
    orbits: dict[View, list[View]] = {}
    for view in views:
        first = View(Motion(view.motion.turn % Fraction(1, 4), view.motion.reflected), view.circular)
        orbits.setdefault(first, []).append(view)
    return list(orbits.values())
