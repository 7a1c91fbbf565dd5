"""A table of paths and labels, CSV or Parquet, and the images that it names."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from eqmodels.data.classes import numbered
from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import SPLITS, split_of
from eqmodels.data.places import Listed, Place
from eqmodels.data.planes import optional
from eqmodels.data.registry import Split, register_source
from eqmodels.data.source import Source
from eqmodels.storage import open_regular, reason_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["read_table"]

PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
"""What the column of the paths is called, the first that is there."""

LABELS = ("label", "class")
"""What the column of the labels is called, if there are other columns beside it."""

SPLIT = "split"
"""What the column of the splits is called."""

NONE = "-"
"""What is said for a column to have no labels."""

NO_CELLS = ("binary", "dictionary<values=binary", "fixed_size", "large_binary", "large_list", "list", "map", "struct")
"""How the types of columns of Parquet begin that hold neither paths nor labels."""

Columns = Mapping[str, Sequence[str]]


@register_source("table")
def read_table(
    split: Split,
    *,
    root: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """Images that a table names, a row an image: ``.csv`` or ``.tsv`` with a line of names, or ``.parquet``.

    Paths are relative to the folder of the table. A column ``split`` says ``train`` or ``test`` (or ``val``, ``valid``,
    ``validation``, of which the first that occurs is for testing); without one a fifth of the images are for testing,
    by a hash of the path, so that a new row moves no other. All splits number the classes of the whole table: numbers
    by their size, words by the alphabet. Pictures become images as those of `image_folder` do.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the table.
        path_column: the column of the paths; left out, the first of path, file, filename, file_name, filepath, image,
            image_path.
        label_column: the column of the labels; left out, label or class, or the only one beside paths and splits; - for
            none.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images, up to 64: 3 makes pictures RGB and 1 grey, any other number must be in the files.
        background: the colour of what transparent pictures lie on, such as ``black`` or ``#808080``.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded, so that no later command decodes them; they are read
            from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if the table does not exist or the split has no images.
        BadFilesError: if files are missing, no images that can be read, or have other channels; lists all of them.
        ValueError: if no table is named, it cannot be read, it is not known which columns are meant, a cell is empty or
            no split, `size` is below 1, `channels` below 1 or above 64, `background` no colour,
            `workers` below 0, or the sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if a package is not installed: pyarrow for Parquet, or what a file needs.
    """
    if root is None:
        raise ValueError("table needs a table of images, .csv or .parquet; got none. Name it by root= (--root).")
    file = Path(root).expanduser()
    rows = _rows(_columns(file), file, path_column, label_column)
    chosen = [number for number, one in enumerate(rows.splits) if one == split]
    if not chosen:
        raise FileNotFoundError(
            f"{file} has no images for split={split!r}. Add rows, five or more, or rows with this word in a column "
            "'split'."
        )
    labels, classes = numbered(rows.labels, None, str(file)) if rows.labels else ([-1] * len(rows.paths), ())
    places = [Place(file.parent / rows.paths[number]) for number in chosen]
    return read_listed(
        Listed(f"table:{file.stem}", file, places, [labels[number] for number in chosen], classes),
        size=size,
        channels=channels,
        background=background,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )


@dataclass(frozen=True)
class _Rows:
    """What is read of a table: of each image its path, its split, and its label if there are any."""

    paths: Sequence[str]
    splits: Sequence[Split | None]
    labels: Sequence[str]


def _rows(columns: Columns, file: Path, path_column: str | None, label_column: str | None) -> _Rows:
    """The columns that are meant.

    Raises:
        ValueError: if it is not known which, or a cell of them is empty or no split.
    """
    paths = path_column or next((name for name in PATHS if name in columns), None)
    if paths is None or paths not in columns:
        wanted = "column of paths" if paths is None else f"column {paths!r}"
        raise ValueError(f"{file} has no {wanted} among {_listed(columns)}. Name it by path_column= (--path-column).")
    labels = _label_column(columns, file, {paths, SPLIT}, label_column)
    for name in filter(None, (paths, labels)):
        _check_cells(columns[name], name, file)
    splits: list[Split | None]
    if SPLIT in columns:
        splits = _splits(columns[SPLIT], file)
    else:
        splits = [split_of(PurePosixPath(path)) for path in columns[paths]]
    return _Rows(columns[paths], splits, columns[labels] if labels else ())


def _label_column(columns: Columns, file: Path, others: set[str], named: str | None) -> str | None:
    """The name of the column of the labels; None if there are none."""
    if named == NONE:
        return None
    if named is not None:
        if named not in columns:
            raise ValueError(
                f"{file} has no column {named!r} among {_listed(columns)}. Name another by label_column= "
                "(--label-column)."
            )
        return named
    rest = [name for name in columns if name not in others]
    known = [name for name in rest if name in LABELS]
    if len(known) == 1 or len(rest) == 1:
        return (known or rest)[0]
    if rest:
        raise ValueError(
            f"{file} has several columns that may be labels, {_listed(rest)}. Name one by label_column= "
            f"(--label-column), or {NONE} for no labels."
        )
    return None


def _check_cells(cells: Sequence[str], name: str, file: Path) -> None:
    empty = next((number for number, cell in enumerate(cells, start=1) if not cell.strip()), None)
    if empty is not None:
        raise ValueError(
            f"every row of {file} must have a value in the column {name!r}; image {empty} has none. Fill it in, or "
            "leave the row out."
        )


def _splits(cells: Sequence[str], file: Path) -> list[Split | None]:
    """The split of each row; None for those of a second split for testing."""
    words = [cell.strip().lower() for cell in cells]
    unknown = next(((number, word) for number, word in enumerate(words, start=1) if word not in SPLITS), None)
    if unknown is not None:
        raise ValueError(
            f"the column 'split' of {file} must say {', '.join(SPLITS)}; image {unknown[0]} says {unknown[1]!r}. "
            "Change it, or leave the column out."
        )
    tested = next((word for word in SPLITS if SPLITS[word] == "test" and word in words), None)
    return ["train" if word == "train" else "test" if word == tested else None for word in words]


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    shown = ", ".join(list(names)[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "none"


def _columns(file: Path) -> Columns:
    """The cells of every column, as words; empty where there is nothing.

    Raises:
        FileNotFoundError: if the table does not exist.
        ValueError: if it cannot be read, or its name has another ending.
    """
    if not file.exists():
        raise FileNotFoundError(f"table reads {file}, which does not exist. Name a table by root= (--root).")
    ending = file.suffix.lower()
    if ending not in (".csv", ".tsv", ".parquet"):
        raise ValueError(f"table reads .csv, .tsv and .parquet; got {file}. Name such a table by root= (--root).")
    try:
        return _parquet(file) if ending == ".parquet" else _separated(file)
    except (OSError, ValueError, NotImplementedError, csv.Error) as error:  # pyarrow's are of these kinds
        raise ValueError(f"{file} cannot be read as a table ({reason_of(error)}). Write it anew.") from error


def _separated(file: Path) -> Columns:
    """Columns of a table of text."""
    with open_regular(file) as stream:
        lines = _text(stream.read()).splitlines(keepends=True)
    if not lines:
        raise ValueError("it is empty")
    marks = "\t" if file.suffix.lower() == ".tsv" else ",;\t"
    mark = max(marks, key=lines[0].count)  # of equally many the first, a comma
    filled = [row for row in csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True) if row]
    if not filled:
        raise ValueError("it is empty")
    names, *rows = filled
    names = [name.strip() for name in names]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have one name")
    wrong = next((number for number, row in enumerate(rows, start=2) if len(row) != len(names)), None)
    if wrong is not None:
        raise ValueError(f"row {wrong} has {len(rows[wrong - 2])} cells, and the first one {len(names)}")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in names}


def _text(content: bytes) -> str:
    """The text of a table.

    Raises:
        ValueError: if it is of another encoding than UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8: save it so, in a spreadsheet as 'CSV UTF-8'") from error


def _parquet(file: Path) -> Columns:
    """Columns of a table of pyarrow."""
    parquet = optional("pyarrow.parquet", "a table of Parquet")
    with open_regular(file) as stream:
        table = parquet.read_table(stream)
    plain = [field.name for field in table.schema if not str(field.type).startswith(NO_CELLS)]
    found = table.select(plain).to_pydict()
    wrong = [field for field in table.schema if field.name in LABELS and field.name not in plain]
    if wrong:
        raise ValueError(
            f"its column {wrong[0].name!r} is of {wrong[0].type}, and one label a row is read; write a word or a "
            "number, or give the column another name"
        )

    def word(cell: object) -> str:
        """What is in a cell; nothing of a float that is no number."""
        return "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)

    return {name: [word(cell) for cell in cells] for name, cells in found.items()}
