"""What is in a folder of images, said before any work is done on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.image_files import list_folder
from eqmodels.data.pictures import BadFile, read_pictures, sorted_out
from eqmodels.data.registry import Split

__all__ = ["FolderSummary", "contact_sheet", "summarise_folder"]

OPAQUE = 0.01
"""Share of opacity under which a picture shows next to nothing."""


@dataclass(frozen=True)
class FolderSummary:
    """What is in a folder of images.

    Attributes:
        root: the folder.
        splits: number of images of each split.
        classes: number of images of each class, in all splits; empty if the images have none.
        sizes: number of images of each size, as ``"640 x 480"``, width first; the most frequent first.
        modes: number of images of each mode of PIL, such as ``"RGB"`` and ``"I;16"``.
        constant: paths of images whose pixels are all equal.
        empty: paths of images that are transparent nearly everywhere.
        bad: paths of files that cannot be read, and why.
        ignored: number of files that are left out, by the ending of their names.
    """

    root: str
    splits: Mapping[str, int]
    classes: Mapping[str, int]
    sizes: Mapping[str, int]
    modes: Mapping[str, int]
    constant: Sequence[str]
    empty: Sequence[str]
    bad: Mapping[str, str]
    ignored: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def text(self, rows: int = 10) -> str:
        """Line by line, in words.

        Args:
            rows: of long lists, how many are shown.
        """

        def counted(counts: Mapping[str, int]) -> str:
            shown = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:rows])
            return shown + (f" and {len(counts) - rows} more" if len(counts) > rows else "")

        def listed(paths: Sequence[str]) -> str:
            shown = "".join(f"\n  {path}" for path in paths[:rows])
            return shown + (f"\n  and {len(paths) - rows} more" if len(paths) > rows else "")

        total = sum(self.splits.values())
        lines = [f"{self.root}: {total:,} images; " + ", ".join(f"{n:,} {split}" for split, n in self.splits.items())]
        by_count = dict(sorted(self.classes.items(), key=lambda one: -one[1]))
        if by_count:
            words = "1 class" if len(by_count) == 1 else f"{len(by_count)} classes, the largest first"
            lines.append(f"{words}: {counted(by_count)}")
            lines.append(f"the smallest class: {min(by_count.values()):,}")
        else:
            lines.append("no classes: the images lie in no folders")
        sizes = "1 size" if len(self.sizes) == 1 else f"{len(self.sizes)} sizes"
        lines.append(f"{sizes} (width x height): {counted(self.sizes)}")
        lines.append(f"modes: {counted(self.modes)}")
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
    mode: str
    is_constant: bool
    is_empty: bool


def summarise_folder(root: str | Path) -> FolderSummary:
    """Looks at every file of a folder of images, as `load_data("image_folder")` lists them.

    Args:
        root: the folder.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder does not exist.
        ValueError: if a link in it leads to a folder, or out of it.
    """
    check_arguments(summarise_folder, locals())
    base = Path(root).expanduser()
    whole = list_folder(base, None)
    splits = {split: len(list_folder(base, split).files) for split in get_args(Split)}
    names = [str(path.relative_to(base)) for path, _ in whole.files]
    found = read_pictures([path for path, _ in whole.files], _seen, workers=os.cpu_count() or 1)
    seen, numbers, bad = sorted_out(found)
    classes = Counter(whole.classes[label] for _, label in whole.files) if whole.classes else Counter[str]()
    return FolderSummary(
        str(base),
        splits,
        {name: classes[name] for name in whole.classes},
        dict(Counter(one.size for one in seen).most_common()),
        dict(Counter(one.mode for one in seen).most_common()),
        [names[number] for number, one in zip(numbers, seen, strict=True) if one.is_constant],
        [names[number] for number, one in zip(numbers, seen, strict=True) if one.is_empty],
        {str(one.path.relative_to(base)): one.reason for one in bad},
        whole.ignored,
    )


def _seen(picture: Image.Image) -> _Seen:
    upright = ImageOps.exif_transpose(picture)
    pixels = np.asarray(upright)
    is_constant = bool((pixels == pixels[:1, :1]).all())
    is_empty = (
        upright.has_transparency_data and float(np.asarray(upright.convert("RGBA"))[..., 3].mean()) < 255 * OPAQUE
    )
    return _Seen(f"{upright.width} x {upright.height}", upright.mode, is_constant, is_empty)


def contact_sheet(root: str | Path, *, columns: int = 12, rows: int = 8, side: int = 80) -> Image.Image:
    """A picture of pictures of a folder, evenly chosen from all of it, each whole, upright and on white.

    Args:
        root: the folder.
        columns: pictures in a row.
        rows: of pictures, at most.
        side: of the square that a picture is fitted into, in pixels.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder does not exist, or has no image that can be read.
        ValueError: if a number is below 1 or above 4,095, or a link in it leads to a folder, or out of it.
    """
    check_arguments(contact_sheet, locals())
    for name, value in (("columns", columns), ("rows", rows), ("side", side)):
        check_count(name, value, bits=12)
    base = Path(root).expanduser()
    files = list_folder(base, None).files
    count = min(len(files), columns * rows)
    chosen = [files[number * len(files) // count][0] for number in range(count)]

    def small(picture: Image.Image) -> Image.Image:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I") or upright.mode == "F":
            upright = Image.fromarray(_levels(np.asarray(upright, dtype=np.float64)))
        laid = Image.new("RGBA", upright.size, "white")
        laid.alpha_composite(upright.convert("RGBA"))
        return ImageOps.contain(laid.convert("RGB"), (side, side))

    found = [one for one in read_pictures(chosen, small, workers=os.cpu_count() or 1) if not isinstance(one, BadFile)]
    if not found:
        raise FileNotFoundError(f"{base} has no images that can be read. Name a folder of images.")
    height = -(-len(found) // columns)
    sheet = Image.new("RGB", (columns * (side + 4) + 4, height * (side + 4) + 4), "white")
    for number, picture in enumerate(found):
        row, column = divmod(number, columns)
        left, top = ((side - extent) // 2 for extent in picture.size)
        sheet.paste(picture, (4 + column * (side + 4) + left, 4 + row * (side + 4) + top))
    return sheet


def _levels(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Numbers of any range as 8 bits, the smallest black and the largest white."""
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-12) * 255).round().astype(np.uint8)
