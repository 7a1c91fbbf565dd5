"""Images that are decoded when they are asked for, however many there are; or once, into a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.data.cache import CachedImages, cached_images
from eqmodels.data.decoding import Decoding
from eqmodels.data.first_reading import as_pixels, check_one_size, read_once
from eqmodels.data.pictures import BadFile, BadFilesError, check_readable
from eqmodels.data.pixel_statistics import Statistics
from eqmodels.data.places import Listed, Place
from eqmodels.data.source import numbers_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["MANY", "StreamedImages", "open_streamed"]

MANY = 2**22
"""Images from which on a streamed data set asks for an order of an epoch that takes no memory."""


@dataclass(frozen=True, eq=False)
class StreamedImages:
    """Images of pictures, decoded anew whenever they are asked for: a `Source`.

    Of the images those that are asked for lie in memory, and of all files their paths: about half a kilobyte each.

    Args:
        name: what the data set is called.
        places: of the pictures, which can all be read.
        labels: ``(N,)``, the class of each image, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        shape: channels, height and width of the images.
        decoding: from places to pixels.
        known_statistics: mean and deviation of each channel.
        background: the colour that transparent pictures are laid on.
        skipped: files that could not be read and were left out, as was asked for.
    """

    name: str
    places: Sequence[Place]
    labels: Int[Tensor, " N"]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    decoding: Decoding
    known_statistics: Statistics
    background: str = WHITE
    skipped: tuple[BadFile, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.shape[1:]

    @property
    def order(self) -> str:
        """The order of an epoch that it asks for, see `Source`."""
        return "keyed" if len(self) > MANY else "shuffled"

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]; these alone are decoded.

        Raises:
            BadFilesError: if a file that could be read when the data set was opened cannot be any more.
        """
        chosen = [self.places[number] for number in numbers_of(indices, len(self)).tolist()]
        images, bad = torch.empty(len(chosen), *self.shape), []
        for number, found in enumerate(self.decoding(chosen)):
            if isinstance(found, BadFile):
                bad.append(found)
            elif found.shape != self.shape:
                bad.append(BadFile(chosen[number].path, f"it is {tuple(found.shape)}, and was {self.shape}"))
            else:
                images[number] = as_pixels(found)
        if bad:
            raise BadFilesError(bad, len(chosen), "They could be read before; put them back, and go on.")
        return images


def open_streamed(
    listed: Listed, decoding: Decoding, *, skip_bad: bool = False, cache: Path | None = None
) -> StreamedImages | CachedImages:
    """The images of a data set, read once to know the bad files, the size and the statistics, and then not kept.

    Args:
        listed: the pictures, at least one.
        decoding: from places to pixels.
        skip_bad: whether to go on without files that cannot be read.
        cache: a folder that keeps the decoded images, so that none is decoded again; None for none.

    Raises:
        BadFilesError: if files cannot be read, and are not to be left out.
        ValueError: if sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
    """
    places, labels = listed.places, torch.tensor(listed.labels)
    array = None
    if cache is None:
        reading = read_once(places, decoding)
    else:
        array, reading = cached_images(cache, listed, decoding)
    bad = reading.bad_files(places)
    check_readable(bad, len(places), skip_bad=skip_bad)
    check_one_size(listed.root, reading.shapes)
    assert reading.statistics is not None
    numbers = reading.good(len(places))
    kept, background, skipped = labels[numbers], decoding.background, tuple(bad)
    if array is not None:
        return CachedImages(listed.name, array, kept, listed.classes, reading.statistics, background, skipped)
    return StreamedImages(
        listed.name,
        [places[number] for number in numbers],
        kept,
        listed.classes,
        reading.shapes[0],
        decoding,
        reading.statistics,
        background,
        skipped,
    )
