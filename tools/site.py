"""What MkDocs is told of this repository: its front page is README in short, and links out of ``docs`` lead somewhere.

MkDocs calls the functions ``on_...`` of this file (``hooks`` in mkdocs.yml). A file that a page links to and that lies
outside of ``docs`` becomes a part of the site, below ``repository``; a folder is named, and not linked.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "eqmodels"
FRONT = ("Your own pictures", "What equivariance buys", "Two commands", "Your own parts")
"""The sections of README that are the front page, with what stands before all of them."""
OWN_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
OWN_PAGES |= {"SECURITY.md": "security.md"}
"""Documents at the root of the repository that are pages of the site."""
INTERNAL = ("cli", "processes", "remote", "studies")
"""Packages that are no part of the reference: what commands and other packages are made of."""
OUTSIDE = "repository"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
"""Code, in which nothing is a link."""

Place = str
"""A path in the repository, with slashes."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the pages of the reference, before the last part of the list of pages."""
    assert config.nav is not None
    config.nav.insert(-1, {"Reference": [f"reference/{name}.md" for name in reference()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that no file of ``docs`` is: the documents at the root, the reference, and what they link to."""
    from mkdocs.structure.files import File

    for name, uri in OWN_PAGES.items():
        files.append(File.generated(config, uri, content=document(name)))
    for name in reference():
        files.append(File.generated(config, f"reference/{name}.md", content=f"# {name}\n\n::: {name}\n"))
    for place in linked():
        files.append(File.generated(config, f"{OUTSIDE}/{place}", abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """The page with its links as the site has them."""
    uri = page.file.src_uri
    return moved(markdown, origin(uri), uri)


def on_post_build(config: MkDocsConfig) -> None:
    """Removes what is for servers that name it, and has absolute links."""
    (Path(config.site_dir) / "404.html").unlink()


def document(name: Place) -> str:
    """A document of the root of the repository; of README its front page."""
    text = (ROOT / name).read_text("utf-8")
    if name != "README.md":
        return text
    before, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    chosen = [one for one in sections if one.removeprefix("## ").partition("\n")[0] in FRONT]
    if len(chosen) != len(FRONT):
        raise ValueError(f"README.md must have the sections {', '.join(FRONT)}; {len(chosen)} of them are there.")
    return before + "".join(chosen)


def reference() -> list[str]:
    """The packages and modules whose public names are described, in the order of their names."""
    packages = {file.parent.name for file in PACKAGE.glob("*/__init__.py")} | {"errors", "registry", "sklearn"}
    return ["eqmodels", *(f"eqmodels.{name}" for name in sorted(packages - set(INTERNAL)))]


def origin(uri: str) -> Place:
    """Where in the repository a page of the site comes from."""
    for place, own in OWN_PAGES.items():
        if own == uri:
            return place
    return uri.removeprefix(f"{OUTSIDE}/") if uri.startswith(f"{OUTSIDE}/") else f"docs/{uri}"


def target(place: Place) -> str | None:
    """Where a file of the repository is in the site; None for what is there and no part of it, as folders."""
    if place in OWN_PAGES:
        return OWN_PAGES[place]
    if place.startswith("docs/") and place.endswith(".md"):
        return place.removeprefix("docs/")
    return f"{OUTSIDE}/{place}" if (ROOT / place).is_file() else None


def moved(markdown: str, place: Place, uri: str) -> str:
    """Links of a document, as they are from its page.

    Args:
        markdown: the document.
        place: of the document in the repository.
        uri: of its page.
    """

    def rewritten(match: re.Match[str]) -> str:
        shown, words, link, anchor = match[1], match[2], match[3], match[4] or ""
        if "://" in link or link.startswith("mailto:"):
            return match[0]
        there = joined(place, link)
        found = target(there)
        if found is None and (ROOT / there).is_dir():
            return words if "`" in words else f"`{words}`"
        if found is None:
            return match[0]  # a broken link, which MkDocs warns of
        return f"{shown}[{words}]({posixpath.relpath(found, posixpath.dirname(uri) or '.')}{anchor})"

    return outside_code(markdown, lambda part: LINK.sub(rewritten, part))


def joined(place: Place, link: str) -> Place:
    """The place that a link in a document leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """A document of which all but code is changed; the words of a link may be code."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(BLOCK.split(markdown)))


def linked() -> list[Place]:
    """The files outside of ``docs`` that pages link to, those that these link to among them."""
    waiting = [*OWN_PAGES, *(file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "docs").rglob("*.md")))]
    seen: dict[Place, None] = dict.fromkeys(waiting)
    while waiting:
        for place in links_of(waiting.pop()):
            if place not in seen and (target(place) or "").startswith(f"{OUTSIDE}/"):
                seen[place] = None
                waiting += [place] if place.endswith(".md") else []
    return [place for place in seen if (target(place) or "").startswith(f"{OUTSIDE}/")]


def links_of(place: Place) -> Iterator[Place]:
    """What a document links to in the repository."""
    text = document(place) if place in OWN_PAGES else (ROOT / place).read_text("utf-8")
    prose = (part for number, part in enumerate(BLOCK.split(text)) if number % 2 == 0)
    found = (match[3] for part in prose for match in LINK.finditer(part))
    yield from (joined(place, link) for link in found if "://" not in link)
