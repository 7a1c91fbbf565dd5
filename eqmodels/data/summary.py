"""What is in a folder or a table of images, said before any work is done on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.contents import contents_of
from eqmodels.data.pictures import (
    BadFile,
    check_channels,
    content_of,
    picture_at,
    read_pictures,
    sorted_out,
)
from eqmodels.data.planes import Planes
from eqmodels.data.showing import as_seen
from eqmodels.storage import legible, read_regular, reason_of
from eqmodels.transforms import Pixels

__all__ = ["FolderSummary", "contact_sheet", "summarise_folder"]

OPAQUE = 0.01
"""Share of opacity under which a picture shows next to nothing."""


@dataclass(frozen=True)
class FolderSummary:
    """What is in a folder of images, or in a table of them.

    Attributes:
        root: the folder, or the table.
        splits: number of images of each split.
        classes: number of images of each class, in all splits; empty if the images have none.
        sizes: number of images of each size, as ``"640 x 480"``, width first; the most frequent first.
        channels: number of images of each number of channels, an opacity not counted.
        bits: number of images of each number of bits a channel, such as ``"16"`` and ``"32, floats"``.
        modes: number of images of each mode of PIL, such as ``"RGB"`` and ``"I;16"``, or ``"array"`` of others.
        constant: paths of images whose pixels are all equal.
        empty: paths of images that are transparent nearly everywhere.
        bad: paths of files that cannot be read, and why.
        ignored: number of files that are left out, by the ending of their names.
        labels: of each column of a table beside paths and splits, number of images that have each label in it, of which
            an image may have several.
        no_classes: why there are no classes.
    """

    root: str
    splits: Mapping[str, int]
    classes: Mapping[str, int]
    sizes: Mapping[str, int]
    channels: Mapping[str, int]
    bits: Mapping[str, int]
    modes: Mapping[str, int]
    constant: Sequence[str]
    empty: Sequence[str]
    bad: Mapping[str, str]
    ignored: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    no_classes: str = "the images lie in no folders"

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``"no_classes"`` is None where there are some."""
        return asdict(self) | {"no_classes": None if self.classes else self.no_classes}

    def text(self, rows: int = 10) -> str:
        """Line by line, in words.

        Args:
            rows: of long lists, how many are shown.
        """

        def counted(counts: Mapping[str, int]) -> str:
            shown = ", ".join(f"{legible(name)} ({count:,})" for name, count in list(counts.items())[:rows])
            return (shown or "none") + (f" and {len(counts) - rows} more" if len(counts) > rows else "")

        def listed(paths: Sequence[str]) -> str:
            shown = "".join(f"\n  {legible(path)}" for path in paths[:rows])
            return shown + (f"\n  and {len(paths) - rows} more, which JSON has (--json)" if len(paths) > rows else "")

        total = sum(self.splits.values())
        lines = [
            f"{legible(self.root)}: {total:,} images; "
            + ", ".join(f"{n:,} {split}" for split, n in self.splits.items())
        ]
        by_count = dict(sorted(self.classes.items(), key=lambda one: -one[1]))
        if by_count:
            words = "1 class" if len(by_count) == 1 else f"{len(by_count)} classes, the largest first"
            lines.append(f"{words}: {counted(by_count)}")
            smallest = list(by_count)[-1]
            lines.append(f"the smallest class: {legible(smallest)} ({by_count[smallest]:,})")
        else:
            lines.append(f"no classes: {legible(self.no_classes)}")
        for name, counts in self.labels.items():
            words = "1 label" if len(counts) == 1 else f"{len(counts):,} labels"
            lines.append(f"column {legible(name)}: {words}: {counted(counts)}")
        sizes = "1 size" if len(self.sizes) == 1 else f"{len(self.sizes)} sizes"
        lines.append(f"{sizes} (width x height): {counted(self.sizes)}")
        lines.append(f"channels: {counted(self.channels)}; bits: {counted(self.bits)}; modes: {counted(self.modes)}")
        if len(self.channels) == 1 and not {"1", "3"} & set(self.channels):  # pictures need no word
            lines.append(f"other commands read them with --channels {next(iter(self.channels))}")
        bad = [f"{path}: {reason}" for path, reason in self.bad.items()]
        for name, paths in (("constant", self.constant), ("nearly transparent", self.empty), ("cannot be read", bad)):
            if paths:
                lines.append(f"{name}: {len(paths):,}{listed(paths)}")
        if self.ignored:
            lines.append(f"left out: {counted(self.ignored)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Seen:
    """What is told of one picture."""

    size: str
    channels: str
    bits: str
    mode: str
    is_constant: bool
    is_empty: bool


def summarise_folder(
    root: str | Path,
    *,
    channels: int | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
) -> FolderSummary:
    """Looks at every file of a folder or a table of images, as `load_data` lists them.

    Args:
        root: the folder, or a .csv, .tsv or .parquet.
        channels: of the images that are to be read, see `open_picture`: of those that have others it is said; None for
            any.
        path_column: of a table, see `read_table` of the source ``"table"``.
        label_column: what is the class of a table's images, see there; None where there are none, or several columns.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder or the table does not exist.
        ValueError: if a link in it leads to a folder, or out of it, `channels` is below 1 or above 64, or the table
            cannot be read, or has no such column.
        ModuleNotFoundError: if a file needs a package that is not installed.
    """
    check_arguments(summarise_folder, locals())
    check_channels(channels)
    whole = contents_of(root, path_column=path_column, label_column=label_column)
    names = whole.names
    found = read_pictures(whole.paths, _seen, opened=partial(_opened, channels=channels), workers=os.cpu_count() or 1)
    seen, numbers, bad = sorted_out(found)
    name_of = dict(zip(whole.paths, names, strict=True))
    sizes, kinds, bits, modes = (
        dict(Counter(getattr(one, name) for one in seen).most_common()) for name in ("size", "channels", "bits", "mode")
    )
    return FolderSummary(
        str(whole.root),
        whole.splits,
        whole.classes,
        sizes,
        kinds,
        bits,
        modes,
        [names[number] for number, one in zip(numbers, seen, strict=True) if one.is_constant],
        [names[number] for number, one in zip(numbers, seen, strict=True) if one.is_empty],
        {name_of[one.path]: one.reason for one in bad},
        whole.ignored,
        whole.labels,
        whole.no_classes,
    )


def _opened(path: Path, channels: int | None) -> Image.Image | Planes:
    """The picture in a file as it is there.

    Raises:
        ValueError: if it cannot be read; gives the reason alone.
    """
    try:
        return content_of(read_regular(path), channels)
    except OSError as error:
        raise ValueError(reason_of(error)) from error


def _seen(picture: Image.Image | Planes) -> _Seen:
    if isinstance(picture, Planes):
        return _seen_planes(picture)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("F", "I"):
        Pixels(1)(picture)  # refuses what is in no known range
    pixels = np.asarray(upright)
    is_constant = bool((pixels == pixels[:1, :1]).all())
    is_empty = (
        upright.has_transparency_data and float(np.asarray(upright.convert("RGBA"))[..., 3].mean()) < 255 * OPAQUE
    )
    bands = 3 if upright.mode in ("P", "PA") else len([band for band in upright.getbands() if band not in "Aa"])
    bits = {"1": "1", "F": "32, floats", "I": "16"}.get(upright.mode, "16" if ";16" in upright.mode else "8")
    size = f"{upright.width} x {upright.height}"
    return _Seen(size, str(bands), bits, upright.mode, is_constant, is_empty)


def _seen_planes(planes: Planes) -> _Seen:
    pixels = planes.pixels
    if pixels.dtype.kind == "f":
        Pixels(len(pixels))(torch.from_numpy(np.ascontiguousarray(pixels)))
    bits = "32, floats" if pixels.dtype.kind == "f" else str(8 * pixels.dtype.itemsize)
    largest = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    is_empty = bool(planes.opacity) and float(pixels[-1].mean()) < largest * OPAQUE
    count = len(pixels) - bool(planes.opacity)
    size = f"{pixels.shape[2]} x {pixels.shape[1]}"
    return _Seen(size, str(count), bits, "array", bool((pixels == pixels[:, :1, :1]).all()), is_empty)


def contact_sheet(
    root: str | Path,
    *,
    channels: int | None = None,
    path_column: str | None = None,
    columns: int = 12,
    rows: int = 8,
    side: int = 80,
) -> Image.Image:
    """A picture of pictures of a folder or a table, evenly chosen from all of it, each whole, upright and on white.

    Of many channels the first three are shown as red, green and blue, from the least pixel to the largest.

    Args:
        root: the folder, or a .csv, .tsv or .parquet.
        channels: of the images that are shown, see `open_picture`; None for any.
        path_column: of a table, see `read_table` of the source ``"table"``.
        columns: pictures in a row.
        rows: of pictures, at most.
        side: of the square that a picture is fitted into, in pixels.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder or the table does not exist, or has no image that can be read.
        ValueError: if a number is below 1 or above 4,095, or `channels` above 64, or a link in it leads to a folder, or
            out of it; or the table cannot be read, or has no such column.
    """
    check_arguments(contact_sheet, locals())
    check_channels(channels)
    for name, value in (("columns", columns), ("rows", rows), ("side", side)):
        check_count(name, value, bits=12)
    listing = contents_of(root, path_column=path_column)
    files = listing.paths
    count = min(len(files), columns * rows)
    chosen = [files[number * len(files) // count] for number in range(count)]

    opened = partial(picture_at, channels=channels)
    read = read_pictures(chosen, partial(as_seen, side=side), opened=opened, workers=os.cpu_count() or 1)
    found = [one for one in read if not isinstance(one, BadFile)]
    if not found:
        raise FileNotFoundError(f"{listing.root} has no images that can be read. Name a folder of images.")
    height = -(-len(found) // columns)
    sheet = Image.new("RGB", (columns * (side + 4) + 4, height * (side + 4) + 4), "white")
    for number, picture in enumerate(found):
        row, column = divmod(number, columns)
        left, top = ((side - extent) // 2 for extent in picture.size)
        sheet.paste(picture, (4 + column * (side + 4) + left, 4 + row * (side + 4) + top))
    return sheet
