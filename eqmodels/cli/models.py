"""``eqmodels models``: the names of the registered models."""

from __future__ import annotations

import argparse
import json
import re

import torch

from eqmodels.backbones import create_model, list_models
from eqmodels.cli.terminal import say
from eqmodels.hub import list_pretrained

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Lists the registered models, one name a line: <group>_<architecture>, or <architecture> for the standard "
    "networks. Any name may be followed by _w<width>, the number of channels of the first stage."
)
_WIDTH = re.compile(r"_w[0-9]+$")
EPILOG = "example: eqmodels models 'c4_*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the pattern, and what to list."""
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, quoted: 'c4_*' (default: all)")
    parser.add_argument("--pretrained", action="store_true", help="list the pretrained networks of the zoo instead")
    parser.add_argument("--json", action="store_true", help="print the names as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the names, one a line.

    Raises:
        ValueError: if no name matches the pattern, or no network comes in the width that it names.
    """
    names = list_pretrained(arguments.pattern) if arguments.pretrained else _architectures(arguments.pattern)
    if not names:
        kind, option = ("pretrained", " --pretrained") if arguments.pretrained else ("registered", "")
        raise ValueError(f"no {kind} model matches {arguments.pattern!r}; 'eqmodels models{option}' lists all of them.")
    say(json.dumps(names, indent=2) if arguments.json else "\n".join(names))
    return 0


def _architectures(pattern: str) -> list[str]:
    """The architectures that match, also those that come in the width behind the pattern.

    Raises:
        ValueError: if a network does not come in that width; gives the nearest ones.
    """
    names = list_models(pattern)
    if names or (width := _WIDTH.search(pattern)) is None:
        return names
    refusal: ValueError | None = None
    for name in (f"{name}{width[0]}" for name in list_models(pattern[: width.start()])):
        try:
            with torch.device("meta"):
                create_model(name)
            names.append(name)
        except ValueError as error:
            refusal = error
    if refusal and not names:
        raise refusal
    return names
