"""A data set in memory: images, labels, and what the labels mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int, Shaped
from eqmodels.arguments import check_arguments
from eqmodels.data.channels import has_colour, to_grey
from eqmodels.data.colours import coloured
from eqmodels.data.levels import are_levels, from_levels, to_levels
from eqmodels.data.pictures import BadFile
from eqmodels.data.pixel_statistics import statistics
from eqmodels.data.source import Source, background_of, check_labels, in_parts
from eqmodels.data.subsets import balanced_subset, subset
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["LabelledImages", "in_memory"]

# Not `typing.Self`, which the checks of shapes at run time take only where they were told the class.
Self = TypeVar("Self", bound="LabelledImages")


@dataclass(frozen=True)
class LabelledImages:
    """Images of one size in memory, with the classes that people gave them, if any.

    What functions over any source do, its methods do in memory: they give such images anew, of the same pixels.

    Args:
        name: what the data set is called.
        images: ``(N, C, H, W)``, uint8, or float32 in [0, 1].
        labels: ``(N,)``, the class of each image, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        background: the colour that transparent pictures were laid on.
        skipped: files that could not be read and were left out, as was asked for.

    Raises:
        ValueError: if there are no images, they have no pixels, shapes do not match or a label names no class.
            Or if floats are not in [0, 1].
        TypeError: if the images are neither uint8 nor float32, or the labels not int64.
    """

    name: str
    images: Shaped[Tensor, "N C H W"]
    labels: Int[Tensor, " N"]
    classes: tuple[str, ...]
    background: str = WHITE
    skipped: tuple[BadFile, ...] = ()

    def __post_init__(self) -> None:
        check_arguments(LabelledImages, vars(self))
        if self.images.dtype not in (torch.uint8, torch.float32):
            raise TypeError(
                f"images of {self.name} must be uint8, or float32 in [0, 1]; got {self.images.dtype}. Scale them to "
                "0 .. 255."
            )
        if self.images.dim() != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"{self.name} needs images (N, channels, height, width) and N labels; got {tuple(self.images.shape)} "
                f"and {tuple(self.labels.shape)}."
            )
        if not len(self.images):
            raise ValueError(f"{self.name} has no images; got 0. Name a folder or a split that has some.")
        if not self.images.numel():
            raise ValueError(
                f"images of {self.name} must have channels and pixels; got the shape {tuple(self.images.shape)}. Leave "
                "empty ones out."
            )
        if self.images.is_floating_point():
            low, high = (float(bound) for bound in self.images.aminmax())
            if not 0 <= low <= high <= 1:
                raise ValueError(
                    f"floats of {self.name} must be in [0, 1]; got pixels from {low:.4g} to {high:.4g}. Scale them."
                )
        check_labels(self, self.name)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def has_colour(self) -> bool:
        """Whether the channels of any image differ."""
        return has_colour(self)

    def pixels(self, indices: Tensor | slice = slice(None)) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]; all if nothing is said."""
        return from_levels(images) if (images := self.images[indices]).dtype == torch.uint8 else images

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, of all pixels in [0, 1]; a deviation of 0 becomes 1."""
        return statistics(self)

    def subset(self: Self, indices: Sequence[int] | Tensor) -> Self:
        """The chosen images, in the given order, with all that is known of each.

        Args:
            indices: their numbers, of which negative ones count from the end, or True and False for each image.

        Raises:
            ValueError: if none is chosen.
            IndexError: if there is no image of such a number.
        """
        return replace(self, **self._of(subset(self, indices).numbers))

    def _of(self, numbers: Tensor) -> dict[str, Any]:
        """What there is one of for every image, of the chosen ones, by the names of the arguments."""
        return {"images": self.images[numbers], "labels": self.labels[numbers]}

    def balanced_subset(self, count: int, *, seed: int = 0) -> LabelledImages:
        """A random subset with equally many images of every class, as far as they go; see the function of this name.

        Args:
            count: number of images.
            seed: of the choice.

        Raises:
            ValueError: if `count` is below 1.
        """
        return self.subset(balanced_subset(self, count, seed=seed).numbers)

    def at_most(self, count: int | None, *, seed: int = 0) -> LabelledImages:
        """All images, if there are no more than `count` or it is None; else a balanced subset.

        Args:
            count: number of images, or None.
            seed: of the choice.

        Raises:
            ValueError: if `count` is below 1.
        """
        return self if count is None or count >= len(self) else self.balanced_subset(count, seed=seed)

    def to_rgb(self) -> LabelledImages:
        """Grey images repeated in three channels, without taking memory; others as they are."""
        return replace(self, images=self.images.expand(-1, 3, -1, -1)) if self.channels == 1 else self

    def to_grey(self) -> LabelledImages:
        """Images of three channels as grey ones, by the usual weights (ITU-R 601-2); grey ones as they are.

        Raises:
            ValueError: if the images have neither one channel nor three.
        """
        grey = to_grey(self)
        return self if grey is self else in_memory(grey)

    def coloured(self, *, seed: int = 0) -> LabelledImages:
        """Grey images in random colours that do not depend on the class: ``(N, 1, H, W) -> (N, 3, H, W)``.

        The grey value blends between a dark and a light colour of the image's own, uniform in [0, 0.3] and [0.4, 1] in
        each channel.

        Args:
            seed: of the colours.

        Raises:
            ValueError: if the images have colours already.
        """
        return in_memory(coloured(self, seed=seed))


def in_memory(source: Source) -> LabelledImages:
    """The same images, all read: as uint8 if all pixels are multiples of 1/255, else as float32.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(in_memory, locals())
    images = torch.empty(len(source), source.channels, *source.size, dtype=torch.uint8)
    for part, pixels in in_parts(source):
        if images.dtype == torch.uint8 and not are_levels(pixels):
            # What is there is kept: levels are the same as floats.
            images = from_levels(images)
        images[part] = to_levels(pixels) if images.dtype == torch.uint8 else pixels
    return LabelledImages(source.name, images, source.labels, source.classes, background_of(source))
