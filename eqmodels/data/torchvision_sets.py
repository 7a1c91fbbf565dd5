"""Data sets that torchvision's classes read and download, and the folders where their files are looked for.

Files are looked for in `search_folders`, in torchvision's layout or as a folder of gzipped files
(``fashion-mnist/train-images-idx3-ubyte.gz``, as published); else torchvision downloads them, with progress, into the
first of these folders that can be written; only complete downloads are kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import calculate_md5, extract_archive

from eqmodels.arguments import check_arguments
from eqmodels.data.memory import LabelledImages
from eqmodels.data.registry import Split, register_source

__all__ = ["DEBIAN", "SETS", "TorchvisionSet", "search_folders"]

DEBIAN = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put their files."""


@dataclass(frozen=True)
class TorchvisionSet:
    """How torchvision reads one data set: its class, the arguments of a split, and a folder of its raw files."""

    open: Any
    splits: dict[str, dict[str, Any]]
    raw: tuple[str, str] | None = None
    """Name of a flat folder of gzipped files, and the folder of torchvision's where they are looked for."""


_TRAIN_FLAG = {"train": {"train": True}, "test": {"train": False}}
SETS = {
    "fashion_mnist": TorchvisionSet(datasets.FashionMNIST, _TRAIN_FLAG, ("fashion-mnist", "FashionMNIST/raw")),
    "mnist": TorchvisionSet(datasets.MNIST, _TRAIN_FLAG, ("mnist", "MNIST/raw")),
    "cifar10": TorchvisionSet(datasets.CIFAR10, _TRAIN_FLAG),
    "cifar100": TorchvisionSet(datasets.CIFAR100, _TRAIN_FLAG),
    "stl10": TorchvisionSet(datasets.STL10, {"train": {"split": "train"}, "test": {"split": "test"}}),
}
_STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def _load(name: str, split: Split, root: str | Path | None, download: bool) -> LabelledImages:
    """A data set of torchvision, in memory.

    Raises:
        FileNotFoundError: if its files are nowhere, and could not be downloaded; says what was tried.
    """
    tried: list[str] = []
    data = _find(name, split, search_folders(root), tried)
    if data is None and download:
        data = _download(name, split, [folder for folder in search_folders(root) if folder != DEBIAN], tried)
    if data is not None:
        return data
    raise FileNotFoundError(
        f"the files of {name} were not found; tried {'; '.join(tried)}. Name the folder that has them by root= "
        "(--root), or in the variable EQMODELS_DATA, or use fashion_mnist_mini, which is part of the package."
    )


def _register(name: str) -> None:
    @register_source(name)
    def read(split: Split, *, root: str | Path | None = None, download: bool = True) -> LabelledImages:
        """A data set that torchvision reads, in memory.

        Args:
            split: ``"train"`` or ``"test"``.
            root: a folder to look into first, before ``$EQMODELS_DATA``, ``$TORCH_HOME/datasets`` and Debian's folder.
            download: whether to download what is not found.

        Raises:
            FileNotFoundError: if its files are nowhere, and could not be downloaded; says what was tried.
        """
        return _load(name, split, root, download)


for _name in SETS:
    _register(_name)


def search_folders(root: str | Path | None = None) -> list[Path]:
    """Where data is looked for: the argument, ``$EQMODELS_DATA``, ``$TORCH_HOME/datasets``, Debian's folder.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(search_folders, locals())
    named = [root, os.environ.get("EQMODELS_DATA")]
    return [
        *(Path(folder).expanduser() for folder in named if folder),
        Path(torch.hub.get_dir()).parent / "datasets",
        DEBIAN,
    ]


def _find(name: str, split: Split, folders: list[Path], tried: list[str]) -> LabelledImages | None:
    """The data of the first folder that has it; what is wrong with the others is added to `tried`."""
    source = SETS[name]
    for folder in folders:
        try:
            with _torchvision_root(folder, source) as prepared:
                return _in_memory(name, source.open(str(prepared), **source.splits[split], download=False))
        except Exception as error:
            tried.append(f"{folder} ({_one_line(error)})")
    return None


def _download(name: str, split: Split, folders: list[Path], tried: list[str]) -> LabelledImages | None:
    """The data downloaded into the first folder that can be written; what went wrong is added to `tried`."""
    source = SETS[name]
    for folder in folders:
        try:
            # Some versions of torchvision print to standard output, which belongs to the program's results.
            with _staging(folder) as staging, redirect_stdout(sys.stderr):
                try:
                    data = _in_memory(name, source.open(str(staging), **source.splits[split], download=True))
                    _move_files(staging, folder)
                except Exception as error:
                    tried.append(f"a download into {folder} ({_one_line(error)})")
                    return None
                return data
        except OSError as error:
            tried.append(f"a download into {folder} ({_one_line(error)})")
    return None


@contextmanager
def _torchvision_root(folder: Path, source: TorchvisionSet) -> Iterator[Path]:
    """The folder as torchvision lays it out: itself, or a temporary one into which gzipped files are unpacked."""
    archives = _archives(folder, source)
    if not archives or source.raw is None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary) / source.raw[1]
        raw.mkdir(parents=True)
        for archive in archives:
            extract_archive(str(archive), str(raw))
        yield Path(temporary)


def _archives(folder: Path, source: TorchvisionSet) -> list[Path]:
    """The gzipped files of a data set in a folder, or in the one of its name therein; none if there are none.

    Raises:
        ValueError: if they are those of another data set.
    """
    if source.raw is None:
        return []
    # Data sets have files of the same names: what lies in the folder of one is not another, nor is what was published
    # as another.
    others = {name: other for name, other in SETS.items() if other.raw and other is not source}
    flat = [folder / source.raw[0], folder]
    if folder.name in {other.raw[0] for other in others.values() if other.raw}:
        flat = flat[:1]
    archives = next((found for place in flat if (found := sorted(place.glob("*-ubyte.gz")))), [])
    owners = {md5: name for name, other in others.items() for _, md5 in other.open.resources}
    owner = next((owners[md5] for archive in archives if (md5 := calculate_md5(archive)) in owners), None)
    if owner is None:
        return archives
    if (folder / source.raw[1]).is_dir():  # the data set itself, as torchvision lays it out
        return []
    raise ValueError(f"holds files of {owner}")


def _in_memory(name: str, dataset: Any) -> LabelledImages:  # noqa: ANN401 (torchvision's classes share no base)
    data, targets = dataset.data, dataset.labels if name == "stl10" else dataset.targets
    images = data if isinstance(data, Tensor) else torch.from_numpy(np.asarray(data))
    if images.dim() == 3:
        images = images[:, None]
    elif name != "stl10":
        images = images.permute(0, 3, 1, 2)
    classes = _STL10_CLASSES if name == "stl10" else tuple(dataset.classes)
    return LabelledImages(name, images.contiguous(), torch.as_tensor(targets).long(), classes)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, which is made if need be and taken away again if nothing was put there."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as staging:
            yield Path(staging)
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()


def _move_files(source: Path, target: Path) -> None:
    """Moves the files of a folder, each at once, to the same places in another one of the same disk."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def _one_line(error: Exception) -> str:
    said = " ".join(str(error).split()).removesuffix("You can use download=True to download it")
    return said.strip().rstrip(".") or type(error).__name__
