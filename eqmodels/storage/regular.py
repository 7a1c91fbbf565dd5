"""Regular files alone are read: a named pipe waits for ever, and a device never ends."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from eqmodels.arguments import check_arguments

__all__ = ["open_regular", "read_regular"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


@contextmanager
def open_regular(file: str | Path, largest: int | None = None) -> Iterator[BinaryIO]:
    """A file to be read, wherever links lead, if it is a regular one.

    Args:
        file: its path.
        largest: how many bytes it may have; None for any number.

    Raises:
        TypeError: if an argument is of another type.
        OSError: if it cannot be opened, is something else, or is larger; its ``strerror`` says which.
    """
    check_arguments(open_regular, locals())
    # Without waiting: opening a named pipe would, until somebody writes into it. What it is, is asked of what was
    # opened, as the name may mean another file a moment later.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(os.fstat(descriptor), largest, str(file))
    except OSError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _check(status: os.stat_result, largest: int | None, name: str) -> None:
    """Raises an `OSError` that says what a file is instead of a regular one of so many bytes."""
    if not stat.S_ISREG(status.st_mode):
        kind = next((words for belongs, words in _KINDS if belongs(status.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, and no regular file", name)
    if largest is not None and status.st_size > largest:
        raise OSError(errno.EFBIG, f"it has {status.st_size} bytes, more than {largest}", name)


def read_regular(file: str | Path, largest: int | None = None) -> bytes:
    """The content of a regular file.

    Args:
        file: its path.
        largest: how many bytes it may have; None for any number.

    Raises:
        TypeError: as `open_regular`.
        OSError: as `open_regular`.
    """
    with open_regular(file, largest) as stream:
        if largest is None:
            return stream.read()
        content = stream.read(largest + 1)
    if len(content) > largest:  # it grew meanwhile
        raise OSError(errno.EFBIG, f"it has more than {largest} bytes", str(file))
    return content
