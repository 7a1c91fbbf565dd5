"""What training and evaluation read images from, wherever they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.pictures import BadFile
from eqmodels.transforms.preprocessing import WHITE

__all__ = [
    "Source",
    "background_of",
    "check_labels",
    "check_of_images",
    "check_source",
    "images_of_a_part",
    "in_parts",
    "is_aligned",
    "is_labelled",
    "numbers_of",
    "skipped_of",
    "takes_of",
    "targets_of",
]

PART = 2**20
"""Pixels, of all channels, that are read at once: 4 MB, which stay in the processor's cache."""


@runtime_checkable
class Source(Protocol):
    """Images of one size, by their number, and what is known of them.

    Whether they lie in memory, in files or nowhere until they are asked for is the source's own affair. Where nobody
    labelled them there are labels nevertheless, all -1, and no classes: so that subsets and columns of labels need not
    ask, while who needs classes does (`is_labelled`).

    A source of clouds of points says so by `takes`, ``"points"``, and gives them as pictures, see
    `eqmodels.data.space.clouds`; that they stand alike, by `aligned`. Channels behind the three coordinates are
    features of each point, such as its element, and a point of which all are zero is none: so clouds of several sizes
    have room in one, see `eqmodels.data.space.molecules`. Real numbers to predict are `targets`, ``(N, K)``, float64,
    NaN where one is not known, and what each is `target_names`; labels stay what they are.

    A source may have three attributes more. One of very many images asks for an order of an epoch that takes no memory
    by `order`, ``"keyed"``, see `OptimisationConfig`. One that read all of its images already gives what it found as
    `known_statistics`, see `statistics`. One that left out files which could not be read lists them as `skipped`.

    Attributes:
        name: what the data set is called.
        channels: of the images.
        size: height and width of the images in pixels.
        labels: ``(N,)``, the class of each image, int64; all -1 where nobody labelled them.
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
        """The images of such numbers, int64 in any order and also repeated, or of a slice, as float32 in [0, 1]."""


def is_labelled(source: Source) -> bool:
    """Whether the images have classes; either all of a source have one, or none.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(is_labelled, locals())
    return bool(source.classes)


def background_of(source: Source) -> str:
    """The colour that transparent pictures of a source were laid on; white if it does not say, by a `background`."""
    background: str = getattr(source, "background", WHITE)
    return background


def skipped_of(source: Source) -> tuple[BadFile, ...]:
    """The files that a source left out, as was asked for, because they could not be read."""
    skipped: tuple[BadFile, ...] = getattr(source, "skipped", ())
    return skipped


def takes_of(source: Source) -> str:
    """What an encoder must take to be shown the source: ``"images"``, or ``"points"`` if it is one of clouds."""
    takes: str = getattr(source, "takes", "images")
    return takes


def targets_of(source: Source) -> Float[Tensor, "N K"]:
    """The numbers to predict of each image, float64, NaN where one is not known; ``(N, 0)`` if there are none.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(targets_of, locals())
    targets: Tensor | None = getattr(source, "targets", None)
    return torch.zeros(len(source), 0, dtype=torch.float64) if targets is None else targets


def check_of_images(source: Source) -> None:
    """Refuses clouds where images are asked for.

    Raises:
        ValueError: if the source has such.
    """
    if takes_of(source) != "images":
        raise ValueError(
            f"images are asked for here; got {source.name}, which has clouds of points. Use data of images, such as "
            "fashion_mnist_mini."
        )


def is_aligned(source: Source) -> bool:
    """Whether the clouds of a source stand alike, so that how one is turned can be learned from it."""
    return bool(getattr(source, "aligned", False))


def numbers_of(indices: Tensor | slice, count: int) -> Int[Tensor, " B"]:
    """The numbers of the images that are asked for, for sources that read image by image.

    Args:
        indices: numbers, of which negative ones count from the end; True and False for each image; or a slice.
        count: how many images there are.

    Raises:
        TypeError: if they are no integers, nor one bool an image.
        IndexError: if there is no image of such a number.
    """
    check_arguments(numbers_of, locals())
    if isinstance(indices, slice):
        return torch.arange(*indices.indices(count))
    whole = not (indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool)
    is_mask = indices.dtype == torch.bool and indices.shape == (count,)
    if not is_mask and not (whole and indices.dim() == 1):
        raise TypeError(
            f"indices must be a row of integers, or True and False for each of {count} images; got "
            f"{tuple(indices.shape)} of {indices.dtype}. Pass, say, [0, 1]."
        )
    if is_mask:
        return indices.nonzero()[:, 0]
    numbers = torch.where(indices < 0, indices + count, indices).long()
    if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
        raise IndexError(
            f"images are numbered 0 .. {count - 1}; got {int(indices.min())} .. {int(indices.max())}. "
            "Ask for numbers below the length of the data."
        )
    return numbers


def in_parts(source: Source) -> Iterator[tuple[slice, Float[Tensor, "B C H W"]]]:
    """All images in their order, as many at once as take 4 MB, with the slice of their numbers.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(in_parts, locals())
    for part in parts_of(source):
        yield part, source.pixels(part)


def parts_of(source: Source) -> list[slice]:
    """Slices of the numbers of all images, each of as many as take 4 MB."""
    count = images_of_a_part((source.channels, *source.size))
    return [slice(start, min(start + count, len(source))) for start in range(0, len(source), count)]


def images_of_a_part(shape: tuple[int, ...]) -> int:
    """How many images of a shape are read at once; at least one."""
    return max(1, PART // math.prod(shape))


def check_source(source: object, name: str = "the source") -> Source:
    """The object itself, if it is a source and its first image and its labels are what it says.

    Args:
        source: anything.
        name: what sentences call it.

    Raises:
        TypeError: if it lacks an attribute or a method of `Source`, or pixels or labels are of another type.
        ValueError: if it has no images, or they, or the labels, are not as `Source` says.
    """
    check_arguments(check_source, {"name": name})
    members = ("name", "channels", "size", "labels", "classes", "__len__", "pixels")
    if not isinstance(source, Source):
        lacking = ", ".join(member for member in members if not hasattr(source, member))
        raise TypeError(
            f"{name} must be a Source, with {', '.join(members)}; got {type(source).__name__} without {lacking}. "
            "See eqmodels.data.Source."
        )
    if not len(source):
        raise ValueError(f"{name} must have images; got none. Name a folder or a split that has some.")
    check_labels(source, name)
    first, shape = source.pixels(slice(0, 1)), (1, source.channels, *source.size)
    if 0 in shape:
        raise ValueError(f"images of {name} must have channels and pixels; got {shape}. Leave empty ones out.")
    if first.dtype != torch.float32:
        raise TypeError(f"pixels of {name} must be float32 in [0, 1]; got {first.dtype}. Scale them so.")
    if tuple(first.shape) != shape or not 0 <= float(first.min()) <= float(first.max()) <= 1:
        raise ValueError(
            f"the first image of {name} must be {shape}, in [0, 1], as its channels and size say; got "
            f"{tuple(first.shape)} from {float(first.min()):.4g} to {float(first.max()):.4g}. Correct pixels."
        )
    return source


def check_labels(source: Source, name: str) -> None:
    """Refuses labels that are not one number an image, of a class or all -1.

    Raises:
        TypeError: if they are no int64.
        ValueError: if they are not as many as images, or name no class.
    """
    labels, count = source.labels, len(source.classes)
    if labels.dtype != torch.int64:
        raise TypeError(f"labels of {name} must be int64; got {labels.dtype}. Convert them with .long().")
    if tuple(labels.shape) != (len(source),):
        raise ValueError(
            f"labels of {name} must be {(len(source),)}, one an image; got {tuple(labels.shape)}. Give each image one."
        )
    least, most = int(labels.min()), int(labels.max())
    if not (0 <= least <= most < count if count else least == most == -1):
        rule = f"name one of its {count} classes" if count else "all be -1, as it has no classes"
        raise ValueError(
            f"labels of {name} must {rule}; got {least} .. {most}. Number them from 0, and name every class."
        )
