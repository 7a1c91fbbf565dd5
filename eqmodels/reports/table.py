"""A table of words, once, and how it looks in a terminal, in Markdown and in a file of values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.storage import for_markdown

__all__ = ["Table"]

Row = Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, and its rows as text. Pages show the same rows by their templates.

    Attributes:
        header: the names of the columns.
        rows: a cell a column each.
        title: what stands above it, if anything does.
        left: columns, from the first on, that are aligned to the left; the others are to the right.

    Raises:
        TypeError: if header or rows are not words.
        ValueError: if a row has not as many cells as there are columns.
    """

    header: Row
    rows: Sequence[Row]
    title: str = ""
    left: int = 1

    def __post_init__(self) -> None:
        check_arguments(Table, vars(self))
        for row in (self.header, *self.rows):
            if not isinstance(row, list | tuple) or not all(isinstance(word, str) for word in row):
                raise TypeError(f"rows must be lists of words; got {shown(row)}. Pass the text of every cell.")
            if len(row) != len(self.header):
                raise ValueError(
                    f"rows must have a cell for each of {len(self.header)} columns of the header; got {len(row)} in "
                    f"{shown(row)}. Pass '' where there is nothing."
                )

    def text(self) -> str:
        """The table in aligned columns, without its title."""
        widths = [max(len(row[column]) for row in (self.header, *self.rows)) for column in range(len(self.header))]
        lines = [self.header, ["-" * width for width in widths], *self.rows]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < self.left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self, *, as_it_is: bool = False) -> str:
        """The table in Markdown, without its title.

        Args:
            as_it_is: whether cells are Markdown themselves; otherwise they are words that do nothing there.

        Raises:
            TypeError: if an argument is of another type.
        """
        check_arguments(Table.markdown, {"as_it_is": as_it_is})
        rows = self.rows if as_it_is else [[for_markdown(cell) for cell in row] for row in self.rows]
        ruler = ["---" if column < self.left else "---:" for column in range(len(self.header))]
        return "\n".join("| " + " | ".join(line) + " |" for line in (self.header, ruler, *rows))

    def csv(self) -> str:
        """The table as comma-separated values, its header first."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.header, *self.rows])
        return stream.getvalue()
