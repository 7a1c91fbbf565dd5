"""``eqmodels duplicates``: pictures that are there several times, turned or mirrored, resized or compressed anew."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from functools import partial
from pathlib import Path

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
from eqmodels.neighbours import Duplicates, find_duplicates
from eqmodels.neighbours.page import duplicates_page
from eqmodels.processes.world import joined_world
from eqmodels.reports import Table
from eqmodels.storage import write_atomically

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Finds files that hold one picture, however it lies (turned by quarters, mirrored, or both), whatever its size and "
    "compression are. The features of the network say which pictures may be one, and their pixels decide; of 16 bits "
    "and many channels too. No file is changed. With --out or --page Ctrl-C keeps what is done, and the same command "
    "goes on; torchrun starts it on several processes. The exit status is 0, with or without duplicates."
)
EPILOG = """\
examples:
  eqmodels duplicates my_images
  eqmodels duplicates NAME my_images --page duplicates.html --out duplicates.csv
  eqmodels duplicates NAME my_images --json
  eqmodels duplicates NAME my_satellite_images --in-chans 13 --out duplicates.csv

In Python: eqmodels.neighbours.find_duplicates(eqmodels.load(NAME), paths)
"""
SHOWN = 50
"""Pairs that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    add_network_unless_left_out(parser, _add_flags)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGES", help="a folder or a table of images, or images"
    )
    _add_flags(parser)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--candidates", type=int, default=10, metavar="N", help="neighbours compared with each picture (default: 10)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all pairs, as .csv")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page of the pictures, as .html")
    # Where a network is unsure of the pose, canonical features of a turned picture are others.
    add_options(parser, features="invariant")


def run(arguments: argparse.Namespace) -> int:
    """Prints the pairs, and writes what is asked for; 0.

    Raises:
        UsageError: if a file has another ending, or a count is no count.
        ValueError: if there is no such network, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had, or a file not be written.
        ModuleNotFoundError: if faiss is not installed.
    """
    for file, ending in ((arguments.out, ".csv"), (arguments.page, ".html")):
        if file is not None and file.suffix != ending:
            raise UsageError(
                f"duplicates are written as .csv (--out) and .html (--page); got {file.name}. Name such a file."
            )
    if arguments.candidates < 1:
        raise UsageError(f"--candidates is at least 1; got {arguments.candidates}. Leave it out for 10.")
    kept = arguments.out or arguments.page
    arguments.goes_on = "from there" if kept else ""
    with joined_world(arguments.device) as world, world.together():
        # Listed and downloaded once, not by every process.
        paths = world.from_writer(lambda: files_of(arguments.images, arguments.path_column))
        encoder = world.each_after_first(lambda: loaded(arguments)).to(world.device)
        try:
            with progress(arguments, len(paths)) as advance:
                options = {"kept": kept, "finish": partial(_write, arguments), "report": teller(arguments)}
                options |= {"candidates": arguments.candidates, "progress": advance}
                found = find_duplicates(encoder, paths, **options, **reading(arguments))
        except KeyboardInterrupt:
            if not kept:
                say("nothing was kept: with --out FILE.csv the command that is stopped goes on", file=sys.stderr)
            raise
    say_skipped(found.skipped)
    if arguments.json:
        say(json.dumps(found.to_dict(), indent=2))
        return 0
    say(_as_text(found))
    for name, file in (("pairs", arguments.out), ("page", arguments.page)):
        if file:
            say(f"{name}: {file}")
    return 0


def _write(arguments: argparse.Namespace, found: Duplicates) -> None:
    """Writes what is asked for."""
    if arguments.out:
        # A path may hold bytes that are no letters.
        write_atomically(arguments.out, _as_csv(found).encode("utf-8", "surrogateescape"))
    if arguments.page:
        write_atomically(arguments.page, duplicates_page(found).encode("utf-8", "backslashreplace"))


def _as_csv(found: Duplicates) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    group_of = {path: number for number, group in enumerate(found.groups) for path in group}
    writer.writerow(["group", "first", "second", "element", "move", "difference"])
    for pair in found.pairs:
        writer.writerow([group_of[pair.first], pair.first, pair.second, pair.element, pair.move, pair.difference])
    return text.getvalue()


def _as_text(found: Duplicates) -> str:
    files = sum(map(len, found.groups))
    count = len(found.groups)
    several = "one picture that is there" if count == 1 else f"{count:,} pictures that are there"
    head = f"{found.images:,} images: {files:,} files hold {several} several times"
    if not found.pairs:
        return f"{found.images:,} images, and none is there twice"
    rows = [[pair.first, pair.second, pair.move, f"{pair.difference:.4f}"] for pair in found.pairs[:SHOWN]]
    more = [f"and {len(found.pairs) - SHOWN:,} more pairs (--out FILE.csv)"] if len(found.pairs) > SHOWN else []
    return "\n".join([head, "", Table(["picture", "is, moved by this,", "move", "difference"], rows).text(), *more])
