"""``eqmodels page``: what a benchmark measured, as a page to look at, and a demo that runs in it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from eqmodels.bench import read_lines
from eqmodels.cli.terminal import say
from eqmodels.pages import write_demo, write_page
from eqmodels.pages.demo import DEMO
from eqmodels.storage import StorageError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Writes index.html into the folder of a benchmark: one file that needs no other and no network. It has a table to "
    "sort and to filter, accuracy against throughput and parameters, few labels, angles, feature maps of an image that "
    "turns, and of each network a page of its own. Beside it goes demo.html, whose visitor turns a picture while two "
    "networks run in the page; it is made of onnxruntime-web, which npm has."
)
EPILOG = """\
examples:
  eqmodels bench && eqmodels page runs/bench
  npm install onnxruntime-web@1.30.0 && eqmodels page runs/bench
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="that eqmodels bench --out wrote")
    parser.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help=f"write {DEMO} too, anew if it is there (default: if it is not there and all that it needs is)",
    )
    parser.add_argument(
        "--runtime", type=Path, metavar="FOLDER", help="of onnxruntime-web (default: node_modules/onnxruntime-web)"
    )
    parser.add_argument("--json", action="store_true", help="print where the files are as JSON")
    parser.add_argument("--quiet", action="store_true", help="do not say what is being done")


def run(arguments: argparse.Namespace) -> int:
    """Writes the page, and the demo before it; 0. What the demo lacks is said, and an error if it was asked for.

    Raises:
        FileNotFoundError: if nothing is there that a benchmark wrote, or a demo is asked for that lacks something.
        ModuleNotFoundError: if a demo is asked for, and what exports networks is not installed.
        StorageError: if a file cannot be read or written, or the page would be too large.
    """

    def tell(what: str) -> None:
        if not arguments.quiet:
            say(f"{what} ...", file=sys.stderr, flush=True)

    read_lines(arguments.folder)  # what is no benchmark gets no demo either
    lacking = "" if arguments.demo is False else _demo(arguments, tell)
    page, demo = write_page(arguments.folder, report=tell), arguments.folder / DEMO
    files = {"page": str(page), "demo": str(demo) if demo.is_file() else None}
    if arguments.json:
        say(json.dumps(files, indent=2))
    else:
        say("\n".join(f"{name}: {file}" for name, file in files.items() if file is not None))
    if lacking:
        say(f"No demo: {lacking}", file=sys.stderr)
    return 0


def _demo(arguments: argparse.Namespace, tell: Callable[[str], None]) -> str:
    """Writes the demo if it is not there or was asked for; what it lacks, in a sentence, or nothing."""
    if arguments.demo is None and (arguments.folder / DEMO).is_file():
        return ""
    try:
        write_demo(arguments.folder, arguments.runtime, report=tell)
    except (FileNotFoundError, ModuleNotFoundError, StorageError) as error:
        # A folder that was named was meant; another version in the usual one may be there for something else.
        if arguments.demo or arguments.runtime is not None:
            raise
        return str(error)
    return ""
