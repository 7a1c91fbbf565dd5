"""Files that are either the old ones or the new ones, whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from eqmodels.storage.errors import StorageError, reason_of

if sys.platform != "win32":
    import fcntl

__all__ = ["claimed_folder", "prepare_folder", "write_atomically", "write_together"]

LOCK = ".lock"
"""The name of the file that is locked in a claimed folder."""

_UNFINISHED = re.compile(r"\..+\.[0-9]+(-[0-9a-f]{8})?\.part")
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
    # Processes of two machines may have one number.
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = {file: file.with_name(f".{file.name}.{own}.part") for file in contents}
    file = next(iter(contents))
    try:
        with contextlib.ExitStack() as streams:
            for file, content in contents.items():
                if file.is_dir():  # which a file could not replace, when others have been moved already
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                stream = streams.enter_context(temporary[file].open("xb"))
                # Before the first byte: what is neither locked nor empty was left by a process that is dead.
                _lock(stream)
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
                if sys.platform == "win32":
                    stream.close()  # open files cannot be moved there
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


def prepare_folder(folder: Path, *, option: str = "--folder") -> None:
    """Makes the folder if need be, shows that files can be written into it, and removes what killed runs half wrote.

    Args:
        folder: where files will be written.
        option: of the command line, that names another place.

    Raises:
        StorageError: if files cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}-{secrets.token_hex(4)}.part"
        probe.touch()
        probe.unlink(missing_ok=True)
        for rest in folder.iterdir():
            if _UNFINISHED.fullmatch(rest.name):
                _remove_abandoned(rest)
    except OSError as error:
        raise StorageError(
            f"files are to be written into {folder}, which cannot be done ({reason_of(error)}). "
            f"Choose another ({option})."
        ) from error


@contextlib.contextmanager
def claimed_folder(folder: Path) -> Iterator[None]:
    """A prepared folder that this process alone writes into: a context that every process of its kind must enter.

    The claim ends with the context, and with the process, however that ends. Folders that were made for it are taken
    away again if nothing was put into them. Where a file system has no locks, or on Windows, nobody is kept out.

    Raises:
        StorageError: if another process has the folder, or files cannot be written into it.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        prepare_folder(folder)
        with _locked(folder):
            yield
    finally:
        for place in made:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                place.rmdir()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A locked file in the folder."""
    file = folder / LOCK
    with contextlib.ExitStack() as stack:
        # A few times, as who had the file may have taken it away between opening and locking it.
        for _ in range(10):
            try:
                stream = stack.enter_context(file.open("ab"))
            except OSError:  # somebody else's, from a file system without locks
                break
            if _lock(stream) is False:
                raise StorageError(
                    f"another process trains in {folder}. Wait until it is done, or choose another folder (--folder)."
                )
            if file.exists() and os.path.samestat(file.stat(), os.fstat(stream.fileno())):
                # While it is locked: later, it might be another process's.
                stack.callback(lambda: file.unlink(missing_ok=True))
                break
        yield


def _lock(stream: BinaryIO) -> bool | None:
    """Locks an open file until it is closed: whether nobody else has it; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def _remove_abandoned(file: Path) -> None:
    """Removes a half-written file, unless the process that writes it lives, or nobody can tell."""
    with contextlib.suppress(OSError), file.open("r+b") as stream:
        if _lock(stream) and os.fstat(stream.fileno()).st_size:
            file.unlink()
