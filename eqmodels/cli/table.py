"""Numbers in aligned columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["percent", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as text: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def percent(fraction: float | None) -> str:
    """A fraction in per cent, ``84.8``; a dash for a number that was not measured."""
    return "-" if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f}"
