"""Files that are either the old ones or the new ones, whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from eqmodels.storage.errors import StorageError, reason_of

__all__ = ["prepare_folder", "write_atomically", "write_together"]

_UNFINISHED = re.compile(r"\..+\.[0-9]+\.part")
"""What `write_atomically` names a file until it is whole, with the number of its process."""


def write_atomically(file: Path, content: bytes | str) -> None:
    """Writes a file beside its place, makes sure that it is on the disk, and moves it there.

    Raises:
        StorageError: if it cannot be written; the file is then what it was.
    """
    write_together({file: content})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """Writes files that belong to each other, as `write_atomically` does one; none is moved before all are on the disk.

    Only a process that is killed between two moves, which need no space, leaves new files beside old ones.

    Raises:
        StorageError: if one cannot be written; all are then what they were.
    """
    temporary = {file: file.with_name(f".{file.name}.{os.getpid()}.part") for file in contents}
    file = next(iter(contents))
    try:
        for file, content in contents.items():
            if file.is_dir():  # which a file could not replace, when others have been moved already
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with temporary[file].open("wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
        for file, part in temporary.items():
            part.replace(file)
    except OSError as error:
        kept = "the one from before is intact" if file.exists() else "nothing was written"
        raise StorageError(
            f"{file} could not be written ({reason_of(error)}); {kept}. Free some space or choose another "
            "folder, and start the same command again; a training goes on from its last checkpoint."
        ) from error
    finally:
        for part in temporary.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def prepare_folder(folder: Path) -> None:
    """Makes the folder if need be, shows that files can be written into it, and removes what a killed run half wrote.

    Raises:
        StorageError: if files cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}.part"
        probe.touch()
        for rest in folder.iterdir():
            if _UNFINISHED.fullmatch(rest.name):
                rest.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"files are to be written into {folder}, which cannot be done ({reason_of(error)}). "
            "Choose another (--folder)."
        ) from error
