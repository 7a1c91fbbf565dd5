"""``eqmodels download``: fills the cache for machines without network."""

from __future__ import annotations

import argparse
import json
import re

from eqmodels.cli.terminal import say
from eqmodels.hub import list_pretrained, load, locate
from eqmodels.remote import read_elsewhere

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Fetches pretrained networks into the Hugging Face cache (the folder named by HF_HOME) and checks them. With this "
    "cache, and HF_HUB_OFFLINE=1, they load without network. What this installation has is only checked. Of networks "
    "that others publish elsewhere, such as equivision/c4resnet18, it says where the file is and what to run."
)
EPILOG = """\
examples:
  eqmodels download 'c4_*'
  eqmodels download hub:organisation/name@v1
  eqmodels download equivision/c4resnet18
"""

REPOSITORY = r"[\w.-]+/[\w.-]+(@[\w./-]+)?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the networks."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="names of the zoo, quoted patterns of them, or hub:organisation/name"
    )
    parser.add_argument("--json", action="store_true", help="print names and folders as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the folder of every network.

    Raises:
        ValueError: if a pattern matches nothing, or a repository's name is none.
        StorageError: if files cannot be had or are damaged, or the user has to fetch them.
    """
    folders = {}
    for pattern in arguments.names:
        # What others publish is not fetched: `locate` says where it is.
        whole = pattern.startswith("hub:") or pattern in read_elsewhere()
        names = [pattern] if whole else list_pretrained(pattern)
        if not names:
            hint = f" A repository of the Hub is named hub:{pattern}." if re.fullmatch(REPOSITORY, pattern) else ""
            raise ValueError(
                f"no pretrained model matches {pattern!r}; 'eqmodels models --pretrained' lists all.{hint}"
            )
        for name in names:
            folder = locate(name).folder
            load(folder)
            folders[name] = str(folder)
            if not arguments.json:
                say(f"{name}: {folder}", flush=True)
    if arguments.json:
        say(json.dumps(folders, indent=2))
    return 0
