"""``eqmodels page``: what a benchmark measured, as a page to look at, and a demo that runs in it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.pages import write_page

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Writes index.html into the folder of a benchmark: one file that needs no other and no network. It has a table to "
    "sort and to filter, accuracy against throughput and parameters, few labels, angles, feature maps of an image that "
    "turns, and of each network a page of its own."
)
EPILOG = """\
examples:
  eqmodels bench && eqmodels page runs/bench
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="that eqmodels bench --out wrote")
    parser.add_argument("--quiet", action="store_true", help="do not say what is being done")


def run(arguments: argparse.Namespace) -> int:
    """Writes the page; 0.

    Raises:
        FileNotFoundError: if nothing is there that a benchmark wrote.
        StorageError: if a file cannot be read or written, or the page would be too large.
    """

    def tell(what: str) -> None:
        if not arguments.quiet:
            say(f"{what} ...", file=sys.stderr, flush=True)

    say(f"page: {write_page(arguments.folder, report=tell)}")
    return 0
