"""A folder of images that are decoded when they are asked for, however many there are; or once, into a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.data.cache import CachedImages, cached_images
from eqmodels.data.decoding import Decoding
from eqmodels.data.first_reading import FirstReading, as_pixels, check_one_size, read_once
from eqmodels.data.image_files import FolderListing
from eqmodels.data.pictures import BadFile, BadFilesError, check_readable
from eqmodels.data.pixel_statistics import Statistics
from eqmodels.data.source import numbers_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["MANY", "StreamedFolder", "open_streamed"]

MANY = 2**22
"""Images from which on a streamed folder asks for an order of an epoch that takes no memory."""


@dataclass(frozen=True, eq=False)
class StreamedFolder:
    """Images of files, decoded anew whenever they are asked for: a `Source`.

    Of the images those that are asked for lie in memory, and of all files their paths: about half a kilobyte each.

    Args:
        name: what the data set is called.
        paths: of the files, which can all be read.
        labels: ``(N,)``, the class of each image, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        shape: channels, height and width of the images.
        decoding: from paths to pixels.
        known_statistics: mean and deviation of each channel.
        background: the colour that transparent pictures are laid on.
    """

    name: str
    paths: Sequence[Path]
    labels: Int[Tensor, " N"]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    decoding: Decoding
    known_statistics: Statistics
    background: str = WHITE

    def __len__(self) -> int:
        return len(self.paths)

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
            BadFilesError: if a file that could be read when the folder was opened cannot be any more.
        """
        chosen = [self.paths[number] for number in numbers_of(indices, len(self)).tolist()]
        images, bad = torch.empty(len(chosen), *self.shape), []
        for number, found in enumerate(self.decoding(chosen)):
            if isinstance(found, BadFile):
                bad.append(found)
            elif found.shape != self.shape:
                bad.append(BadFile(chosen[number], f"it is {tuple(found.shape)}, and was {self.shape}"))
            else:
                images[number] = as_pixels(found)
        if bad:
            raise BadFilesError(bad, len(chosen), "They could be read before; put them back, and go on.")
        return images


def open_streamed(
    name: str,
    listing: FolderListing,
    decoding: Decoding,
    *,
    background: str = WHITE,
    skip_bad: bool = False,
    cache: Path | None = None,
) -> StreamedFolder | CachedImages:
    """The images of a folder, read once to know the bad files, the size and the statistics, and then not kept.

    Args:
        name: what the data set is called.
        listing: of the folder, with at least one file.
        decoding: from paths to pixels.
        background: the colour that transparent pictures are laid on.
        skip_bad: whether to go on without files that cannot be read.
        cache: a folder that keeps the decoded images, so that none is decoded again; None for none.

    Raises:
        BadFilesError: if files cannot be read, and are not to be left out.
        ValueError: if sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
    """
    paths = [path for path, _ in listing.files]
    labels = torch.tensor([label for _, label in listing.files])

    def judge(reading: FirstReading) -> Int[Tensor, " N"]:
        """The numbers of the files to go on with."""
        check_readable(reading.bad_files(paths), len(paths), skip_bad=skip_bad)
        check_one_size(listing.root, reading.shapes)
        return torch.tensor(reading.good(len(paths)))

    if cache is not None:
        array, reading = cached_images(cache, listing, decoding)
        numbers = judge(reading)
        assert array is not None
        assert reading.statistics is not None
        return CachedImages(name, array, labels[numbers], listing.classes, reading.statistics, background)
    reading = read_once(paths, decoding)
    numbers = judge(reading)
    assert reading.statistics is not None
    kept = [paths[number] for number in numbers.tolist()]
    return StreamedFolder(
        name, kept, labels[numbers], listing.classes, reading.shapes[0], decoding, reading.statistics, background
    )
