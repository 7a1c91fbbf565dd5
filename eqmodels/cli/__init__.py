"""The command ``eqmodels``, also ``python -m eqmodels``: one function a subcommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eqmodels.cli.parser import UsageError, build_parser
from eqmodels.cli.terminal import say
from eqmodels.errors import EqmodelsError

__all__ = ["build_parser", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Returns:
        The exit status: 0; 2 after bad input and 1 after a failure, explained in one sentence on standard error; 130
        after Ctrl-C.
    """
    goes_on = False
    try:
        arguments = build_parser().parse_args(argv)
        goes_on = arguments.command == "pretrain"
        status: int = arguments.run(arguments)
    except (UsageError, ValueError, ModuleNotFoundError) as error:
        say(f"eqmodels: {error}", file=sys.stderr)
        return 2
    except (EqmodelsError, OSError) as error:
        say(f"eqmodels: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        way_on = "; the same command goes on from the last checkpoint, if it wrote one" if goes_on else ""
        say(f"eqmodels: stopped{way_on}", file=sys.stderr)
        return 130
    return status
