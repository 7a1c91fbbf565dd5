"""Words of files and folders where they could act: in Markdown and in a picture."""

from __future__ import annotations

from eqmodels.arguments import check_arguments
from eqmodels.storage.errors import printable

__all__ = ["for_markdown", "for_picture"]

_LOOK_ALIKE = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "`": "'", "|": "/", "\\": "/"})
"""Signs that make tags, links, code, cells and escapes in Markdown, and what is written instead of them, as inside code
nothing can be escaped."""


def for_markdown(words: str) -> str:
    """Words for any place in Markdown, also inside code or a table: one line, without tags, links and code.

    Raises:
        TypeError: if an argument is of another type.

    Example:
        >>> for_markdown("[a](javascript:b) <script>" + chr(10) + "# c")
        '(a)(javascript:b) (script) # c'
    """
    check_arguments(for_markdown, locals())
    return printable(" ".join(words.split())).translate(_LOOK_ALIKE)


def for_picture(words: str) -> str:
    """Words for a picture of matplotlib, which takes what is between two dollars for a formula.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(for_picture, locals())
    return printable(" ".join(words.split())).replace("$", r"\$")
