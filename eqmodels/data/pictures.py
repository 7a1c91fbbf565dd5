"""Pictures of files as pixels: of known formats alone, several at once, and every bad one by name before anything."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError

from eqmodels.storage import read_regular, reason_of

__all__ = [
    "FORMATS",
    "BadFile",
    "BadFilesError",
    "LeftOutWarning",
    "check_readable",
    "open_picture",
    "read_pictures",
    "sorted_out",
]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What an image may be, whatever its name ends in. PIL knows more, and starts other programs for some: Ghostscript for
EPS."""

SHOWN = 20
"""Bad files that a sentence lists."""

AHEAD = 64
"""Pictures that are read before they are asked for, at most."""

T = TypeVar("T")


@dataclass(frozen=True)
class BadFile:
    """A file that is called like an image and is none that can be read.

    Attributes:
        path: of the file.
        reason: in words.
    """

    path: Path
    reason: str


class LeftOutWarning(UserWarning):
    """What is said of files that were left out, as was asked for."""


class BadFilesError(ValueError):
    """Files that cannot be read as images: all of them, in one table.

    Args:
        bad: the files.
        total: how many were tried.
        way_out: what to do, as a sentence.
    """

    def __init__(self, bad: Sequence[BadFile], total: int, way_out: str) -> None:
        self.bad = tuple(bad)
        rows = [f"  {one.path}: {one.reason}" for one in self.bad[:SHOWN]]
        more = [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
        head = f"{len(bad)} of {total} files cannot be read as images. {way_out}"
        super().__init__("\n".join([head, *rows, *more]))


def open_picture(path: str | Path) -> Image.Image:
    """The first picture in a file, decoded.

    Raises:
        ValueError: if it cannot be read, or is of another format; gives the reason alone.
    """
    try:
        picture = Image.open(io.BytesIO(read_regular(path)), formats=FORMATS)
        picture.load()
    except Exception as error:  # damaged files make PIL stumble in many ways
        is_foreign = isinstance(error, UnidentifiedImageError)
        reason = f"it is of none of the formats {', '.join(FORMATS)}" if is_foreign else reason_of(error)
        raise ValueError(reason) from error
    return picture


def read_pictures(
    paths: Sequence[Path], made_of: Callable[[Image.Image], T], *, workers: int = 2
) -> Iterator[T | BadFile]:
    """What is made of the picture in each file, in their order; a `BadFile` where one cannot be read.

    Threads suffice: PIL decodes and resizes without Python's lock. No more than a few pictures lie in memory at once.

    Args:
        paths: of the files.
        made_of: what is made of a picture; a `ValueError` of it is the reason why the file is bad.
        workers: threads.
    """

    def read(path: Path) -> T | BadFile:
        try:
            return made_of(open_picture(path))
        except ValueError as error:
            return BadFile(path, str(error))

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), AHEAD):
            yield from pool.map(read, paths[start : start + AHEAD])


def sorted_out(found: Iterable[Any]) -> tuple[list[Any], list[int], list[BadFile]]:
    """What was read, the numbers of it, and the bad files."""
    good, numbers, bad = [], [], []
    for number, one in enumerate(found):
        if isinstance(one, BadFile):
            bad.append(one)
        else:
            good.append(one)
            numbers.append(number)
    return good, numbers, bad


def check_readable(bad: Sequence[BadFile], total: int, *, skip_bad: bool) -> None:
    """Refuses files that cannot be read, all of them at once; or warns of them, if they are to be left out.

    Args:
        bad: the files.
        total: how many were tried.
        skip_bad: whether to go on without them, if there are others.

    Raises:
        BadFilesError: if they are not to be left out, or nothing would be left.
    """
    if not bad:
        return
    way_out = "Remove or replace them, or pass skip_bad=True (--skip-bad) to go on without them."
    way_out = way_out if len(bad) < total else "Name a folder of images."
    is_left_out = skip_bad and len(bad) < total
    error = BadFilesError(bad, total, "They are left out." if is_left_out else way_out)
    if not is_left_out:
        raise error
    warnings.warn(f"{error}", LeftOutWarning, stacklevel=3)
