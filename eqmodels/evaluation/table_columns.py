"""Columns of a table of pictures, as they are written beside the features of these."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["OWN", "Cell", "check_columns", "rows_of", "typed"]

Cell = str | tuple[str, ...]
"""A word, empty where there is nothing; or the words of a list."""

OWN = ("paths", "features", "field", "pose", "confidence")
"""What a file of features calls its own columns; another one of such a name has ``label_`` before it."""

WHOLE, NUMBER = re.compile(r"0|-?[1-9]\d{0,17}"), re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
"""Numbers as numbers are written; ``007`` is a word."""


def check_columns(columns: Mapping[str, Sequence[Cell]], count: int) -> None:
    """Refuses columns that do not have a cell for each picture.

    Raises:
        ValueError: if one has more or fewer.
    """
    wrong = next(((name, len(cells)) for name, cells in columns.items() if len(cells) != count), None)
    if wrong is not None:
        raise ValueError(
            f"columns must have a cell for each of {count} paths; got {wrong[1]} in {wrong[0]!r}. Pass '' where there "
            "is nothing."
        )


def rows_of(columns: Mapping[str, Sequence[Cell]], numbers: Sequence[int]) -> dict[str, Any]:
    """The columns of such rows, by the names that they have in a file, ready to be written.

    Args:
        columns: of all pictures.
        numbers: of the pictures that are written.
    """
    chosen = {name: [cells[number] for number in numbers] for name, cells in columns.items()}
    return {f"label_{name}" if name in OWN else name: typed(cells) for name, cells in chosen.items()}


def typed(cells: Sequence[Cell]) -> Any:  # noqa: ANN401 (an array of numpy, or a list of lists)
    """Numbers where all words are numbers, with NaN for those that are missing; words; or lists of words."""
    if any(isinstance(cell, tuple) for cell in cells):
        return [list(cell) if isinstance(cell, tuple) else [cell] for cell in cells]
    words = [str(cell).strip() for cell in cells]
    there = [word for word in words if word]
    if there and all(map(WHOLE.fullmatch, there)) and len(there) == len(words):
        return np.array(list(map(int, words)))
    if there and all(map(NUMBER.fullmatch, there)):
        return np.array([float(word) if word else np.nan for word in words])
    return np.array(words)
