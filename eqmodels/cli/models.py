"""``eqmodels models``: the names of the registered models."""

from __future__ import annotations

import argparse
import json

from eqmodels.backbones import list_models
from eqmodels.hub import list_pretrained

__all__ = ["DESCRIPTION", "EPILOG", "SUMMARY", "add_arguments", "run"]

SUMMARY = "list the registered models"
DESCRIPTION = (
    "Lists the registered models, one name a line: <group>_<architecture>, or <architecture> for the standard "
    "networks. Any name may be followed by _w<width>, the number of channels of the first stage."
)
EPILOG = "example: eqmodels models 'c4_*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the pattern, and what to list."""
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, quoted: 'c4_*' (default: all)")
    parser.add_argument("--pretrained", action="store_true", help="list the pretrained networks of the zoo instead")
    parser.add_argument("--json", action="store_true", help="print the names as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the names, one a line.

    Raises:
        ValueError: if no name matches the pattern.
    """
    names = (list_pretrained if arguments.pretrained else list_models)(arguments.pattern)
    if not names:
        kind, option = ("pretrained", " --pretrained") if arguments.pretrained else ("registered", "")
        raise ValueError(f"no {kind} model matches {arguments.pattern!r}; 'eqmodels models{option}' lists all of them.")
    print(json.dumps(names, indent=2) if arguments.json else "\n".join(names))
    return 0
