"""The files of a folder of images: of that folder alone, wherever links in it lead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_link", "image_files"]

ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of the names of images, in lower case."""


def image_files(folder: Path, root: Path) -> Iterator[str]:
    """The paths of all images in a folder and in the folders inside it, by the order of folders and names.

    Args:
        folder: of one class; one that does not exist has none.
        root: the folder of the whole data set.

    Raises:
        ValueError: if a link leads to a folder, or to a file that is not in the data set, see `check_link`.
    """
    check_link(folder, root)
    for place, folders, names in sorted(os.walk(folder)):
        for name in folders:
            check_link(Path(place, name), root)
        for name in sorted(names):
            if name.lower().endswith(ENDINGS):
                check_link(Path(place, name), root)
                yield os.path.join(place, name)


def check_link(path: Path, root: Path) -> None:
    """Refuses a link by which an image would be read twice, without end, or from a place that nobody named.

    Args:
        path: of a file or folder, which need not be a link.
        root: the folder of the whole data set, itself a link or not.

    Raises:
        ValueError: if it is a link to a folder, wherever that is, or out of the data set.
    """
    if not path.is_symlink():
        return
    if path.is_dir():
        raise ValueError(
            f"{path} is a link to a folder, and these are not followed, since images would be read twice or from "
            "elsewhere. Put the folder itself there, or remove the link."
        )
    if Path(os.path.realpath(root)) not in Path(os.path.realpath(path)).parents:
        raise ValueError(
            f"{path} is a link out of {root}, and images are read from there alone. Put the image itself there, or "
            "remove the link."
        )
