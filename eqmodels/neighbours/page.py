"""Pages of pictures that are like others: one file each, with small pictures inside, that any browser shows."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from torch import Tensor

from eqmodels.backbones.network import StagedNetwork
from eqmodels.data.pictures import Picture, open_picture
from eqmodels.data.showing import as_seen
from eqmodels.evaluation.reading import opened_for
from eqmodels.neighbours.comparing import MOVES
from eqmodels.neighbours.duplicates import Duplicates
from eqmodels.neighbours.index import Neighbour, NeighbourIndex
from eqmodels.reports.figures import as_address
from eqmodels.reports.pages import rendered

__all__ = ["Query", "asked", "duplicates_page", "neighbours_page"]

SIDE, QUALITY = 112, 75
"""Largest side of a small picture, in pixels, and the quality of its compression: 3 kB each."""

MOST_GROUPS = 200
"""Of duplicates, that a page shows."""

TURN = 1
"""The element of D4, a quarter turn anticlockwise, by which a query is turned."""

MIRROR = 4
"""The one that mirrors it from left to right."""

WAYS = {"upright": 0, "turned": TURN, "mirrored": MIRROR}


@dataclass(frozen=True)
class Query:
    """A picture with its neighbours.

    Attributes:
        path: of its file.
        neighbours: the nearest pictures, by how the query lies: ``"upright"``, ``"turned"`` by a quarter
            anticlockwise, and ``"mirrored"``; the file itself is left out.
    """

    path: str
    neighbours: Mapping[str, Sequence[Neighbour]]

    def agrees(self, way: str) -> bool:
        """Whether the query that lies this way has the same neighbours as the upright one, whatever their order."""
        found, upright = ({one.path for one in self.neighbours[name]} for name in (way, "upright"))
        return found == upright


def asked(index: NeighbourIndex, encoder: StagedNetwork, paths: Sequence[str], count: int) -> list[Query]:
    """The neighbours of the pictures in some files, as they are, turned, and mirrored.

    Raises:
        ValueError: if a file cannot be read, or does not suit the network; names it.
    """
    queries = []
    for path in paths:
        try:
            picture = opened_for(encoder)(Path(path))
            ways = [moved(picture, element) for element in WAYS.values()]
            found = index.neighbours(encoder, ways, min(count + 1, len(index.paths)))
        except ValueError as error:
            raise ValueError(f"{path} cannot be asked for: {error}") from error
        own = str(Path(path).resolve())
        others = [[one for one in row if str(Path(one.path).resolve()) != own][:count] for row in found]
        queries.append(Query(path, dict(zip(WAYS, others, strict=True))))
    return queries


def moved(picture: Picture, element: int) -> Picture:
    """A picture whose pixels were moved by an element of D4, as it would lie on the disk."""
    if isinstance(picture, Tensor):
        turned: Tensor = MOVES.act(element, picture[None])[0]
        return turned
    return _moved(picture, element)


def _moved(picture: Image.Image, element: int) -> Image.Image:
    if element == MOVES.identity:
        return picture
    turns = {TURN: Image.Transpose.ROTATE_90, MIRROR: Image.Transpose.FLIP_LEFT_RIGHT}
    return ImageOps.exif_transpose(picture).transpose(turns[element])


class Thumbnails:
    """Small pictures in a style sheet, where each stands once however often the page shows it."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, int], str] = {}
        self.addresses: dict[str, str] = {}

    def of(self, path: str, element: int = 0) -> str:
        """The class of the picture in a file, moved; ``"none"`` if it cannot be read or shown."""
        key = (path, element)
        if key not in self.names:
            self.names[key] = f"p{len(self.names)}"
            try:
                self.addresses[self.names[key]] = _address(_moved(_small(path), element))
            except (TypeError, ValueError):
                self.names[key] = "none"
        return self.names[key]

    def style(self) -> str:
        """The rules that show them."""
        return "".join(f".{name}{{background-image:url({found})}}\n" for name, found in self.addresses.items())


def _small(path: str) -> Image.Image:
    return as_seen(open_picture(path, None), SIDE)


def _address(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return as_address(content.getvalue(), "image/jpeg")


def neighbours_page(index: NeighbourIndex, queries: Sequence[Query]) -> str:
    """A page of HTML with the neighbours of each query, upright, turned and mirrored."""
    small = Thumbnails()
    rows = [
        {
            "path": query.path,
            "ways": [
                {
                    "name": way,
                    "picture": small.of(query.path, WAYS[way]),
                    "agrees": query.agrees(way),
                    "neighbours": [(small.of(one.path), one.path, one.similarity) for one in found],
                }
                for way, found in query.neighbours.items()
            ],
        }
        for query in queries
    ]
    return _rendered("neighbours.html.j2", small, network=index.network, count=len(index.paths), queries=rows)


def duplicates_page(found: Duplicates) -> str:
    """A page of HTML with the groups of pictures that are one; each beside what moves the first one of its group."""
    small = Thumbnails()
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}

    def words(first: str, other: str) -> str:
        pair = pairs.get((first, other))
        return "" if pair is None or pair.element == MOVES.identity else pair.move

    groups = [
        [(small.of(path), path, words(group[0], path) if path != group[0] else "") for path in group]
        for group in found.groups[:MOST_GROUPS]
    ]
    left = len(found.groups) - len(groups)
    folder = _common_folder([path for group in found.groups[:MOST_GROUPS] for path in group])
    return _rendered("duplicates.html.j2", small, found=found, groups=groups, left=left, folder=folder)


def _common_folder(paths: Sequence[str]) -> str:
    """What all paths begin with, a folder and what ends its name; empty if there is none."""
    folders = {path[: len(path) - len(os.path.basename(path))] for path in paths}
    with contextlib.suppress(ValueError):  # of several drives, or none at all
        common = os.path.commonpath(folders)
        return common if common in ("", os.sep) else f"{common}{os.sep}"
    return ""


def _rendered(template: str, small: Thumbnails, **values: Any) -> str:  # noqa: ANN401
    return rendered(template, "eqmodels.neighbours", style=small.style(), **values)
