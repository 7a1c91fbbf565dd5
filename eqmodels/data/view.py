"""A source made of another one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.pictures import BadFile
from eqmodels.data.source import Source, background_of, is_aligned, skipped_of, takes_of, targets_of

__all__ = ["View"]


@dataclass(frozen=True, eq=False)
class View:
    """What another source has; a class derived from it says what differs, and reads the other when it is read.

    Args:
        source: the other one.

    Raises:
        TypeError: if an argument is of another type.
    """

    source: Source

    def __post_init__(self) -> None:
        check_arguments(View, vars(self))

    def __len__(self) -> int:
        return len(self.source)

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self.source.name

    @property
    def order(self) -> str:
        """The order of an epoch that the other source asks for, see `Source`."""
        return str(getattr(self.source, "order", "shuffled"))

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.source.channels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.source.size

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64; all -1 where nobody labelled them."""
        return self.source.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class; empty where nobody labelled them."""
        return self.source.classes

    @property
    def background(self) -> str:
        """The colour that transparent pictures were laid on."""
        return background_of(self.source)

    @property
    def skipped(self) -> tuple[BadFile, ...]:
        """Files that the other source left out, as was asked for, because they could not be read."""
        return skipped_of(self.source)

    @property
    def takes(self) -> str:
        """What an encoder of these must take: ``"images"`` or ``"points"``."""
        return takes_of(self.source)

    @property
    def aligned(self) -> bool:
        """Whether clouds of the other source stand alike."""
        return is_aligned(self.source)

    @property
    def targets(self) -> Float[Tensor, "N K"]:
        """The numbers to predict of each image, float64; ``(N, 0)`` if there are none."""
        return targets_of(self.source)

    @property
    def target_names(self) -> tuple[str, ...]:
        """What each number to predict is, with its unit."""
        names: tuple[str, ...] = getattr(self.source, "target_names", ())
        return names

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        return self.source.pixels(indices)
