"""``eqmodels neighbours``: the pictures that are most like others, by the features of a network."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eqmodels.backbones import Backbone
from eqmodels.cli.parser import UsageError
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import (
    add_network_unless_left_out,
    add_options,
    files_of,
    loaded,
    progress,
    reading,
    say_skipped,
    teller,
)
from eqmodels.data.pictures import BadFile
from eqmodels.neighbours import NeighbourIndex, index_to_file
from eqmodels.neighbours.page import Query, asked, neighbours_page
from eqmodels.processes.world import joined_world
from eqmodels.storage import write_atomically

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Finds the pictures of a folder that are most like others, by the features of a network. The index of a folder is "
    "kept in a file (--index), and built where images are named. Every query is asked as it is, turned by a quarter, "
    "and mirrored: where features are invariant it finds the same. Names of files are printed, and shown on a page. "
    "Ctrl-C stops the writing of an index; the same command goes on from there, and torchrun starts it on several "
    "processes."
)
EPILOG = """\
examples:
  eqmodels neighbours my_images --query a.png b.png --page neighbours.html
  eqmodels neighbours NAME my_images --query a.png b.png --page neighbours.html
  eqmodels neighbours NAME my_images --index my.index
  eqmodels neighbours NAME --index my.index --query more_images --count 10 --json

In Python: eqmodels.neighbours.NeighbourIndex.build(eqmodels.load(NAME), paths)
"""

SHOWN = 10
"""Queries that are printed where a page has all of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    add_network_unless_left_out(parser, _add_flags)
    parser.add_argument(
        "images", nargs="*", type=Path, metavar="IMAGES", help="a folder of images, or images, to index"
    )
    _add_flags(parser)
    parser.set_defaults(goes_on="from there")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FILE", help="the index: written if IMAGES are named, else read")
    parser.add_argument(
        "--query", nargs="+", type=Path, metavar="IMAGES", help="a folder or a table of images, or images"
    )
    parser.add_argument("--count", type=int, default=5, metavar="N", help="neighbours of each query (default: 5)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page of the pictures, as .html")
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Builds or reads the index, and prints the neighbours of each query; 0.

    Raises:
        UsageError: if there is nothing to be done, or a count is no count.
        ValueError: if there is no such network, it did not make the index, or pictures cannot be read, or do not suit
            it.
        StorageError: if the network or the index cannot be had, or a file not be written, or another process writes it.
        ProcessError: if another of several processes was killed.
        ModuleNotFoundError: if faiss is not installed.
    """
    if not arguments.images and arguments.index is None:
        raise UsageError("neighbours are sought in a folder of images, or in an index. Name IMAGES, or --index FILE.")
    if not arguments.query and not (arguments.images and arguments.index):
        raise UsageError(
            "what is sought is named by --query IMAGES; without it an index is built: IMAGES --index FILE."
        )
    if arguments.page and not arguments.query:
        raise UsageError("a page shows the neighbours of queries. Name some by --query IMAGES, or leave out --page.")
    if arguments.count < 1:
        raise UsageError(f"--count is at least 1; got {arguments.count}. Leave it out for 5.")
    with joined_world(arguments.device) as world, world.together():
        encoder = world.each_after_first(lambda: loaded(arguments)).to(world.device)
        if arguments.images and arguments.index:
            # Listed once, not by every process.
            skipped = _built(
                arguments, encoder, world.from_writer(lambda: files_of(arguments.images, arguments.path_column))
            )
        else:
            skipped = ()
        world.from_writer(lambda: _answer(arguments, encoder, skipped))
    return 0


def _built(arguments: argparse.Namespace, encoder: Backbone, paths: Sequence[Path]) -> tuple[BadFile, ...]:
    """Writes the index of the pictures; the files that were left out."""
    with progress(arguments, len(paths)) as advance:
        options = {"name": arguments.name, "progress": advance, "report": teller(arguments)}
        found = index_to_file(encoder, paths, arguments.index, **options, **reading(arguments))
    say_skipped(found.skipped)
    if not arguments.json:
        say(f"{found.file}: {found.images:,} images, {found.features} features each", file=sys.stderr)
    return found.skipped


def _answer(arguments: argparse.Namespace, encoder: Backbone, skipped: tuple[BadFile, ...]) -> None:
    """Prints the neighbours of each query, and writes their page."""
    index = _index(arguments, encoder, skipped)
    queries = asked(
        index, encoder, [str(path) for path in files_of(arguments.query or [], arguments.path_column)], arguments.count
    )
    if arguments.page:
        write_atomically(arguments.page, neighbours_page(index, queries).encode("utf-8", "backslashreplace"))
    if arguments.json:
        _say_json(arguments, index, queries)
    else:
        _say_lines(arguments, queries)


def _index(arguments: argparse.Namespace, encoder: Backbone, skipped: tuple[BadFile, ...]) -> NeighbourIndex:
    """The index that is named, or of the pictures that are."""
    if arguments.images and arguments.index:
        return replace(NeighbourIndex.load(arguments.index), skipped=skipped)
    if not arguments.images:
        index = NeighbourIndex.load(arguments.index)
        index.check_made_by(encoder)
        for flag, own in (("size", tuple(index.network["size"])), ("grey", index.network["grey"])):
            if getattr(arguments, flag) not in (None, False, own):
                raise UsageError(f"--{flag} is that of the index, {own}. Leave it out, or build the index anew.")
        return index
    paths = files_of(arguments.images, arguments.path_column)
    with progress(arguments, len(paths)) as advance:
        index = NeighbourIndex.build(encoder, paths, name=arguments.name, **reading(arguments), progress=advance)
    say_skipped(index.skipped)
    if not arguments.json:
        say(f"{len(index.paths):,} images, {index.vectors.shape[1]} features each", file=sys.stderr)
    return index


def _say_json(arguments: argparse.Namespace, index: NeighbourIndex, queries: list[Query]) -> None:
    rows = [
        {
            "path": query.path,
            "same": {way: query.agrees(way) for way in query.neighbours if way != "upright"},
            "neighbours": {way: [vars(one) for one in found] for way, found in query.neighbours.items()},
        }
        for query in queries
    ]
    told = {"images": len(index.paths), "network": index.network, "queries": rows}
    files = {"index": arguments.index, "page": arguments.page}
    told |= {name: str(file) for name, file in files.items() if file is not None}
    say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in index.skipped}}, indent=2))


def _say_lines(arguments: argparse.Namespace, queries: list[Query]) -> None:
    shown = queries[:SHOWN] if arguments.page else queries
    for query in shown:
        say(query.path)
        for one in query.neighbours["upright"]:
            say(f"  {one.similarity:.3f}  {one.path}")
        for way in query.neighbours:
            if way != "upright":
                say(f"  {way}: {'the same' if query.agrees(way) else 'others'}")
    if arguments.page:
        more = len(queries) - len(shown)
        words = "query" if more == 1 else "queries"
        say(f"page: {arguments.page}{f', which has {more:,} more {words}' if more else ''}")
