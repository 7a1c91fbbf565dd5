"""Images in the size that a network was trained at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.data.source import Source, takes_of
from eqmodels.data.view import View
from eqmodels.transforms import Resize

__all__ = ["Resized", "at_size"]


@dataclass(frozen=True, eq=False)
class Resized(View):
    """Images of one size in another, made when they are read: ``(N, C, H, W) -> (N, C, height, width)``.

    Args:
        source: the images.
        resize: their new size, and the rule by which they get it.
    """

    resize: Resize

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.resize.size

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C height width"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        resized: Tensor = self.resize(self.source.pixels(indices))
        return resized


def at_size(source: Source, size: tuple[int, int], resize: str = "crop") -> Source:
    """Images in another size; those that have it already, and clouds of points, as they are.

    Networks learn at one scale: at another they know less. `eqmodels.evaluation.evaluate` shows a network the images as
    they are given; with this they are as `Preprocessing.transform` makes them of pictures::

        seen = encoder.preprocessing
        test = at_size(load_data("openclipart_mini", "test"), seen.size, seen.resize)

    Args:
        source: the images.
        size: their new height and width in pixels.
        resize: the rule, see `eqmodels.transforms.Resize`: by default the largest part in the middle that has the
            proportions of `size`, antialiased and bilinear, which commutes with quarter turns and flips.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a side is below 1, or there is no such rule.
    """
    check_arguments(at_size, locals())
    rule = Resize(size, resize)
    return source if takes_of(source) == "points" or source.size == size else Resized(source, rule)
