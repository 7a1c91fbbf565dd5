"""Images in grey and in three channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.data.levels import to_levels
from eqmodels.data.source import Source, in_parts
from eqmodels.data.view import View

__all__ = ["Grey", "Repeated", "check_can_be_grey", "has_colour", "to_grey", "to_rgb"]


def has_colour(source: Source) -> bool:
    """Whether the channels of any image differ; reads images until one has a colour.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(has_colour, locals())
    # Most data sets show it in their first images.
    return source.channels > 1 and any(bool((part != part[:, :1]).any()) for _, part in in_parts(source))


@dataclass(frozen=True, eq=False)
class Repeated(View):
    """Grey images, their channel repeated three times: ``(N, 1, H, W) -> (N, 3, H, W)``.

    Args:
        source: of the grey images.
    """

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return 3

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B 3 H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        return self.source.pixels(indices).repeat(1, 3, 1, 1)


@dataclass(frozen=True, eq=False)
class Grey(View):
    """Images of three channels as grey ones, in steps of 1/255: ``(N, 3, H, W) -> (N, 1, H, W)``.

    Args:
        source: of the images in colour.
    """

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return 1

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B 1 H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        grey: Tensor = rgb_to_grayscale(to_levels(self.source.pixels(indices)))
        return grey.float() / 255


def to_rgb(source: Source) -> Source:
    """Grey images repeated in three channels; others as they are.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(to_rgb, locals())
    return Repeated(source) if source.channels == 1 else source


def to_grey(source: Source) -> Source:
    """Images of three channels as grey ones of 8 bits, by the usual weights (ITU-R 601-2); grey ones as they are.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the images have neither one channel nor three.
    """
    check_arguments(to_grey, locals())
    check_can_be_grey(source)
    return source if source.channels == 1 else Grey(source)


def check_can_be_grey(source: Source) -> None:
    """Refuses images whose channels are not those of a picture.

    Raises:
        ValueError: if the images have neither one channel nor three.
    """
    if source.channels not in (1, 3):
        raise ValueError(
            f"only images of three channels become grey; {source.name} has {source.channels}. Choose the channels of "
            "the data, or a network that takes all of them."
        )
