"""What files cannot do, and words of others that fit into a sentence."""

from __future__ import annotations

import re

from eqmodels.arguments import check_arguments
from eqmodels.errors import EqmodelsError

__all__ = ["StorageError", "printable", "reason_of"]

LONGEST = 200
"""Characters of what a sentence quotes."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""The ANSI escapes with which some libraries colour what they say."""


class StorageError(EqmodelsError):
    """A file that cannot be written, or is not what it should be."""


def printable(words: str) -> str:
    """Words of a file or a user, for a sentence: one line that any terminal shows, shortened in the middle.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(printable, locals())
    words = legible(words)
    return words if len(words) <= LONGEST else f"{words[: LONGEST // 2]} ... {words[-LONGEST // 2 + 10 :]}"


def legible(words: str) -> str:
    """Words of a file or a user as one line that any terminal shows, whole.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(legible, locals())
    return words if words.isprintable() else ascii(words)


def reason_of(error: BaseException) -> str:
    """What an error of a library says, for a sentence, see `printable`.

    What a server said (the attribute ``server_message`` of the Hub's client) comes first; an error of the system is
    its reason alone, without number and path.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(reason_of, locals())
    said = getattr(error, "server_message", None) or (isinstance(error, OSError) and error.strerror) or str(error)
    return printable(" ".join(_COLOUR.sub("", said or type(error).__name__).split()))
