"""Pictures of files as images of one size and so many channels, all in memory: what every source of such files does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from eqmodels.data.levels import from_levels
from eqmodels.data.memory import LabelledImages
from eqmodels.data.pictures import (
    BadFile,
    BadFilesError,
    LeftOutWarning,
    Picture,
    check_channels,
    picture_at,
    read_pictures,
    sorted_out,
)
from eqmodels.transforms import Pixels, Resize
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["gathered", "image_maker", "read_images"]


def image_maker(size: int | None, channels: int, background: str) -> Callable[[Picture], Tensor]:
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
    pixels = Pixels(channels, background)
    made: Callable[[Picture], Tensor] = pixels if size is None else nn.Sequential(pixels, Resize((size, size), "crop"))
    return made


def read_images(
    name: str,
    files: Sequence[tuple[Path, int]],
    classes: tuple[str, ...],
    *,
    size: int | None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
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
        place: where the images are, for sentences.

    Raises:
        BadFilesError: if files cannot be read, or have other channels; lists all of them.
        ValueError: as `image_maker`, or if the sizes differ.
        ModuleNotFoundError: if a file needs a package that is not installed.
    """
    made = image_maker(size, channels, background)
    opened = partial(picture_at, channels=channels, background=background)
    found = read_pictures([path for path, _ in files], made, opened=opened, workers=os.cpu_count() or 1)
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
    if bad:
        way_out = "Remove or replace them, or pass skip_bad=True (--skip-bad) to go on without them."
        way_out = way_out if images else "Name images that can be read."
        is_left_out = skip_bad and bool(images)
        error = BadFilesError(bad, len(labels), "They are left out." if is_left_out else way_out)
        if not is_left_out:
            raise error
        warnings.warn(f"{error}", LeftOutWarning, stacklevel=2)
    if len(shapes := {tuple(image.shape) for image in images}) > 1:
        raise ValueError(
            f"images of {place} must have one size; got {len(shapes)}, such as {sorted(shapes)[:2]}. "
            "Pass size=, for instance 64 (--size 64)."
        )
    if any(image.is_floating_point() for image in images):
        images = [from_levels(image) if image.dtype == torch.uint8 else image.float() for image in images]
    kept = torch.tensor([labels[number] for number in numbers])
    return LabelledImages(name, torch.stack(images), kept, classes, background, tuple(bad))
