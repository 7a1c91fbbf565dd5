"""Any directory of meshes and clouds of points, and ModelNet40, which is one: a folder a class, or no classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data.image_files import check_link, split_of
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.clouds import LabelledClouds
from eqmodels.data.space.meshes import ENDINGS
from eqmodels.data.space.sampled import sampled_clouds

__all__ = ["PointFiles", "point_files", "read_modelnet40", "read_point_folder"]

SPLITS: tuple[Split, ...] = ("train", "test")


class PointFiles(NamedTuple):
    """The files of a split.

    Attributes:
        paths: by the order of their names.
        labels: the class of each, -1 without classes.
        classes: of the whole directory; empty if files lie in no folders.
    """

    paths: list[Path]
    labels: list[int]
    classes: tuple[str, ...]


def point_files(root: Path, split: Split, endings: tuple[str, ...] = ENDINGS) -> PointFiles:
    """The meshes and clouds of a split of a directory.

    ``root/class/file``, or ``root/file`` without classes; with folders ``train`` and ``test`` outermost or inside the
    classes (``root/class/train/file``, as of ModelNet40), these are the splits, else a fifth is for testing, by a hash
    of the path. Names that begin with a point are left out.

    Args:
        root: the directory.
        split: ``"train"`` or ``"test"``.
        endings: of the files.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the directory does not exist, or has no such files.
        ValueError: if a link in it leads to a folder, or out of it.
    """
    check_arguments(point_files, locals())
    found: list[tuple[str, Path, Split | None]] = []
    for path in _files(root) if root.is_dir() else ():
        if path.suffix.lower() in endings:
            folders = path.relative_to(root).parts[:-1]
            named = [own for own in SPLITS if own in folders[:2]]
            rest = [folder for folder in folders if folder not in named]
            found.append((rest[0] if rest else "", path, named[0] if named else None))
    has_splits = any(own is not None for _, _, own in found)
    classes = tuple(sorted({name for name, _, _ in found if name}))
    chosen = []
    for name, path, own in found:
        belongs = own if has_splits else split_of(path.relative_to(root))
        if belongs == split and (name or not classes):
            chosen.append((path, classes.index(name) if classes else -1))
    if not chosen:
        raise FileNotFoundError(
            f"{root} has no meshes or clouds ({', '.join(endings)}) for split={split!r}. Name a folder with some as "
            "class/name.ply, or name.ply without classes, by root= (--root)."
        )
    return PointFiles([path for path, _ in chosen], [label for _, label in chosen], classes)


def _files(root: Path) -> Iterator[Path]:
    """All files of a directory, sorted, but for hidden ones."""
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in (*folders, *names):
            check_link(Path(place, name), root)
        yield from (Path(place, name) for name in sorted(names) if name[0] != ".")


@register_source("point_folder")
def read_point_folder(
    split: Split,
    *,
    root: str | Path | None = None,
    points: int | None = None,
    sample_seed: int | None = None,
    up: Literal["z", "y"] = "z",
    aligned: bool = False,
    cache: str | Path | None = None,
) -> LabelledClouds:
    """Clouds of a directory of meshes and point files: .npy, .obj, .off, .ply, .stl, .wrl; see `point_files`.

    Points are drawn uniformly from the faces; of files that have none, from their points. Place and size are lost.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the directory.
        points: of a cloud; None for 512.
        sample_seed: of the points that are drawn; None for 0.
        up: the axis that is up in the files.
        aligned: whether all stand upright and face one way, as orientations are learned from such alone.
        cache: a folder that keeps the clouds, so that no later command reads the files.

    Raises:
        FileNotFoundError: if the directory does not exist or the split has no files.
        ValueError: if no directory is named, a number breaks its rule, or a file cannot be read.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if a file needs trimesh, and it is not installed.
    """
    if root is None:
        raise ValueError("point_folder needs the folder of meshes or clouds; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    files = point_files(base, split)
    images = sampled_clouds(files.paths, base, points=points, seed=sample_seed, up=up, cache=cache)
    labels = torch.tensor(files.labels)
    return LabelledClouds(f"point_folder:{base.name}", images, labels, files.classes, aligned=aligned)


@register_source("modelnet40")
def read_modelnet40(
    split: Split,
    *,
    root: str | Path | None = None,
    points: int | None = None,
    sample_seed: int | None = None,
    cache: str | Path | None = None,
) -> LabelledClouds:
    """Clouds of ModelNet40: 9,843 training and 2,468 test meshes of 40 classes, of those who have its files.

    They stand upright and, in the aligned release, face one way. Its protocols z/z, z/SO3 and SO3/SO3 are those of
    `in_random_poses`.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder that has airplane/train/airplane_0001.off, ....
        points: of a cloud; None for 512.
        sample_seed: of the points that are drawn; None for 0.
        cache: a folder that keeps the clouds, so that no later command reads the meshes.

    Raises:
        FileNotFoundError: if the folder has no such files.
        ValueError: if no folder is named, a number breaks its rule, or a file cannot be read.
        StorageError: if the cache cannot be written, or is damaged.

    Source: Wu et al. 2015, *3D ShapeNets*, arXiv 1406.5670.
    """
    if root is None:
        raise ValueError("modelnet40 needs the folder of ModelNet40; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    files = point_files(base, split, (".off",))
    images = sampled_clouds(files.paths, base, points=points, seed=sample_seed, cache=cache)
    return LabelledClouds("modelnet40", images, torch.tensor(files.labels), files.classes, aligned=True)
