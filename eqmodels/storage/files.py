"""Files that are either the old ones or the new ones, whole, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from eqmodels.arguments import check_arguments
from eqmodels.storage.errors import StorageError, reason_of

__all__ = ["claimed_folder", "prepare_folder", "write_atomically", "write_together"]

LOCK = ".lock"
"""The name of the file that is locked in a claimed folder."""

PATIENCE = 0.5
"""Seconds until a folder counts as another process's: longer than giving a folder back takes."""

_UNFINISHED = re.compile(r"\..+\.([0-9]+(?:-[0-9a-f]{8})?)\.part")
"""What `write_together` names a file until it is whole, with the name of the writing."""


Content = bytes | str | Callable[[BinaryIO], object]
"""Of a file; a function writes it, part by part."""


def write_atomically(file: Path, content: Content, *, keep_as: Path | None = None) -> None:
    """Writes a file beside its place, makes sure that it is on the disk, and moves it there.

    Args:
        file: its place.
        content: of the file, or a function that writes it into the open file, part by part.
        keep_as: where the file that was there until now is kept, in the same folder; None for nowhere.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if it cannot be written; the file is then what it was.
    """
    check_arguments(write_atomically, locals())
    write_together({file: content}, {} if keep_as is None else {file: keep_as})


def write_together(contents: Mapping[Path, Content], kept: Mapping[Path, Path] | None = None) -> None:
    """Writes files that belong to each other, as `write_atomically` does one; none is moved before all are on the disk.

    Only a process that is killed between two moves, which need no space, leaves new files beside old ones.

    Args:
        contents: of the files, by their places.
        kept: where files that were there until now are kept, by their places; the others are not.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if one cannot be written; all are then what they were.
    """
    check_arguments(write_together, locals())
    if not contents:
        return
    own = _name_of_writing()
    temporary = {file: file.with_name(f".{file.name}.{own}.part") for file in contents}
    file = next(iter(contents))
    with contextlib.ExitStack() as alive:
        for folder in dict.fromkeys(file.parent for file in contents):
            alive.enter_context(_shown_to_live(folder, own))
        try:
            with contextlib.ExitStack() as streams:
                for file, content in contents.items():
                    if file.is_dir():  # which a file could not replace, when others have been moved already
                        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                    stream = streams.enter_context(temporary[file].open("xb"))
                    if callable(content):
                        content(stream)
                    else:
                        stream.write(content.encode() if isinstance(content, str) else content)
                    stream.flush()
                    os.fsync(stream.fileno())
                    if sys.platform == "win32":
                        stream.close()  # open files cannot be moved there
                for file, part in temporary.items():
                    if kept and file in kept and file.exists():
                        _keep(file, kept[file], own)
                    part.replace(file)
        except OSError as error:
            left = "the one from before is intact" if file.exists() else "nothing was written"
            raise StorageError(
                f"{file} could not be written ({reason_of(error)}); {left}. Free some space or choose another "
                "folder, and start the same command again; a training goes on from its last checkpoint."
            ) from error
        finally:
            _remove(temporary.values())


def _keep(file: Path, place: Path, own: str) -> None:
    """Gives a file a second name, in the place of whatever has it; at every moment the file has its first one too.

    Where a file system has no second names it is moved, and for a moment has the second alone.
    """
    part = place.with_name(f".{place.name}.{own}.part")
    try:
        os.link(file, part)
        part.replace(place)
    except (OSError, NotImplementedError):
        file.replace(place)
    finally:
        _remove([part])


def prepare_folder(folder: Path, *, option: str = "--folder") -> None:
    """Makes the folder if need be, shows that files can be written into it, and removes what killed runs half wrote.

    Args:
        folder: where files will be written.
        option: of the command line, that names another place.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if files cannot be written.
    """
    check_arguments(prepare_folder, locals())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = _name_of_writing()
        with _shown_to_live(folder, own) as told_apart:
            probe = folder / f".probe.{own}.part"
            probe.touch()
            probe.unlink(missing_ok=True)
            if told_apart:
                _remove(file for file in folder.iterdir() if _is_abandoned(file))
    except OSError as error:
        raise StorageError(
            f"files are to be written into {folder}, which cannot be done ({reason_of(error)}). "
            f"Choose another ({option})."
        ) from error


@contextlib.contextmanager
def claimed_folder(folder: Path, *, work: str = "trains", option: str = "--folder") -> Iterator[None]:
    """A prepared folder that this process alone writes into: a context that every process of its kind must enter.

    The claim ends with the context, and with the process, however that ends. Folders that were made for it are taken
    away again if nothing was put into them. Where a file system has no locks, nobody is kept out.

    Args:
        folder: that is claimed.
        work: what a process does there, for a sentence.
        option: of the command line, that names another place.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if another process has the folder, or files cannot be written into it.
    """
    check_arguments(claimed_folder, locals())
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        prepare_folder(folder, option=option)
        try:
            lock = _lock(folder / LOCK, seconds=PATIENCE)
        except Timeout:
            raise StorageError(
                f"another process {work} in {folder}. Wait until it is done, or choose another folder ({option})."
            ) from None
        try:
            yield
        finally:
            _give_back(lock)
    finally:
        for place in made:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                place.rmdir()


def _name_of_writing() -> str:
    """A name that no other writing has: processes of two machines may have one number."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _lock_of(folder: Path, writing: str) -> Path:
    """The file that is locked in the folder as long as the process of a writing lives."""
    return folder / f".{writing}.lock"


@contextlib.contextmanager
def _shown_to_live(folder: Path, writing: str) -> Iterator[bool]:
    """Locks a file of the writing before its first byte, so that its unfinished files are left alone.

    Yields:
        Whether the folder has locks, by which the dead are told from the living.
    """
    lock = _lock(_lock_of(folder, writing)) if folder.is_dir() else None
    try:
        yield lock is not None
    finally:
        _give_back(lock)


def _is_abandoned(file: Path) -> bool:
    """Whether a file was left unfinished by a process that is dead."""
    match = _UNFINISHED.fullmatch(file.name)
    if match is None:
        return False
    mark = _lock_of(file.parent, match[1])
    if not mark.exists():
        return True
    try:
        lock = _lock(mark)
    except Timeout:
        return False
    _give_back(lock)
    return lock is not None


def _lock(file: Path, *, seconds: float = 0) -> FileLock | None:
    """Locks a file until it is given back, or the process ends; None where there are no locks.

    Raises:
        Timeout: if it stays locked by somebody else for so many seconds.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise
    except (OSError, NotImplementedError):  # some network file systems
        _remove([file])
        return None
    return lock


def _give_back(lock: FileLock | None) -> None:
    """Removes a locked file, and then unlocks it: unlocked, it might be another process's."""
    if lock is not None:
        _remove([Path(lock.lock_file)])
        lock.release()


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
