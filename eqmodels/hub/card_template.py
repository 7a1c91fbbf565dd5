"""The templates of cards, into which words of files and folders go as words, and never as Markdown."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from eqmodels.storage import for_markdown

__all__ = ["Markdown", "card_template"]


class Markdown(str):
    """Markdown of our own, which a template takes as it is."""


def card_template(name: str) -> jinja2.Template:
    """The template of a file of this package.

    Args:
        name: of the file.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_harmless
    )
    return environment.from_string((files("eqmodels.hub") / name).read_text("utf-8"))


def _harmless(value: object) -> object:
    """What the template puts into the card: words of files and folders, whatever holds them, are no Markdown."""
    return value if isinstance(value, Markdown | int | float) else for_markdown(str(value))
