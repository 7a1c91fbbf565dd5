"""Which columns of a table are labels, and what is the class of each image.

Nobody needs to say it where there is one such column. Else a word does: the name of a column; the names of several,
whose values make one class together; ``COLUMN:LABEL``, where an image may have several labels, for the classes of those
that have this one and of those that have not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqmodels.data.table_file import Cell, Columns

__all__ = ["NONE", "class_words", "label_counts", "labels_in", "listed"]

LABELS = ("label", "class")
"""What the column of the labels is called, if there are other columns beside it."""

NONE = "-"
"""What is said for a column to have no labels."""

BETWEEN = re.compile(r"[;|,]")
"""What is between several labels in a cell of text."""

NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")

JOINED = " / "
"""What is between the values of several columns that are one class."""


def class_words(columns: Columns, file: Path, others: Collection[str], named: str | None) -> list[str]:
    """The class of each image, as a word; an empty list if they have none.

    Args:
        columns: of the table.
        file: for sentences.
        others: the columns of paths and splits.
        named: what is to be the class, see above; None for the column that is called label or class, or the only one.

    Raises:
        ValueError: if there is no such column or label, it is not known which is meant, a cell is empty, or has several
            labels.
    """
    parts = _parts(columns, file, others, named)
    words = [_words(columns, file, *part) for part in parts]
    return [JOINED.join(row) for row in zip(*words, strict=True)]


def _parts(columns: Columns, file: Path, others: Collection[str], named: str | None) -> list[tuple[str, str | None]]:
    """The columns that make the class, each with the label that is asked for if it is not the column itself."""
    if named == NONE:
        return []
    if named is not None:
        # A name may have a comma or a colon in it.
        return [_part(columns, file, word) for word in ([named] if named in columns else named.split(","))]
    rest = [name for name, cells in columns.items() if name not in others and not _has_lists(cells)]
    known = [name for name in columns if name not in others and name in LABELS]
    if len(known) == 1 or len(rest) == 1:
        return [((known or rest)[0], None)]
    if rest:
        raise ValueError(
            f"{file} has several columns that may be labels, {listed(rest)}. Name one by label_column= "
            f"(--label-column), or {NONE} for no labels, or several that are one class: {','.join(rest[:2])}."
        )
    return []


def _part(columns: Columns, file: Path, word: str) -> tuple[str, str | None]:
    name = word.strip()
    if name in columns:
        return name, None
    for mark in re.finditer(":", name):
        if (column := name[: mark.start()]) in columns:
            return column, name[mark.end() :].strip()
    raise ValueError(
        f"{file} has no column {name!r} among {listed(columns)}. Name another by label_column= (--label-column)."
    )


def _words(columns: Columns, file: Path, name: str, label: str | None) -> list[str]:
    """What a column, or one of the labels in it, says of each image."""
    cells = columns[name]
    if label is not None:
        known = _counted(map(labels_in, cells))
        if label not in known:
            raise ValueError(
                f"the column {name!r} of {file} has the labels {listed(known)}; got {label!r}. Name one of them by "
                f"label_column={name}:LABEL (--label-column {name}:LABEL)."
            )
        return [label if label in labels_in(cell) else f"no {label}" for cell in cells]
    most = max((len(cell) for cell in cells if isinstance(cell, tuple)), default=0)
    if most > 1:
        example = next(iter(label_counts(cells)))
        raise ValueError(
            f"the column {name!r} of {file} has up to {most} labels an image, and an image is of one class. Name a "
            f"label that an image has or has not, such as label_column={name}:{example} (--label-column "
            f"{name}:{example}), another column, or {NONE} for no labels."
        )
    words = [cell if isinstance(cell, str) else "".join(cell) for cell in cells]
    empty = next((number for number, word in enumerate(words, start=1) if not word.strip()), None)
    if empty is not None:
        raise ValueError(
            f"every row of {file} must have a value in the column {name!r}; image {empty} has none. Fill it in, or "
            "leave the row out."
        )
    return words


def _has_lists(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, tuple) for cell in cells)


def labels_in(cell: Cell) -> tuple[str, ...]:
    """The labels in a cell: those of a list, or what is between commas, semicolons or upright strokes."""
    words: Iterable[str] = cell if isinstance(cell, tuple) else BETWEEN.split(cell)
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))


def label_counts(cells: Sequence[Cell]) -> dict[str, int]:
    """How many images have each label of a column, the most frequent first.

    Cells of text are taken for several labels where that makes fewer different ones: ``cat``, ``dog`` and ``cat;dog``
    are two, and ``Acer, Mill.`` is one.
    """
    apart = _counted(map(labels_in, cells))
    if _has_lists(cells):
        return apart
    whole = _counted((str(cell).strip(),) if str(cell).strip() else () for cell in cells)
    are_numbers = all(NUMBER.fullmatch(word) for word in whole)  # with a comma in them
    return apart if len(apart) < len(whole) and not are_numbers else whole


def _counted(rows: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(label for row in rows for label in row).most_common())


def listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    """Names in a sentence: the first ten, and how many more there are."""
    shown = ", ".join(list(names)[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "none"
