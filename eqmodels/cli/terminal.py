"""What the commands print: all of it passes here, since names of folders and words of files stand in it."""

from __future__ import annotations

import sys
import traceback
from typing import TextIO

from eqmodels.errors import EqmodelsError, is_told_by_first
from eqmodels.torchrun import own_place

__all__ = ["FROM_CHECKPOINT", "UnreadError", "for_terminal", "has_watchers", "is_first_process", "say", "say_failure"]

FROM_CHECKPOINT = "from the last checkpoint, if it wrote one"
"""Where a training that was stopped goes on."""


class UnreadError(Exception):
    """Nobody reads on what is printed: ``eqmodels data FOLDER --json | head`` has enough."""


def is_first_process() -> bool:
    """Whether this process speaks: the only one, or the first of those that torchrun started."""
    place = own_place()
    return place.size == 1 or place.rank == 0


def has_watchers() -> bool:
    """Whether bars are of use: people look at the standard error, and it is this process that speaks."""
    return sys.stderr.isatty() and is_first_process()


def say(
    text: object, *, file: TextIO | None = None, flush: bool = False, end: str = "\n", everywhere: bool = False
) -> None:
    """Prints a text, whose signs do nothing to a terminal; of several processes of one run the first alone does.

    Args:
        text: whatever can be printed.
        file: where to; None for the standard output.
        flush: whether to wait until it is there.
        end: what is printed after it.
        everywhere: whether every process prints it.

    Raises:
        UnreadError: if what reads the output has ended.
    """
    if not everywhere and not is_first_process():
        return
    try:
        print(for_terminal(str(text)), file=sys.stdout if file is None else file, flush=flush, end=end)
    except BrokenPipeError as error:
        raise UnreadError from error


def for_terminal(text: str) -> str:
    r"""A text for a terminal, of which no sign but the end of a line and the tabulator does anything.

    Example:
        >>> for_terminal("a" + chr(27) + "[31m" + chr(10) + "b")
        'a\\x1b[31m\nb'
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode() for sign in text
    )


def say_failure(error: BaseException) -> None:
    """Says why a process ends that is not the first of a command, unless the first says it, or it was stopped."""
    if isinstance(error, EqmodelsError | ValueError | ModuleNotFoundError | OSError):
        if not is_told_by_first(error):
            say(f"eqmodels: {error}", file=sys.stderr, flush=True, everywhere=True)
    elif isinstance(error, Exception):
        traceback.print_exception(error)
