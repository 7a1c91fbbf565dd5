"""The cells of a table in a file: CSV, what is separated by tabs, or Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqmodels.data.planes import optional
from eqmodels.storage import open_regular, reason_of

__all__ = ["ENDINGS", "Cell", "Columns", "ReadWhenAsked", "is_table", "read_columns"]

ENDINGS = (".csv", ".tsv", ".parquet")
"""Of the names of tables, in lower case."""

Cell = str | tuple[str, ...]
"""A word, empty where there is nothing; or the words of a list."""

Columns = Mapping[str, Sequence[Cell]]


class ReadWhenAsked(Mapping[str, Sequence[Cell]]):
    """Columns, of each of which the cells are read whenever they are asked for.

    Args:
        names: of all.
        read: gives the cells of one.
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], Sequence[Cell]]) -> None:
        self._names, self._read = dict.fromkeys(names), read

    def __getitem__(self, name: str) -> Sequence[Cell]:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def is_table(place: Path) -> bool:
    """Whether a file is a table, by its name."""
    return place.suffix.lower() in ENDINGS and not place.is_dir()


def read_columns(file: Path) -> Columns:
    """The cells of every column, by its name.

    Raises:
        FileNotFoundError: if the table does not exist.
        ValueError: if it cannot be read, or its name has another ending.
    """
    if not file.exists():
        raise FileNotFoundError(f"table reads {file}, which does not exist. Name a table by root= (--root).")
    ending = file.suffix.lower()
    if ending not in ENDINGS:
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
    """Columns of a table of pyarrow, of words, numbers, or lists of them; others are left out."""
    parquet = optional("pyarrow.parquet", "a table of Parquet")
    types = optional("pyarrow.types", "a table of Parquet")
    with open_regular(file) as stream:
        table = parquet.read_table(stream)

    def is_plain(kind: Any) -> bool:  # noqa: ANN401 (of pyarrow)
        if types.is_dictionary(kind):
            return is_plain(kind.value_type)
        return not (types.is_nested(kind) or "binary" in str(kind))

    def is_known(kind: Any) -> bool:  # noqa: ANN401
        is_list = types.is_list(kind) or types.is_large_list(kind)
        # Lists of fractions are features of something, no labels.
        return is_plain(kind) or (is_list and is_plain(kind.value_type) and not types.is_floating(kind.value_type))

    known = [field.name for field in table.schema if is_known(field.type)]
    if wrong := [field for field in table.schema if field.name in ("label", "class") and field.name not in known]:
        raise ValueError(
            f"its column {wrong[0].name!r} is of {wrong[0].type}, and labels are words, numbers or lists of them; "
            "write such, or give the column another name"
        )
    return {name: [_cell(value) for value in cells] for name, cells in table.select(known).to_pydict().items()}


def _cell(value: object) -> Cell:
    """What is in a cell; nothing of a float that is no number."""
    if isinstance(value, list):
        return tuple(str(one) for one in value if one is not None)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
