"""``eqmodels models``: the names of the registered models."""

from __future__ import annotations

import argparse

from eqmodels.backbones import list_models

__all__ = ["DESCRIPTION", "SUMMARY", "add_arguments", "run"]

SUMMARY = "list the registered models"
DESCRIPTION = (
    "Lists the registered models, one name a line: <group>_<architecture>, or <architecture> for the standard "
    "networks. Any name may be followed by _w<width>, the number of channels of the first stage."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the one argument, a pattern."""
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, quoted: 'c4_*' (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Prints the names, one a line.

    Raises:
        ValueError: if no name matches the pattern.
    """
    names = list_models(arguments.pattern)
    if not names:
        raise ValueError(f"no registered model matches {arguments.pattern!r}; 'eqmodels models' lists all of them.")
    print("\n".join(names))
    return 0
