"""What training and evaluation read images from, wherever they are."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from eqmodels._shapes import Float, Int

__all__ = ["Source"]


@runtime_checkable
class Source(Protocol):
    """Images of one size, by their number, and what is known of them.

    Attributes:
        name: what the data set is called.
        channels: of the images.
        size: height and width of the images in pixels.
        labels: the class of each image, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
    """

    @property
    def name(self) -> str:
        """What the data set is called."""

    @property
    def channels(self) -> int:
        """Channels of the images."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64; all -1 where nobody labelled them."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class; empty where nobody labelled them."""

    def __len__(self) -> int:
        """Number of images."""

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The chosen images as float32 in [0, 1]."""
