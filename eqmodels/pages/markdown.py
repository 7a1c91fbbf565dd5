"""Markdown of cards as HTML that can do nothing."""

from __future__ import annotations

import re

from markupsafe import Markup

from eqmodels.reports.markdown import markdown_converter

__all__ = ["as_html"]

ADDRESS = re.compile(r'href="(?!https?:|#|mailto:)[^"]*"')
PICTURES = re.compile(r"!\[[^\]]*\]\([^)]*\)")
FIRST_TITLE = re.compile(r"^# .*$", re.MULTILINE)


def as_html(text: str) -> Markup:
    """The HTML of a card: tags in it are words, addresses lead to pages alone, and pictures beside it are left out.

    Its title is left out too, as it stands above, and the others are one level lower.

    Args:
        text: in Markdown.

    Raises:
        ModuleNotFoundError: if Markdown is not installed.
    """
    converter = markdown_converter()
    converter.preprocessors.deregister("html_block")
    for pattern in ("html", "image_link", "image_reference", "short_image_ref"):
        converter.inlinePatterns.deregister(pattern)
    body = converter.convert(PICTURES.sub("", FIRST_TITLE.sub("", text, count=1)))
    body = re.sub(r"<(/?)h2>", r"<\1h4>", body)
    body = body.replace(
        "<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table of the card"><table>'
    ).replace("</table>", "</table></div>")
    return Markup(ADDRESS.sub('href="#"', body))
