"""Files that are either the old ones or the new ones, whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from eqmodels.storage.errors import StorageError

__all__ = ["prepare_folder", "write_atomically"]

_UNFINISHED = re.compile(r"\..+\.[0-9]+\.part")
"""What `write_atomically` names a file until it is whole, with the number of its process."""


def write_atomically(file: Path, content: bytes | str) -> None:
    """Writes a file beside its place, makes sure that it is on the disk, and moves it there.

    Raises:
        StorageError: if it cannot be written; the file is then what it was.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        kept = "the one from before is intact" if file.exists() else "nothing was written"
        raise StorageError(
            f"{file} could not be written ({error.strerror or error}); {kept}. Free some space or choose another "
            "folder, and start the same command again; a training goes on from its last checkpoint."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
            f"files are to be written into {folder}, which cannot be done ({error.strerror or error}). "
            "Choose another (--folder)."
        ) from error
