"""Checks a folder of pages: ``python -m tools.links build/site``; every link leads somewhere, and nothing is fetched.

Links within the site must lead to files and anchors that are there; what a page loads (scripts, styles, pictures)
must lie beside it, so that it is read without a network. Links to other sites are counted, not followed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Checked", "check_site"]

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""What is fetched to show a page, by tag."""
STYLED = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)")
TOP = ("", "top")
"""Anchors that every page has."""


class _Page(HTMLParser):
    """The links, anchors and loaded files of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag names."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        # What a page is called elsewhere is not loaded.
        elif tag in LOADED and LOADED[tag] in values and values.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(values[LOADED[tag]])


@dataclass
class Checked:
    """What was found.

    Attributes:
        pages: that were read.
        links: within the site.
        elsewhere: links to other sites.
        faults: what is wrong, a sentence each.
    """

    pages: int = 0
    links: int = 0
    elsewhere: int = 0
    faults: list[str] = field(default_factory=list)


@cache
def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text("utf-8"))
    return page


def check_site(folder: Path) -> Checked:
    """Every page and style sheet of a site."""
    found = Checked()
    for file in sorted(folder.rglob("*.html")):
        found.pages += 1
        for link in _read(file).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                found.elsewhere += 1
                continue
            found.links += 1
            found.faults += _faults(folder, file, link)
        found.faults += [fault for link in _read(file).loaded for fault in _loading_faults(folder, file, link)]
    for file in sorted(folder.rglob("*.css")):
        found.faults += [f"{file.relative_to(folder)} loads {url}" for url in STYLED.findall(file.read_text("utf-8"))]
    return found


def _faults(folder: Path, file: Path, link: str) -> Iterator[str]:
    """What is wrong with a link within the site."""
    parts, name = urlsplit(link), file.relative_to(folder)
    place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if place.is_dir():
        place /= "index.html"
    if not place.is_file():
        yield f"{name} links to {link}, which is not there"
    elif place.suffix == ".html" and unquote(parts.fragment) not in {*TOP, *_read(place).anchors}:
        yield f"{name} links to {link}, which has no such anchor"


def _loading_faults(folder: Path, file: Path, link: str) -> Iterator[str]:
    """What is wrong with what a page loads."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        yield f"{file.relative_to(folder)} loads {link}, for which it needs a network"
    elif not (file.parent / unquote(parts.path)).is_file():
        yield f"{file.relative_to(folder)} loads {link}, which is not there"


def main() -> int:
    """Prints what was found; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the site")
    found = check_site(parser.parse_args().folder)
    print("\n".join(found.faults) or "Every link leads somewhere, and no page loads anything from elsewhere.")
    print(f"{found.pages} pages, {found.links:,} links within the site, {found.elsewhere} to others (not followed)")
    return 1 if found.faults or not found.pages else 0


if __name__ == "__main__":
    raise SystemExit(main())
