"""Any directory with one folder of images a class."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels.data.image_files import check_link, image_files
from eqmodels.data.memory import LabelledImages
from eqmodels.data.registry import Split, register_source
from eqmodels.storage import read_regular, reason_of
from eqmodels.transforms import Pixels

__all__ = ["read_image_folder"]

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What an image may be, whatever its name ends in. PIL knows more, and starts other programs for some: Ghostscript for
EPS."""

TEST_EVERY = 5
"""Without the splits ``train`` and ``test``, every fifth image of each class, by the order of names, is for testing."""


@register_source("image_folder")
def read_image_folder(split: Split, *, root: str | Path | None = None, size: int | None = None) -> LabelledImages:
    """Images of a directory ``root/class/*.png``, or ``root/train/class/*.png`` and ``root/test/class/*.png``.

    Images become upright and RGB, what is transparent lies on white, as `Pixels` has it; the shorter side is resized to
    `size` and the centre cropped.
    Both splits number all classes of the directory, also those that only one of them has.

    Folders ``train`` and ``test`` are splits if one of them has folders, or if there are no others beside them; else
    they are classes like the others.

    Args:
        split: ``"train"`` or ``"test"``; without splits of their own every fifth image of a class is for testing.
        root: the directory.
        size: side in pixels of the squares that images are resized and cropped to; None keeps the images, which must
            then have one size.

    Raises:
        FileNotFoundError: if the directory does not exist or has no images in folders.
        ValueError: if no directory is named, `size` is below 1, a file is no image of `FORMATS` that can be read or has
            more than 8 bits a channel, a link leads to a folder or out of the directory, or the sizes differ.
    """
    if root is None:
        raise ValueError("image_folder needs the folder of images; got none. Name it by root= (--root).")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least one pixel; got {size}. Pass, for instance, 64 (--size 64).")
    base = Path(root).expanduser()
    files, classes = _listed(base, split)
    steps: list[nn.Module] = [Pixels(3)]
    if size is not None:
        steps += [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    pixels = v2.Compose(steps)
    images = [_read(path, pixels) for path, _ in files]
    if len(shapes := {tuple(image.shape) for image in images}) > 1:
        raise ValueError(
            f"images of {_folder_of(base, split)} must have one size; got {len(shapes)}, such as {sorted(shapes)[:2]}. "
            "Pass size=, for instance 64 (--size 64)."
        )
    labels = torch.tensor([label for _, label in files])
    return LabelledImages(f"image_folder:{base.name}", torch.stack(images), labels, classes)


def _listed(base: Path, split: Split) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """The files of a split with the numbers of their classes, by the order of classes and names; and all classes.

    Raises:
        FileNotFoundError: if the directory does not exist or has no images in folders.
        ValueError: if a link in it leads elsewhere.
    """
    own_splits, folder = _has_splits(base), _folder_of(base, split)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"image_folder reads a folder with one folder of images a class; {folder} is none. "
            "Name one by root= (--root)."
        )
    classes = sorted(
        {name for place in ((base / "train", base / "test") if own_splits else (base,)) for name in _folders(place)}
    )
    chosen, seen = [], [0] * len(classes)
    numbers = {name: number for number, name in enumerate(classes)}
    for path, label in _numbered(base, folder, numbers):
        is_test = seen[label] % TEST_EVERY == TEST_EVERY - 1
        seen[label] += 1
        if own_splits or is_test == (split == "test"):
            chosen.append((path, label))
    if not chosen:
        raise FileNotFoundError(
            f"{folder} has no images in folders for split={split!r}. Add some as class/name.png, at least "
            f"{TEST_EVERY} a class, or folders train and test with such folders."
        )
    return chosen, tuple(classes)


def _numbered(base: Path, folder: Path, numbers: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The images of every class of a folder, with the number of the class.

    Raises:
        ValueError: if a link leads elsewhere.
    """
    if folder != base:
        check_link(folder, base)
    for name, number in numbers.items():
        for path in image_files(folder / name, base):
            yield path, number


def _folder_of(base: Path, split: Split) -> Path:
    return base / split if _has_splits(base) else base


def _has_splits(base: Path) -> bool:
    """Whether ``train`` and ``test``, or one of them, are the splits of a directory, and no classes of such names."""
    present = {"train", "test"}.intersection(names := _folders(base))
    return any(_folders(base / name) for name in present) or (bool(present) and present.issuperset(names))


def _read(path: str, pixels: Callable[[Image.Image], Any]) -> Tensor:
    """What is made of the image in a file.

    Raises:
        ValueError: if it cannot be read, or its pixels are not those of a picture.
    """
    try:
        picture = Image.open(io.BytesIO(read_regular(path)), formats=FORMATS)
        picture.load()
    except Exception as error:  # damaged files make PIL stumble in many ways
        is_foreign = isinstance(error, UnidentifiedImageError)
        reason = f"it is of none of the formats {', '.join(FORMATS)}" if is_foreign else reason_of(error)
        raise ValueError(f"{path} cannot be read as an image ({reason}). Remove it, or replace it.") from error
    try:
        return torch.as_tensor(pixels(picture))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _folders(place: Path) -> list[str]:
    """The names of the folders in a place, but for the hidden ones that tools leave; none if it does not exist."""
    return [path.name for path in place.iterdir() if path.is_dir() and path.name[0] != "."] if place.is_dir() else []
