"""Sections of a document that commands write: between ``<!-- NAME: written by `COMMAND` -->`` and its end."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["read_section", "write_section"]


def read_section(file: Path, name: str) -> str:
    """What stands between the marks of a section; an `IndexError` if there is none."""
    found = _marked(name).findall(file.read_text())
    return str(found[0][1]).strip()


def write_section(file: Path, name: str, text: str) -> None:
    """Replaces what stands between the marks of a section.

    Raises:
        ValueError: if the file has no such section.
    """
    content, found = _marked(name).subn(lambda match: f"{match[1]}{text}\n{match[3]}", file.read_text())
    if found != 1:
        raise ValueError(f"{file} must have one section {name!r}; it has {found}. Put its marks where it is to stand.")
    file.write_text(content)


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: .*? -->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)
