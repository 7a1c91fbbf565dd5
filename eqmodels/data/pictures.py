"""Pictures of files: of known formats alone, several at once, and every bad one by name before anything."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from eqmodels._shapes import Shaped
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.planes import (
    MOST_CHANNELS,
    NUMPY,
    Planes,
    channels_first,
    check_kind,
    deep_png,
    is_tiff,
    numpy_planes,
    tiff_planes,
)
from eqmodels.storage import legible, read_regular, reason_of
from eqmodels.transforms.preprocessing import DEEP, WHITE, check_background, laid_on

__all__ = [
    "FORMATS",
    "BadFile",
    "BadFilesError",
    "LeftOutWarning",
    "Picture",
    "check_channels",
    "check_readable",
    "content_of",
    "in_threads",
    "open_picture",
    "picture_at",
    "picture_from",
    "picture_of",
    "read_pictures",
    "sorted_out",
]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What an image may be, whatever its name ends in. PIL knows more, and starts other programs for some: Ghostscript for
EPS."""

SHOWN, ALIKE = 1000, 5
"""Bad files that a sentence lists, and how many of those that are bad for the same reason as most of the files."""

AHEAD = 64
"""Pictures that are read before they are asked for, at most."""

P = TypeVar("P")
T = TypeVar("T")

Picture = Image.Image | Tensor
"""As ``transform()`` of a network takes it: PIL's, or pixels ``(C, H, W)``, uint8 or floats."""

ORIENTATION, SAMPLES, BITS = 0x0112, 277, 258
"""The numbers of what is noted in a file: how it lies, and channels and bits of a TIFF."""


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
        self.bad, self.total, self.way_out = tuple(bad), total, way_out
        head = f"{len(bad)} of {total} files cannot be read as images. {way_out}"
        super().__init__("\n".join([head, *_rows(self.bad, total)]))

    def __reduce__(self) -> tuple[type[BadFilesError], tuple[tuple[BadFile, ...], int, str]]:
        return type(self), (self.bad, self.total, self.way_out)  # what Python packs is the sentence alone


def _rows(bad: Sequence[BadFile], total: int) -> list[str]:
    """Path and reason of each, but of what most files are bad for, such as other channels, of the first ones alone."""
    reason, count = Counter(one.reason for one in bad).most_common(1)[0] if bad else ("", 0)
    alike = [one for one in bad if one.reason == reason] if count > max(ALIKE, total // 2) else []
    unlike = [one for one in bad if one.reason != reason] if alike else bad
    rows = [f"  {legible(str(one.path))}: {one.reason}" for one in (*unlike[:SHOWN], *alike[:ALIKE])]
    more = [f"  and {len(unlike) - SHOWN:,} more"] if len(unlike) > SHOWN else []
    return [*rows, *more, *([f"  and {count - ALIKE:,} more for this reason"] if alike else [])]


def open_picture(
    path: str | Path, channels: int | None = 3, *, background: str = WHITE, option: str = "channels"
) -> Picture:
    """The picture in a file, decoded, as ``transform()`` of a network of so many channels takes it.

    Of a GIF that moves, the first picture. Of one channel or three, PIL's, in whatever mode. Arrays of numpy, TIFF of
    several pages or many samples, and PNG and TIFF of colours of 16 bits become pixels: pages are channels, an array
    is ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` (the axis that has so many entries as channels are read), and 16 bits
    become floats in [0, 1]. What else than one channel or three is read must be in the file.

    Args:
        path: of the file.
        channels: how many are read, up to 64; None for those that are there.
        background: what pixels that are transparent are laid on, if they are not PIL's, which are left as they are.
        option: what sentences call `channels`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if it cannot be read, is of another format or has other channels, `channels` is below 1 or above 64,
            or `background` is no colour.
        ModuleNotFoundError: if it needs a package that is not installed.
    """
    check_arguments(open_picture, locals())
    check_channels(channels, option)
    check_background(background)
    try:
        return picture_at(path, channels, background=background, option=option)
    except ValueError as error:
        raise ValueError(f"path must be of an image; {str(path)!r} cannot be read: {error}.") from error


def picture_at(
    path: str | Path, channels: int | None = 3, *, background: str = WHITE, option: str = "channels"
) -> Picture:
    """The same for many files, of which one may be bad.

    Raises:
        ValueError: if it cannot be read, is of another format or has other channels; gives the reason alone.
        ModuleNotFoundError: if it needs a package that is not installed.
    """
    return picture_from(partial(read_regular, path), channels, background=background, option=option)


def picture_from(
    read: Callable[[], bytes], channels: int | None = 3, *, background: str = WHITE, option: str = "channels"
) -> Picture:
    """The picture in what a function reads.

    Raises:
        ValueError: if nothing can be read, or it is as for `picture_of`; gives the reason alone.
        ModuleNotFoundError: if it needs a package that is not installed.
    """
    try:
        content = read()
    except OSError as error:
        raise ValueError(reason_of(error)) from error
    return picture_of(content, channels, background=background, option=option)


def check_channels(channels: int | None, option: str = "channels") -> int | None:
    """The number itself, if images may have so many channels, or None."""
    if channels is not None and check_count(option, channels) > MOST_CHANNELS:
        raise ValueError(f"{option} must be at most {MOST_CHANNELS}; got {channels}. Choose some of them.")
    return channels


def picture_of(
    content: bytes, channels: int | None = 3, *, background: str = WHITE, option: str = "channels"
) -> Picture:
    """The picture in the content of a file, see `open_picture`.

    Raises:
        ValueError: if it cannot be read, or is of another format, or has other channels; gives the reason alone.
        ModuleNotFoundError: if it needs a package that is not installed.
    """
    found = content_of(content, channels, option=option)
    if isinstance(found, Planes):
        return _laid(found, background) if found.opacity and channels in (1, 3) else _as_tensor(found)
    return found


def content_of(content: bytes, channels: int | None = 3, *, option: str = "channels") -> Image.Image | Planes:
    """The picture in the content of a file as it is there, of PIL or its pixels.

    Raises:
        ValueError: if it cannot be read, or is of another format, or has other channels; gives the reason alone.
        ModuleNotFoundError: if it needs a package that is not installed.
    """
    allowed = () if channels is None else (1, 3) if channels in (1, 3) else (channels,)
    try:
        found = _decoded(content, channels, allowed)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # damaged files make PIL and others stumble in many ways
        is_foreign = isinstance(error, UnidentifiedImageError)
        reason = f"it is of none of the formats {', '.join(FORMATS)}" if is_foreign else reason_of(error)
        # What readers stumble over, where they did not see it coming, is told in their own terms.
        is_damage = not isinstance(error, (OSError, ValueError, SyntaxError, Image.DecompressionBombError))
        raise ValueError(f"it is damaged ({reason})" if is_damage else reason) from error
    if isinstance(found, Image.Image) and channels in (None, 1, 3):  # PIL makes colours grey, and grey colours
        return found
    count = len(found.pixels) if isinstance(found, Planes) else len(found.getbands())
    # What is seen through has one channel more than is read.
    shown = count - 1 if isinstance(found, Planes) and found.opacity and channels in (1, 3) else count
    if not 1 <= shown <= MOST_CHANNELS:
        raise ValueError(f"it has {count} channels, and at most {MOST_CHANNELS} are read: choose some of them")
    if allowed and shown not in allowed:
        raise ValueError(
            f"it has {count} channels where {channels} are read: pass {option}=, here {count} "
            f"(--{option.replace('_', '-')} {count}), or choose channels of it"
        )
    return found


def _decoded(content: bytes, channels: int | None, allowed: tuple[int, ...]) -> Image.Image | Planes:
    if content.startswith(NUMPY):
        array = check_kind(numpy_planes(content))
        suits = not {*array.shape[:1], *array.shape[-1:]}.isdisjoint(allowed)
        return Planes(channels_first(array, allowed if suits else ()))
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        if is_tiff(content):
            return tiff_planes(content)
        raise
    if picture.format == "TIFF" and _is_beyond_pil(picture, channels):
        return tiff_planes(content)
    if picture.format == "PNG" and ";16" in str(picture.tile[0][3]) and picture.mode[0] != "I":
        return deep_png(content, picture.getexif().get(ORIENTATION, 1))
    picture.load()
    return picture


def _is_beyond_pil(picture: Image.Image, channels: int | None) -> bool:
    """Whether PIL would leave out pages, channels or bits of a TIFF."""
    bands, tags = len(picture.getbands()), getattr(picture, "tag_v2", {})
    bits = tags.get(BITS, (1,))
    return (
        getattr(picture, "n_frames", 1) > 1
        or tags.get(SAMPLES, 1) > bands
        or (bands > 1 and max(bits if isinstance(bits, tuple) else (bits,)) > 8)
        or (channels not in (None, 1, 3, bands))
    )


def _as_tensor(planes: Planes) -> Shaped[Tensor, "C H W"]:
    """Pixels as uint8, or as floats in which those of 16 bits are in [0, 1]."""
    pixels = planes.pixels
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(np.float32) / DEEP
    return torch.from_numpy(np.ascontiguousarray(pixels))


def _laid(planes: Planes, background: str) -> Shaped[Tensor, "C H W"]:
    """Pixels of which the last channel is their opacity, as they look on a background."""
    pixels = _as_tensor(planes)
    pixels = pixels / 255 if pixels.dtype == torch.uint8 else pixels
    colours, opacity = pixels[:-1], pixels[-1:]
    if planes.opacity == "associated":
        colours = (colours / opacity.clamp_min(1e-12)).clamp(0, 1)
    return laid_on(background, colours, opacity)


def read_pictures(
    paths: Sequence[Path],
    made_of: Callable[[Any], T],
    *,
    opened: Callable[[Path], Any] = picture_at,
    workers: int = 2,
) -> Iterator[T | BadFile]:
    """What is made of the picture in each file, in their order; a `BadFile` where one cannot be read.

    Threads suffice: PIL decodes and resizes without Python's lock. No more than a few pictures lie in memory at once.

    Args:
        paths: of the files.
        made_of: what is made of a picture; a `ValueError` of it is the reason why the file is bad.
        opened: gives the picture in a file, and does the same.
        workers: threads.
    """

    def read(path: Path) -> T | BadFile:
        try:
            return made_of(opened(path))
        except ValueError as error:
            return BadFile(path, str(error))

    return in_threads(read, paths, workers)


def in_threads(made_of: Callable[[P], T], items: Sequence[P], workers: int) -> Iterator[T]:
    """What is made of each item, in their order, by so many threads, which are at most `AHEAD` items ahead."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), AHEAD):
            yield from pool.map(made_of, items[start : start + AHEAD])


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
    way_out = way_out if len(bad) < total else "Name images that can be read."
    is_left_out = skip_bad and len(bad) < total
    error = BadFilesError(bad, total, "They are left out." if is_left_out else way_out)
    if not is_left_out:
        raise error
    warnings.warn(f"{error}", LeftOutWarning, stacklevel=3)
