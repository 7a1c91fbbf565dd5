"""A repository's card and picture as people will see them, on one page of HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from eqmodels.hub.picture import PICTURE
from eqmodels.reports.markdown import markdown_converter

__all__ = ["preview_page"]

STYLE = """
body { font: 16px/1.6 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
pre { background: #f4f4f4; padding: .7rem; overflow-x: auto; font-size: .85rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .85rem; }
td, th { border: 1px solid #ddd; padding: .2rem .6rem; }
img { max-width: 100%; }
"""


def preview_page(card: str, files: Mapping[str, bytes]) -> str:
    """The card as HTML, with its metadata above it and the picture inside, so that the page is one file.

    Args:
        card: in Markdown, with metadata between two lines of dashes at its start.
        files: of the repository, by name.

    Raises:
        ModuleNotFoundError: if Markdown is not installed.
    """
    converter = markdown_converter()
    _, metadata, text = card.split("---\n", maxsplit=2)
    body = converter.convert(text)
    picture = base64.b64encode(files[PICTURE]).decode()
    body = body.replace(f'src="{PICTURE}"', f'src="data:image/png;base64,{picture}"')
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{len(content):,}</td></tr>" for name, content in files.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Card</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<details><summary>Metadata for the Hub</summary><pre>{escape(metadata)}</pre></details>\n"
        f"{body}\n<h2>Files</h2>\n<table><tr><th>file</th><th>bytes</th></tr>{rows}</table>\n</body>\n</html>\n"
    )
