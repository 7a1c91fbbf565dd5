"""The Open Clip Art Library: colour pictures of things of every kind, upright, with transparency, in the public domain.

Source: Debian's package ``openclipart-png`` (0.18), whose pictures were dedicated to the public domain by those who
drew them.
"""

from __future__ import annotations

import io
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.backgrounds import Background, behind, composited, levels, numbers_of_name
from eqmodels.data.memory import LabelledImages
from eqmodels.data.pictures import BadFile, read_pictures
from eqmodels.data.registry import Split, register_source
from eqmodels.storage import read_regular, reason_of

__all__ = ["PLACE", "SMALLEST_CLASS", "clipart_files", "drawing", "fitted", "read_openclipart"]

PLACE = Path("/usr/share/openclipart/png")
"""Where Debian puts the pictures."""

SMALLEST_CLASS = 40
"""Pictures, of both splits, that a folder has at least if it is a class."""

TABLE = "openclipart.txt"
"""The file beside this one that says which pictures are for testing, and which are left out; see
`benchmarks/data/openclipart.py`, which writes it."""


def clipart_files(root: Path, split: Split) -> list[Path]:
    """The pictures of a split that are used, by the order of their paths; of all folders, however small.

    A fifth is for testing, by a hash that near-duplicates share. What can hardly be seen is left out, and so are links.

    Args:
        root: the folder of the library.
        split: ``"train"`` or ``"test"``.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder has no such pictures.
    """
    check_arguments(clipart_files, locals())
    return _files(root)[split]


def _files(root: Path) -> dict[Split, list[Path]]:
    """The pictures of both splits.

    Raises:
        FileNotFoundError: if a split has none.
    """
    lines = (resources.files("eqmodels.data") / TABLE).read_text("utf-8").splitlines()
    table = {path: use for use, path in (line.split("\t") for line in lines)}
    found: dict[Split, list[Path]] = {"train": [], "test": []}
    for path in sorted(path for path in root.rglob("*.png") if path.is_file() and not path.is_symlink()):
        use = table.get(path.relative_to(root).as_posix(), "train")
        for split, paths in found.items():
            if use == split:
                paths.append(path)
    for split, paths in found.items():
        if not paths:
            raise FileNotFoundError(
                f"openclipart reads the PNG pictures of the Open Clip Art Library; {root} has none of split={split!r}. "
                "Install Debian's package openclipart-png, or name the folder that has animals/, food/, ... by root= "
                "(--root)."
            )
    return found


def drawing(path: Path) -> Image.Image:
    """The picture in a file as PIL has it, in 8 bits.

    Raises:
        ValueError: if it is no PNG that can be read.
    """
    try:
        picture = Image.open(io.BytesIO(read_regular(path)), formats=("PNG",))
        picture.load()
    except Exception as error:  # damaged files make PIL stumble in many ways
        raise ValueError(reason_of(error)) from error
    return picture


def fitted(picture: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """The whole picture in the middle of a transparent square: ``(side, side, 4)``, RGB multiplied by the opacity.

    It is resampled as it is multiplied, so that the arbitrary colours of transparent pixels are seen nowhere.

    Args:
        picture: of any mode that PIL can convert.
        side: of the square in pixels.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the side is below 1, or PIL cannot convert the picture.
    """
    check_arguments(fitted, locals())
    check_count("side", side)
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    rule = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    whole = picture.convert("RGBA").convert("RGBa").resize((width, height), rule, reducing_gap=3.0)
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = np.asarray(whole)
    return square


@register_source("openclipart")
def read_openclipart(
    split: Split, *, root: str | Path | None = None, size: int | None = None, background: Background = "white"
) -> LabelledImages:
    """Pictures of the Open Clip Art Library in RGB; classes are its folders of at least 40 pictures.

    5,300 training and 1,100 test images of 16 classes of very different sizes, all read into memory, which takes a
    minute or two. Pictures are fitted into squares, the smaller ones enlarged, and rounded to 8 bits. A fifth is for
    testing, by a hash that near-duplicates share, so that none of them is in both splits.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of the library; None for where Debian's package ``openclipart-png`` puts it.
        size: side in pixels of the squares; None for 96.
        background: what shows through a picture: ``"white"``, ``"colours"``, one for each picture, or ``"pictures"``, a
            part of another picture of the split. A picture has the same one each time, by a hash of its name.

    Raises:
        FileNotFoundError: if the folder has no such pictures.
        ValueError: if `size` is below 1.
    """
    side = 96 if size is None else check_count("size", size)
    base = PLACE if root is None else Path(root).expanduser()
    files = _files(base)
    counts = Counter(_folder(path, base) for paths in files.values() for path in paths)
    classes = tuple(sorted(name for name, count in counts.items() if count >= SMALLEST_CLASS))
    chosen = [path for path in files[split] if _folder(path, base) in classes]
    if not chosen:
        raise FileNotFoundError(
            f"openclipart has classes of at least {SMALLEST_CLASS} pictures; the largest folder of {base} has "
            f"{max(counts.values())}. Name the whole library by root= (--root)."
        )
    read = zip(chosen, read_pictures(chosen, lambda picture: fitted(picture, side), opened=drawing), strict=True)
    good = ((path, square) for path, square in read if not isinstance(square, BadFile))  # a few are damaged
    # Any may be behind any other, so that all are held.
    found = list(good) if background == "pictures" else good
    pictures = [square for _, square in found] if isinstance(found, list) else []
    images, labels = [], []
    for number, (path, square) in enumerate(found):
        numbers = numbers_of_name(path.relative_to(base).as_posix())
        canvas = behind(background, side, numbers, pictures, number)
        images.append(torch.from_numpy(levels(composited(square, canvas))))
        labels.append(classes.index(_folder(path, base)))
    return LabelledImages("openclipart", torch.stack(images), torch.tensor(labels), classes)


def on_white(square: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Colours that are multiplied by their opacity, ``(side, side, 4)``, on white: ``(3, side, side)``, uint8."""
    return torch.from_numpy(levels(composited(square, np.float32(255))))


def _folder(path: Path, base: Path) -> str:
    """The folder of the library that a picture is in, whatever folders are in it."""
    return path.relative_to(base).parts[0]
