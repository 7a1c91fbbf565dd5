"""Where the pictures of a data set are, each of which can be opened alone and in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eqmodels.data.pictures import Picture, picture_from
from eqmodels.storage import read_regular

__all__ = ["Listed", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A picture that is a file; what is a part of a file is a kind of it, which processes can be given.

    Args:
        file: the file.
    """

    file: Path

    @property
    def path(self) -> Path:
        """What sentences call it."""
        return self.file

    def content(self) -> bytes:
        """What a file of this picture alone holds.

        Raises:
            OSError: if it cannot be read.
            ValueError: if there is nothing; gives the reason alone.
        """
        return read_regular(self.file)

    def mark(self, root: Path) -> str:
        """What is another if the picture is, or may be: here the path in a folder, the bytes, and the last change.

        Args:
            root: the folder of the data set.

        Raises:
            OSError: if it is gone.
        """
        status = self.file.stat()
        return f"{within(self.file, root)}\0{status.st_size}\0{status.st_mtime_ns}"

    def picture(self, channels: int, background: str) -> Picture:
        """The picture, as `picture_at` gives it.

        Raises:
            ValueError: if it cannot be read, is of another format or has other channels; gives the reason alone.
            ModuleNotFoundError: if it needs a package that is not installed.
        """
        return picture_from(self.content, channels, background=background)


def within(file: Path, root: Path) -> str:
    """The path of a file in a folder; the whole path if it lies elsewhere."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


@dataclass(frozen=True)
class Listed:
    """The pictures of a split of a data set, before any is opened.

    Attributes:
        name: what the data set is called.
        root: the folder, or the file, in which it is.
        places: of the pictures.
        labels: the number of the class of each, -1 without classes.
        classes: the name of each class.
    """

    name: str
    root: Path
    places: Sequence[Place]
    labels: Sequence[int]
    classes: tuple[str, ...]
