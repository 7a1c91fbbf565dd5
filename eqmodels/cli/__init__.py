"""The command ``eqmodels``, also ``python -m eqmodels``: one function a subcommand."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from eqmodels.cli.parser import UsageError, build_parser
from eqmodels.cli.terminal import UnreadError, is_first_process, say
from eqmodels.errors import EqmodelsError, is_shared, is_told_by_first

__all__ = ["build_parser", "main"]

PATIENCE = 2.0
"""Seconds that the first process has to say what is wrong with a command line, before processes can wait for it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Returns:
        The exit status: 0, also without arguments, where the help is printed; 2 after bad input and 1 after a failure,
        explained in one sentence on standard error; 130 after Ctrl-C, and 141, in silence, if what reads the output
        has ended.
    """
    arguments = argparse.Namespace()
    try:
        parser = build_parser()
        if not (sys.argv[1:] if argv is None else argv):
            say(parser.format_help(), end="")
            return 0
        arguments = parser.parse_args(argv)
        with warnings.catch_warnings():
            warnings.showwarning = partial(_say_warning, warnings.showwarning)
            status: int = arguments.run(arguments)
        _send_all()
    except (UsageError, ValueError, ModuleNotFoundError) as error:
        _say_error(error)
        return 2
    except (EqmodelsError, OSError) as error:
        _say_error(error)
        return 1
    except UnreadError:
        # Python hands on at its end what is left, and would complain of the reader that left.
        with contextlib.suppress(OSError):  # where it is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell has it of programs that end so
    except KeyboardInterrupt:
        goes_on = getattr(arguments, "goes_on", "")
        way_on = f"; the same command goes on {goes_on}" if goes_on else ""
        say(f"eqmodels: stopped{way_on}", file=sys.stderr)
        return 130
    return status


def _send_all() -> None:
    """Hands on what was printed, which Python would keep until its end.

    Raises:
        UnreadError: if it has ended.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise UnreadError from error


def _say_error(error: Exception) -> None:
    """What one process alone met it says itself; what all end with the first says, as it does what all were asked.

    The others wait until it has: torchrun ends all as soon as one has ended.
    """
    is_told = isinstance(error, UsageError) or is_told_by_first(error)
    say(f"eqmodels: {error}", file=sys.stderr, flush=True, everywhere=not is_told)
    if is_shared(error):
        from eqmodels.processes.world import wait_for_all

        wait_for_all()
    elif is_told and not is_first_process():
        time.sleep(PATIENCE)


def _say_warning(
    otherwise: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    *place: Any,  # noqa: ANN401 (those of Python's function)
) -> None:
    """Warnings of this package are for people, and not told with a line of its code."""
    if category.__module__.startswith("eqmodels."):
        say(f"eqmodels: {message}", file=sys.stderr)
    else:
        otherwise(message, category, *place)
