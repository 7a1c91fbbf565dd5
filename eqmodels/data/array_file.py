"""Images in one array on the disk, mapped into memory: as many as the disk holds, none read before it is asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.classes import numbered
from eqmodels.data.levels import from_levels
from eqmodels.data.registry import SPLIT_NAMES, Split, register_source
from eqmodels.data.source import Source, numbers_of
from eqmodels.data.table_file import Cell, ReadWhenAsked
from eqmodels.data.table_labels import class_words
from eqmodels.storage import reason_of
from eqmodels.transforms.preprocessing import DEEP

__all__ = ["ArrayFile", "read_array"]

Numbers = npt.NDArray[Any]

LABELS = "labels"
"""What the labels are called, if no other name is given."""


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Images of one array: a `Source`.

    Args:
        name: what the data set is called.
        array: ``(N, C, H, W)``, uint8, uint16, or float32 in [0, 1], in memory or mapped into it.
        numbers: ``(N,)``, the class of each image, int64; None where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.

    Raises:
        TypeError: if an argument is of another type.
    """

    name: str
    array: Numbers
    numbers: Int[Tensor, " N"] | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_arguments(ArrayFile, vars(self))
        if self.array.dtype not in (np.uint8, np.uint16, np.float32):
            raise TypeError(f"array must be uint8, uint16 or float32; got {self.array.dtype}. Convert it with astype.")

    def __len__(self) -> int:
        return len(self.array)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.array.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return int(self.array.shape[2]), int(self.array.shape[3])

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64; all -1, without taking memory, where nobody labelled them."""
        return torch.tensor(-1).expand(len(self)) if self.numbers is None else self.numbers

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]; these alone are read.

        Raises:
            ValueError: if floats are not in [0, 1].
        """
        # Numbers and not the slice itself, whose images would be the file's own memory, which nobody may write.
        images = self.array[numbers_of(indices, len(self)).numpy()]
        if images.dtype == np.uint8:
            return from_levels(torch.from_numpy(images))
        if images.dtype == np.uint16:
            return torch.from_numpy(images.astype(np.float32) / DEEP)
        pixels = torch.from_numpy(images)
        if pixels.numel() and not 0 <= float(pixels.min()) <= float(pixels.max()) <= 1:  # NaN is in no range
            raise ValueError(
                f"floats of {self.name} must be in [0, 1]; got pixels from {float(pixels.min()):.4g} to "
                f"{float(pixels.max()):.4g}. Scale them, and leave NaN out."
            )
        return pixels


@register_source("array")
def read_array(
    split: Split, *, root: str | Path | None = None, channels: int | None = None, label_column: str | None = None
) -> Source:
    """Images of ``<root>/train.npy`` or ``<root>/test.npy``, mapped into memory, or of ``.npz``, read.

    Arrays are ``(N, C, H, W)`` or ``(N, H, W)``, uint8, uint16, or float32 in [0, 1]. Labels, if there are any, are in
    ``<root>/train_labels.npy``, integers or words, ``(N,)``; the classes are those of both splits. A ``.npz`` has
    `images` and `labels`; or `root` is itself one, with `train_images`, `train_labels`, `test_images` and
    `test_labels` (or `val` for `test`).

    Labels of other names are read the same way, such as `species` of ``<root>/train_species.npy``: one is chosen for
    the class, or several, ``species,stage``, whose values are one class, ``ant / adult``. Where an image has several
    labels, in a table of True and False ``(N, K)`` that numbers them, or between commas, semicolons or upright strokes
    of words, ``tags:wing`` makes two classes, of the images with this one and of those without.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of the files, or one file .npz.
        channels: of the images, where these come last, ``(N, H, W, C)``; left out, they come before height and width.
        label_column: what the labels are called, if not labels; - for none; A,B for both as one class; A:WORD for
            whether WORD is among the labels of A.

    Raises:
        ValueError: if no folder is named, a file holds other arrays, or there are no such labels.
        FileNotFoundError: if there is no such file.
    """
    if root is None:
        raise ValueError("array needs the folder of train.npy and test.npy; got none. Name it by root= (--root).")
    place = Path(root).expanduser()
    file, images = _found(place, split)
    array = _as_images(images, file, channels)
    name = f"array:{place.stem if file == place else place.resolve().name}"
    labels = _labels(place, file, split, len(array), label_column)
    if not labels:
        return ArrayFile(name, array)
    numbers, classes = numbered(labels, None, name)
    return ArrayFile(name, array, torch.tensor(numbers[: len(array)]), classes)


def _found(place: Path, split: Split) -> tuple[Path, Numbers]:
    """The file of a split, and its images.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it cannot be read.
    """
    if place.suffix == ".npz" and place.is_file():
        for name in SPLIT_NAMES[split]:
            if (images := _member(place, f"{name}_images")) is not None:
                return place, images
        raise FileNotFoundError(
            f"array reads {split}_images of {place}, which has none. Save it with numpy.savez, by this name."
        )
    packed, file = place / f"{split}.npz", place / f"{split}.npy"
    if packed.is_file() and not file.is_file():
        images = _member(packed, "images")
        if images is None:
            raise ValueError(
                f"{packed} must have the array 'images'; it has none. Save it with numpy.savez, by this name."
            )
        return packed, images
    if not file.is_file():
        raise FileNotFoundError(f"array reads {file}, which is no file. Write it with numpy.save, or name its folder.")
    return file, _mapped(file)


def _labels(place: Path, file: Path, split: Split, count: int, named: str | None) -> list[int | str]:
    """The label of each image of a split, and behind them those of the other one; an empty list if there are none.

    Raises:
        ValueError: if they are not as many as images, something else, or not there though they are named.
    """
    own, others = (_arrays_of(place, one) for one in (split, "test" if split == "train" else "train"))
    if named is None and LABELS not in own:
        return []
    if named is None or named in own:
        labels, rest = own[named or LABELS](), others.get(named or LABELS, lambda: None)()
        if not _is_table(labels):
            return [*_as_labels(labels, file, count), *([] if rest is None else rest.ravel().tolist())]

    def cells(name: str) -> list[Cell]:
        rest = others.get(name, lambda: None)()
        return [*_as_cells(own[name](), file, count), *([] if rest is None else _as_cells(rest, place, len(rest)))]

    return [*class_words(ReadWhenAsked(list(own), cells), file, (), named or LABELS)]


def _arrays_of(place: Path, split: Split) -> dict[str, Callable[[], Numbers]]:
    """What reads each array of a split beside its images, by its name; of those that need not be there."""
    if place.suffix == ".npz" and place.is_file():
        held = _names(place)
        splits = [name for name in SPLIT_NAMES[split] if any(one.startswith(f"{name}_") for one in held)][:1]
        found = {one.removeprefix(f"{name}_"): one for name in splits for one in held if one.startswith(f"{name}_")}
        return {name: partial(_held, place, one) for name, one in found.items() if name != "images"}
    if (place / f"{split}.npy").is_file():
        files = sorted(place.glob(f"{split}_*.npy"))
        return {file.stem.removeprefix(f"{split}_"): partial(_mapped, file) for file in files}
    packed = place / f"{split}.npz"
    names = _names(packed) if packed.is_file() else []
    return {name: partial(_held, packed, name) for name in names if name != "images"}


def _mapped(file: Path) -> Numbers:
    """An array of numpy, mapped into memory.

    Raises:
        ValueError: if the file is none.
    """
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{file} must be an array as numpy.save writes it; it cannot be read ({reason_of(error)}). Write it anew."
        ) from error


def _member(file: Path, name: str) -> Numbers | None:
    """An array of several in one file; None if there is none of the name.

    Raises:
        ValueError: if the file cannot be read, or the array is of other things than numbers and words.
    """
    try:
        with np.load(file, allow_pickle=False) as content:
            found: Numbers | None = content[name] if name in content.files else None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(
            f"{file} must be arrays as numpy.savez writes them; it cannot be read ({reason_of(error)}). Write it anew."
        ) from error
    return found


def _held(file: Path, name: str) -> Numbers:
    """An array of several in one file that is there.

    Raises:
        ValueError: as `_member`.
    """
    found = _member(file, name)
    assert found is not None
    return found


def _names(file: Path) -> list[str]:
    """The names of the arrays in one file; none if it cannot be read, which reading its images says."""
    try:
        with np.load(file, allow_pickle=False) as content:
            return list(content.files)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError):
        return []


def _as_images(array: Numbers, file: Path, channels: int | None) -> Numbers:
    """Images ``(N, C, H, W)``.

    Raises:
        ValueError: if the array is of others.
    """
    array = array[:, None] if array.ndim == 3 else array
    if channels is not None and array.ndim == 4 and array.shape[1] != channels and array.shape[3] == channels:
        array = np.moveaxis(array, 3, 1)
    is_known = array.dtype in (np.uint8, np.uint16, np.float32)
    if not is_known or array.ndim != 4 or not array.size:
        raise ValueError(
            f"{file} must hold images (N, channels, height, width) in uint8, uint16 or float32, at least one; got "
            f"{array.dtype} {array.shape}. Scale them to 0 .. 255 and move the channels before the height."
        )
    if channels is not None and array.shape[1] != channels:
        raise ValueError(
            f"channels must be those of {file}, {array.shape[1]}, or of its last axis; got {channels}. Leave it out "
            "(--channels)."
        )
    return array


def _as_labels(labels: Numbers, file: Path, count: int) -> list[int | str]:
    """One label an image, numbers or words.

    Raises:
        ValueError: if they are not as many, or something else.
    """
    if labels.size != count or labels.dtype.kind not in "iuUb":
        raise ValueError(
            f"the labels of {file} must be {count} integers or words, one an image; got {labels.dtype} {labels.shape}. "
            "Give each image one, or leave the labels out."
        )
    found: list[int | str] = labels.ravel().tolist()
    return found


def _is_table(labels: Numbers) -> bool:
    """Whether an array says of each label whether an image has it."""
    return labels.dtype == bool and labels.ndim == 2 and labels.shape[1] > 1


def _as_cells(labels: Numbers, file: Path, count: int) -> list[Cell]:
    """The label of each image as a word, or the numbers of those that it has, as words.

    Raises:
        ValueError: if they are not as many as images, or something else.
    """
    if _is_table(labels) and len(labels) == count:
        return [tuple(map(str, np.flatnonzero(row).tolist())) for row in labels]
    return [*map(str, _as_labels(labels, file, count))]
