"""Pictures of files as images of one size and so many channels, all in memory: what every source of such files does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from eqmodels.checks import check_count
from eqmodels.data.decoding import Decoding
from eqmodels.data.first_reading import check_one_size
from eqmodels.data.levels import from_levels
from eqmodels.data.memory import LabelledImages
from eqmodels.data.pictures import BadFile, check_channels, check_readable, picture_at, sorted_out
from eqmodels.transforms import Pixels, Resize
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["decoding_of", "gathered", "image_maker", "read_images"]


def image_maker(size: int | None, channels: int, background: str) -> nn.Sequential:
    """What makes an image ``(C, H, W)`` of a picture, as ``transform()`` of a network trained on them does.

    Args:
        size: side in pixels of the square that it becomes; None keeps its size.
        channels: of the image.
        background: the colour of what transparent pictures lie on.

    Raises:
        ValueError: if `size` is below 1, `channels` below 1 or above 64, or `background` no colour.
    """
    if size is not None and size < 1:
        raise ValueError(f"size must be at least one pixel; got {size}. Pass, for instance, 64 (--size 64).")
    check_channels(channels)
    steps: list[nn.Module] = [Pixels(channels, background)]
    return nn.Sequential(*(steps if size is None else [*steps, Resize((size, size), "crop")]))


def decoding_of(size: int | None, channels: int, background: str, *, workers: int = 0) -> Decoding:
    """From paths to images, as `image_maker` makes them.

    Args:
        size: side in pixels of the squares that images become; None keeps the images.
        channels: of the images.
        background: the colour of what transparent pictures lie on.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        ValueError: as `image_maker`, or if `workers` is below 0.
    """
    opened = partial(picture_at, channels=channels, background=background)
    return Decoding(image_maker(size, channels, background), opened, workers=check_count("workers", workers, 0))


def read_images(
    name: str,
    files: Sequence[tuple[Path, int]],
    classes: tuple[str, ...],
    *,
    size: int | None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    workers: int = 0,
    place: Path,
) -> LabelledImages:
    """The pictures in files, with the labels of those that can be read.

    Args:
        name: of the data set.
        files: the path of each, and the number of its class.
        classes: the name of each class.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images.
        background: the colour of what transparent pictures lie on.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        workers: processes that decode; 0 for threads of this process, one a processor.
        place: where the images are, for sentences.

    Raises:
        BadFilesError: if files cannot be read, or have other channels; lists all of them.
        ValueError: as `decoding_of`, or if the sizes differ.
        ModuleNotFoundError: if a file needs a package that is not installed.
    """
    found = decoding_of(size, channels, background, workers=workers)([path for path, _ in files])
    labels = [label for _, label in files]
    return gathered(name, found, labels, classes, background=background, skip_bad=skip_bad, place=place)


def gathered(
    name: str,
    found: Iterable[Tensor | BadFile],
    labels: Sequence[int],
    classes: tuple[str, ...],
    *,
    background: str,
    skip_bad: bool,
    place: Path,
) -> LabelledImages:
    """Images of one size in memory, without those that could not be read.

    Args:
        name: of the data set.
        found: each image ``(C, H, W)``, uint8 or floats in [0, 1], or the file that is none.
        labels: of each.
        classes: the name of each class.
        background: the colour that transparent pictures were laid on.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        place: where the images are, for sentences.

    Raises:
        BadFilesError: if files cannot be read; lists all of them.
        ValueError: if the sizes differ.
    """
    images, numbers, bad = sorted_out(found)
    check_readable(bad, len(labels), skip_bad=skip_bad)
    check_one_size(place, list({tuple(image.shape): None for image in images}))
    if any(image.is_floating_point() for image in images):
        images = [from_levels(image) if image.dtype == torch.uint8 else image.float() for image in images]
    kept = torch.tensor([labels[number] for number in numbers])
    return LabelledImages(name, torch.stack(images), kept, classes, background, tuple(bad))
