"""Cards in Markdown as HTML, by a library that is optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown import Markdown

__all__ = ["markdown_converter"]


def markdown_converter() -> Markdown:
    """What turns a card into HTML, with tables and fenced code.

    Raises:
        ModuleNotFoundError: if Markdown is not installed.
    """
    try:
        from markdown import Markdown
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a card is shown by Markdown, which is not installed; run: pip install markdown", name="markdown"
        ) from error
    return Markdown(extensions=["tables", "fenced_code"])
