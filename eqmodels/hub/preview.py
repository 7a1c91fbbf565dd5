"""A repository's card and picture as people will see them, on one page of HTML."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from eqmodels.hub.picture import PICTURE
from eqmodels.reports.figures import as_address
from eqmodels.reports.markdown import markdown_converter
from eqmodels.reports.pages import rendered

__all__ = ["preview_page"]


def preview_page(card: str, files: Mapping[str, bytes]) -> str:
    """The card as HTML, with its metadata above it and the picture inside, so that the page is one file.

    Args:
        card: in Markdown, with metadata between two lines of dashes at its start.
        files: of the repository, by name.

    Raises:
        ModuleNotFoundError: if Markdown is not installed.
    """
    _, metadata, text = card.split("---\n", maxsplit=2)
    body = markdown_converter().convert(text).replace(f'src="{PICTURE}"', f'src="{as_address(files[PICTURE])}"')
    # Cards are written by this package, from checked words of the network's folder.
    return rendered("preview.html.j2", "eqmodels.hub", metadata=metadata, card=Markup(body), files=files)
