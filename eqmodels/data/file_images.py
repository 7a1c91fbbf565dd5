"""Listed pictures as images of one size and so many channels: in memory, streamed, or from a cache."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from eqmodels.checks import check_count
from eqmodels.data.decoding import Decoding
from eqmodels.data.first_reading import check_one_size
from eqmodels.data.levels import from_levels
from eqmodels.data.memory import LabelledImages
from eqmodels.data.pictures import check_channels, check_readable, sorted_out
from eqmodels.data.places import Listed
from eqmodels.data.source import Source
from eqmodels.data.streamed import open_streamed
from eqmodels.transforms import Pixels, Resize
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["decoding_of", "image_maker", "read_listed"]


def image_maker(size: int | None, channels: int, background: str, resize: str = "crop") -> nn.Sequential:
    """What makes an image ``(C, H, W)`` of a picture, as ``transform()`` of a network trained on them does.

    Args:
        size: side in pixels of the square that it becomes; None keeps its size.
        channels: of the image.
        background: the colour of what transparent pictures lie on.
        resize: the rule by which it becomes a square, see `Resize`.

    Raises:
        ValueError: if `size` is below 1, `channels` below 1 or above 64, `background` no colour, or the rule unknown.
    """
    if size is not None and size < 1:
        raise ValueError(f"size must be at least one pixel; got {size}. Pass, for instance, 64 (--size 64).")
    check_channels(channels)
    steps: list[nn.Module] = [Pixels(channels, background)]
    return nn.Sequential(*(steps if size is None else [*steps, Resize((size, size), resize)]))


def decoding_of(
    size: int | None, channels: int, background: str, *, workers: int = 0, resize: str = "crop"
) -> Decoding:
    """From places to images, as `image_maker` makes them.

    Args:
        size: side in pixels of the squares that images become; None keeps the images.
        channels: of the images.
        background: the colour of what transparent pictures lie on.
        workers: processes that decode; 0 for threads of this process, one a processor.
        resize: the rule by which images become squares, see `Resize`.

    Raises:
        ValueError: as `image_maker`, or if `workers` is below 0.
    """
    made = image_maker(size, channels, background, resize)
    return Decoding(made, channels, background, workers=check_count("workers", workers, 0))


def read_listed(
    listed: Listed,
    *,
    size: int | None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
    resize: str = "crop",
) -> Source:
    """The pictures that are listed, with the labels of those that can be read.

    Args:
        listed: the pictures, at least one.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images.
        background: the colour of what transparent pictures lie on.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded; they are read from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.
        resize: the rule by which images become squares, see `Resize`.

    Raises:
        BadFilesError: if files cannot be read, or have other channels; lists all of them.
        ValueError: as `decoding_of`, or if the sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if a file needs a package that is not installed.
    """
    decoding = decoding_of(size, channels, background, workers=workers, resize=resize)
    if stream or cache is not None:
        return open_streamed(listed, decoding, skip_bad=skip_bad, cache=None if cache is None else Path(cache))
    images, numbers, bad = sorted_out(decoding(listed.places))
    check_readable(bad, len(listed.places), skip_bad=skip_bad)
    check_one_size(listed.root, list({tuple(image.shape): None for image in images}))
    if any(image.is_floating_point() for image in images):
        images = [from_levels(image) if image.dtype == torch.uint8 else image.float() for image in images]
    labels = torch.tensor(listed.labels)[numbers]
    return LabelledImages(listed.name, torch.stack(images), labels, listed.classes, background, tuple(bad))
