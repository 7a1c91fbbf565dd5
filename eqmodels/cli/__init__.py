"""The command ``eqmodels``, also ``python -m eqmodels``: one function a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from eqmodels.cli import demo, download, evaluate, models, pretrain, publish, report, synergy, verify
from eqmodels.storage import EqmodelsError

__all__ = ["build_parser", "main"]

COMMANDS = {
    "demo": demo,
    "pretrain": pretrain,
    "evaluate": evaluate,
    "models": models,
    "report": report,
    "synergy": synergy,
    "verify": verify,
    "download": download,
    "publish": publish,
}
"""Each a module with ``SUMMARY``, ``DESCRIPTION``, ``EPILOG``, ``add_arguments(parser)`` and ``run(arguments) ->
status``."""


class _UsageError(Exception):
    """A command line that cannot be understood."""


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps the description and keeps the lines of the epilog."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="eqmodels",
        description="Exactly group-equivariant image encoders: pretrain them, measure them, use them.",
        epilog="Start with: eqmodels demo",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            formatter_class=_HelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Returns:
        The exit status: 0; 2 after bad input and 1 after a failure, explained in one sentence on standard error; 130
        after Ctrl-C.
    """
    parser = build_parser()
    goes_on = False
    try:
        arguments = parser.parse_args(argv)
        goes_on = arguments.run is pretrain.run
        status: int = arguments.run(arguments)
    except (_UsageError, ValueError, ModuleNotFoundError) as error:
        print(f"eqmodels: {error}", file=sys.stderr)
        return 2
    except (EqmodelsError, OSError) as error:
        print(f"eqmodels: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        way_on = "; the same command goes on from the last checkpoint, if it wrote one" if goes_on else ""
        print(f"eqmodels: stopped{way_on}", file=sys.stderr)
        return 130
    return status
