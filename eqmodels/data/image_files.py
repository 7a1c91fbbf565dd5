"""The files of a folder of images, before any is opened: of that folder alone, wherever links in it lead."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from eqmodels.data.registry import SPLIT_NAMES, Split, named_splits

__all__ = ["ENDINGS", "SPLITS", "FolderListing", "image_paths", "list_folder", "split_of"]

ENDINGS = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of the names of pictures, in lower case."""

ARRAY = ".npy"
"""Of the names of arrays, which are images where no pictures are: beside pictures they are somebody's numbers."""

SPLITS = tuple(dict.fromkeys(name for names in SPLIT_NAMES.values() for name in names))
"""What folders that are splits are called."""

TEST_SHARE = 0.2
"""Of the images of a folder without splits: by a hash of the path, so that adding a file moves no other."""


@dataclass(frozen=True)
class FolderListing:
    """What is in a folder of images.

    Attributes:
        root: the folder.
        files: the path of each image and the number of its class (-1 without classes), by the order of classes and
            names.
        splits: of each image.
        classes: all of the folder, also those that only another split has; none if the images lie in no folders.
        ignored: how many files are left out, by the ending of their names.
    """

    root: Path
    files: tuple[tuple[Path, int], ...]
    splits: tuple[Split, ...]
    classes: tuple[str, ...]
    ignored: Mapping[str, int]


def list_folder(root: Path, split: Split | None) -> FolderListing:
    """The images of a split of a folder.

    Folders called like `SPLITS` are splits if one of them has folders or images, or if there are no others beside them;
    else they are classes like the others. Without splits every image is of one by a hash of its path in the folder.
    Files whose names begin with a point, which tools leave, are no images.

    Args:
        root: the folder.
        split: ``"train"``, ``"test"`` or ``"validation"``; None for all images.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if a link in it leads to a folder, or out of it.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"image_folder reads a folder of images, or of one folder of images a class; {root} is none. Name one by "
            "root= (--root)."
        )
    places = _split_places(root)
    if places.get("validation") == places.get("test"):  # one folder is both: it is walked once
        places.pop("test" if split == "validation" else "validation", None)
    walked: list[tuple[Path, Split | None, Path]] = []
    for name, place in places.items() if places else [(None, root)]:
        if split in (None, name) or name is None:
            check_link(place, root)
            walked += [(place, name, path) for path in _files(place, root)]
        else:  # for its classes
            walked += [(place, name, path) for folder in _folders(place) for path in _files(place / folder, root)]
    endings = _endings(path for _, _, path in walked)
    ignored = Counter[str]()
    for second in _second_splits(root, places):  # which are not read, and must not be missed in silence
        if split != "train":
            count = sum(_ending(path) in endings for path in _files(root / second, root))
            ignored[f"images of {second}, as there is {_instead_of(second, places)}"] += count
    # Folders of something else beside loose images are no classes.
    has_classes = any(_ending(path) in endings and path.parent != place for place, _, path in walked)
    folders = {folder for place in places.values() or [root] for folder in _folders(place)}
    classes = sorted(folders if has_classes else ())
    numbers = {name: number for number, name in enumerate(classes)}
    found: list[tuple[int, Path, Split]] = []
    for place, name, path in walked:
        if name is not None and split not in (None, name):
            continue
        within, is_image = path.relative_to(place), _ending(path) in endings
        belongs = name or split_of(path.relative_to(root))
        if classes and len(within.parts) == 1:  # beside the folders of the classes
            ignored["images beside the classes" if is_image else _ending(path)] += 1
        elif not is_image:
            ignored[_ending(path)] += 1
        elif split in (None, belongs):
            found.append((numbers.get(within.parts[0], -1), path, belongs))
    found.sort(key=lambda one: (one[0], str(one[1])))
    return FolderListing(
        root,
        tuple((path, label) for label, path, _ in found),
        tuple(belongs for _, _, belongs in found),
        tuple(classes),
        dict(sorted(ignored.items())),
    )


def image_paths(root: Path) -> list[Path]:
    """All images in a folder and in the folders inside it, whatever these are called, by the order of their paths.

    Raises:
        FileNotFoundError: if the folder has none.
        ValueError: if a link in it leads to a folder, or out of it.
    """
    files = list(_files(root, root))
    endings = _endings(files)
    found = sorted(path for path in files if _ending(path) in endings)
    if not found:
        raise FileNotFoundError(f"{root} has no images ({', '.join((*ENDINGS, ARRAY))}). Name a folder that has some.")
    return found


def _split_places(root: Path) -> dict[Split, Path]:
    """The folder of each split that has one; none if there are no splits."""
    names = _folders(root)
    present = [name for name in SPLITS if name in names]
    nested = any(_folders(root / name) for name in present)
    if not present or not (nested or set(present).issuperset(names)):
        return {}
    return {split: root / name for split, name in named_splits(present).items()}


def _second_splits(root: Path, places: Mapping[Split, Path]) -> list[str]:
    """Folders that are called like a split for which there is another one already."""
    return [name for name in SPLITS if places and name in _folders(root) and root / name not in places.values()]


def _instead_of(name: str, places: Mapping[Split, Path]) -> str:
    """What the folder is called that is read instead of such a one."""
    meant: tuple[Split, ...] = ("validation", "test")
    return next(places[split].name for split in meant if split in places and name in SPLIT_NAMES[split])


def split_of(path: PurePath) -> Split:
    """The split of an image in a data set without splits, by a hash of its path there."""
    digest = hashlib.sha256(path.as_posix().encode("utf-8", "surrogateescape")).digest()
    return "test" if int.from_bytes(digest[:8]) < TEST_SHARE * 2**64 else "train"


def _files(folder: Path, root: Path) -> Iterator[Path]:
    """All files in a folder and in the folders inside it, but for hidden ones.

    Raises:
        ValueError: if a link leads to a folder, or to a file that is not in the data set, see `check_link`.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in folders:
            check_link(Path(place, name), root)
        for name in sorted(names):
            if name[0] != ".":
                check_link(Path(place, name), root)
                yield Path(place, name)


def check_link(path: Path, root: Path) -> None:
    """Refuses a link by which an image would be read twice, without end, or from a place that nobody named.

    Args:
        path: of a file or folder, which need not be a link.
        root: the folder of the whole data set, itself a link or not.

    Raises:
        ValueError: if it is a link to a folder, wherever that is, or out of the data set.
    """
    if path == root or not path.is_symlink():
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


def _endings(paths: Iterable[Path]) -> tuple[str, ...]:
    """Of the names of images among some files."""
    return ENDINGS if any(_ending(path) in ENDINGS for path in paths) else (ARRAY,)


def _ending(path: Path) -> str:
    return path.suffix.lower() or "no ending"


def _folders(place: Path) -> list[str]:
    """The names of the folders in a place, but for the hidden ones that tools leave; none if it does not exist."""
    return [path.name for path in place.iterdir() if path.is_dir() and path.name[0] != "."] if place.is_dir() else []
