"""Data sets of the library `datasets` of Hugging Face, as it saves them on the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from eqmodels.data.classes import numbered
from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import split_of
from eqmodels.data.places import Listed, Place, within
from eqmodels.data.planes import optional
from eqmodels.data.registry import Split, named_splits, register_source
from eqmodels.data.source import Source
from eqmodels.data.table_file import Cell, ReadWhenAsked
from eqmodels.data.table_labels import NONE, class_words
from eqmodels.errors import shown
from eqmodels.storage import read_regular, reason_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["read_hf_disk"]

LABELS = ("label", "labels", "class", "fine_label")
"""What the column of the labels is called, if none says of itself that it has classes."""


PLAIN = ("ClassLabel", "Value")
"""What the kinds of columns are called that may be labels."""


@register_source("hf_disk", validation=True)
def read_hf_disk(
    split: Split,
    *,
    root: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """Images of a folder that ``save_to_disk`` of Hugging Face's `datasets` wrote, of one split or of several.

    Of several, ``test`` is for testing, and ``val``, ``valid`` or ``validation``, the first that is there, for
    validation, and for testing too if there is no ``test``; of one, a fifth of the images is for testing, by a hash of
    their number. Pictures become images as those of `image_folder` do.

    Args:
        split: ``"train"``, ``"test"`` or ``"validation"``.
        root: the folder.
        image_column: the column of the images; left out, the first that holds images.
        label_column: the column of the labels; left out, the first that has classes, or label, labels, class,
            fine_label; - for none; A,B for both as one class; A:WORD for whether WORD is among the labels of A.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images, up to 64: 3 makes pictures RGB and 1 grey, any other number must be in the files.
        background: the colour of what transparent pictures lie on, such as ``black`` or ``#808080``.
        skip_bad: whether to go on without images that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded, so that no later command decodes them; they are read
            from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if the folder does not exist or the split has no images.
        BadFilesError: if images cannot be read, or have other channels; lists all of them.
        ValueError: if no folder is named, it holds no such data set, it is not known which columns are meant, a label
            is neither a number nor a word, there are several, or an option is out of its range.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if datasets is not installed, or what an image needs.
    """
    if root is None:
        raise ValueError("hf_disk needs the folder that save_to_disk wrote; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    parts = _parts(base)
    columns = next(iter(parts.values())).features
    images = _image_column(columns, base, image_column)
    chosen = [
        (part, number)
        for belongs, part in parts.items()
        for number in range(len(part))
        if (belongs or split_of(PurePosixPath(str(number)))) == split
    ]
    if not chosen:
        raise FileNotFoundError(f"{base} has no images for split={split!r}. Save a DatasetDict that has this split.")
    labels, classes = _labels(parts, base, _label_column(columns, images, label_column))
    undecoded = {id(part): _undecoded(part, images) for part in parts.values()}
    places = []
    for part, number in chosen:
        rows, version = undecoded[id(part)]
        places.append(Row(base, rows, number, version))
    listed = Listed(
        f"hf_disk:{base.resolve().name}",
        base,
        places,
        [labels[id(part)][number] for part, number in chosen] if classes else [-1] * len(chosen),
        classes,
    )
    return read_listed(
        listed,
        size=size,
        channels=channels,
        background=background,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Row(Place):
    """A picture that is a row of a data set of the library.

    Args:
        rows: the data set, with the undecoded images as its only column.
        number: of the row.
        version: what another content of the data set changes.
    """

    rows: Any
    number: int
    version: str

    @property
    def path(self) -> Path:
        """What sentences call it."""
        return self.file / f"row {self.number}"

    def content(self) -> bytes:
        """What a file of this picture alone holds: that of the row, or of the file that it names.

        Raises:
            OSError: if such a file cannot be read.
            ValueError: if the row is empty.
        """
        (cell,) = self.rows[self.number].values()
        content, path = (cell or {}).get("bytes"), (cell or {}).get("path")
        if content is not None:
            return bytes(content)
        if path is None:
            raise ValueError("it is empty")
        return read_regular(path)

    def mark(self, root: Path) -> str:
        """The row, and what another content of the data set changes."""
        return f"{within(self.file, root)}\0{self.number}\0{self.version}"


def _parts(base: Path) -> dict[Split | None, Any]:
    """The data set of each split, or of all together, undecoded.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no data set, or none of a split.
        ModuleNotFoundError: if datasets is not installed.
    """
    if not base.is_dir():
        raise FileNotFoundError(
            f"hf_disk reads a folder that save_to_disk wrote; {base} is none. Name it by root= (--root)."
        )
    library = optional("datasets", "a data set of Hugging Face")
    try:
        found = library.load_from_disk(str(base.resolve()))
    except Exception as error:  # of many kinds
        raise ValueError(
            f"{base} cannot be read as a data set of Hugging Face on the disk ({reason_of(error)}). Write it anew with "
            "save_to_disk."
        ) from error
    if not isinstance(found, library.DatasetDict):
        return {None: found}
    parts: dict[Split | None, Any] = {split: found[name] for split, name in named_splits(found).items()}
    if not parts:
        raise ValueError(f"{base} has the splits {', '.join(found)}, and none of train and test. Rename them.")
    return parts


def _image_column(columns: Any, base: Path, named: str | None) -> str:  # noqa: ANN401 (no annotations)
    """The name of the column of the images.

    Raises:
        ValueError: if there is none.
    """
    kinds = {name: type(feature).__name__ for name, feature in columns.items()}
    found = named or next((name for name, kind in kinds.items() if kind == "Image"), None)
    if found is None or kinds.get(found) != "Image":
        told = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise ValueError(
            f"{base} must have a column of images{f' {named!r}' if named else ''}; it has {told}. Name one by "
            "image_column= (--image-column), or cast it to datasets.Image."
        )
    return found


def _label_column(columns: Any, images: str, named: str | None) -> str | None:  # noqa: ANN401 (no annotations)
    """The name of the column of the labels, or the word for several; None if there are none."""
    if named is not None:
        return None if named == NONE else named
    marked = [name for name, feature in columns.items() if type(feature).__name__ == "ClassLabel"]
    return next(iter([*marked, *(name for name in LABELS if name in columns and name != images)]), None)


def _labels(
    parts: dict[Split | None, Any], base: Path, column: str | None
) -> tuple[dict[int, list[int]], tuple[str, ...]]:
    """The number of the class of each image of each part, by the part's identity, and the classes of all parts.

    Raises:
        ValueError: if labels are neither numbers nor words, or there is no such column.
    """
    if column is None:
        return {}, ()
    columns = next(iter(parts.values())).features
    given: list[Any]
    if column in columns and type(columns[column]).__name__ in PLAIN:
        given = [value for part in parts.values() for value in part[column]]
    else:  # of several columns, or of one with several labels an image
        names = [name for name, feature in columns.items() if type(_inner(feature)).__name__ in PLAIN]
        given = class_words(ReadWhenAsked(names, partial(_cells, parts)), base, (), column)
    wrong = [value for value in given if not isinstance(value, int | str)]
    if wrong:
        raise ValueError(
            f"labels of {base} must be numbers or words; got {shown(wrong[0])} in the column {column!r}. Name another "
            f"by label_column= (--label-column), or {NONE} for no labels."
        )
    if set(given) == {-1}:  # as Hugging Face marks those without
        return {}, ()
    named = getattr(columns[column], "names", None) if column in columns else None
    numbers, classes = numbered(given, named, str(base))
    found, start = {}, 0
    for part in parts.values():
        found[id(part)] = numbers[start : start + len(part)]
        start += len(part)
    return found, classes


def _cells(parts: dict[Split | None, Any], column: str) -> list[Cell]:
    """What a column says of each image of all parts: the names of classes, or words and numbers.

    Raises:
        ValueError: if it holds other things.
    """

    def cell(value: Any) -> Cell:  # noqa: ANN401
        if isinstance(value, list):
            return tuple(str(cell(one)) for one in value)
        if not isinstance(value, int | str | None):
            raise ValueError(
                f"labels must be numbers or words, or lists of them; got {shown(value)} in the column {column!r}. Name "
                "another by label_column= (--label-column)."
            )
        if value is None or (names and value == -1):
            return ""
        return str(names[value] if names and isinstance(value, int) else value)

    names = getattr(_inner(next(iter(parts.values())).features[column]), "names", None)
    return [cell(value) for part in parts.values() for value in part[column]]


def _inner(feature: Any) -> Any:  # noqa: ANN401
    """What a column holds, or the lists in it."""
    return feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)


def _undecoded(part: Any, column: str) -> tuple[Any, str]:  # noqa: ANN401 (no annotations)
    """A data set of the images alone, as the contents of their files or their paths, and what tells it from others.

    That is the library's fingerprint, and when its files were changed last.
    """
    image = optional("datasets", "a data set of Hugging Face").Image(decode=False)
    times = sorted(os.stat(file["filename"]).st_mtime_ns for file in part.cache_files)
    return part.select_columns([column]).cast_column(column, image), f"{part._fingerprint} {times}"
