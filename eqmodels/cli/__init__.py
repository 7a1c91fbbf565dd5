"""The command ``eqmodels``, also ``python -m eqmodels``: one function a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from eqmodels.cli import demo, models, report

__all__ = ["main"]

COMMANDS = {"demo": demo, "models": models, "report": report}
"""Each a module with ``SUMMARY``, ``DESCRIPTION``, ``add_arguments(parser)`` and ``run(arguments) -> status``."""


class _UsageError(Exception):
    """A command line that cannot be understood."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Returns:
        The exit status: 0, or 2 after bad input, which is explained in one sentence on standard error.
    """
    parser = _Parser(
        prog="eqmodels",
        description="Exactly group-equivariant ResNets for PyTorch: features that turn when the image turns.",
        epilog="Start with: eqmodels demo",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.SUMMARY, description=command.DESCRIPTION)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    try:
        arguments = parser.parse_args(argv)
        status: int = arguments.run(arguments)
    except (_UsageError, ValueError, ModuleNotFoundError) as error:
        print(f"eqmodels: {error}", file=sys.stderr)
        return 2
    return status
