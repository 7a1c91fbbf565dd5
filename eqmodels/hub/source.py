"""Where a pretrained network lies: in the zoo, in a folder, or on the Hugging Face Hub."""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqmodels.hub.download import PICKLES, Fetch
from eqmodels.hub.index import ZooEntry, read_index
from eqmodels.storage import CONFIG, WEIGHTS, StorageError, sha256_of
from eqmodels.training import CHECKPOINT

__all__ = ["FOLDERS", "Source", "list_pretrained", "locate"]

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE.parent / "zoo", PACKAGE / "hub" / "zoo")
"""A checkout's zoo, and the part of it that the wheel embeds."""

HUB = "hub:"


@dataclass(frozen=True)
class Source:
    """Files of a pretrained network, on this machine.

    Attributes:
        folder: that holds them.
        entry: of the index, if it is a network of the zoo.
    """

    folder: Path
    entry: ZooEntry | None = None

    def check(self) -> None:
        """Refuses weights that are not those of the index.

        Raises:
            StorageError: if size or sha256 differ.
        """
        if self.entry is None:
            return
        file = self.folder / self.entry.file
        size = file.stat().st_size if file.is_file() else 0
        if size != self.entry.size or sha256_of(file) != self.entry.sha256:
            way_out = (
                f"Delete it, and load {self.entry.name} again."
                if self.entry.commit
                else "It is not on the Hub yet: take the one of a checkout of eqmodels, zoo/."
            )
            raise StorageError(
                f"{file} is not the file of the zoo's index: {size} bytes instead of {self.entry.size}, or another "
                f"sha256 than {self.entry.sha256[:12]}.... {way_out}"
            )


def list_pretrained(pattern: str = "*") -> list[str]:
    """The names of the pretrained networks that match a shell pattern, sorted: of the index, and in the zoo's folders.

    Example:
        >>> "c4_resnet18_w16.rot_fmnist_simclr" in list_pretrained("c4*")
        True
    """
    at_hand = {name for folder in FOLDERS for name in _names(folder)}
    published = {name for name, entry in read_index().items() if entry.commit is not None}
    return sorted(fnmatch.filter(at_hand | published, pattern))


def locate(source: str | Path, **options: Any) -> Source:  # noqa: ANN401 (the fields of `Fetch`)
    """The folder of a network, fetched from the Hub if need be.

    Args:
        source: a name of the zoo, whose weights in a checkout or in the wheel come before any network; the path of a
            folder; or ``"hub:organisation/name[@revision]"``.
        **options: of `Fetch`, for what is on the Hub.

    Raises:
        StorageError: if the files cannot be had, or are not those of the index.
        ValueError: if there is no such name or folder; gives the nearest names.
    """
    name = str(source)
    if name.startswith(HUB):
        repository, _, revision = name.removeprefix(HUB).partition("@")
        return Source(Fetch(repository, **({"revision": revision or None} | _given(options))).folder())
    entry = read_index().get(name)
    at_hand = next((folder / name for folder in FOLDERS if name in _names(folder)), None)
    if at_hand is not None:
        found = Source(at_hand, entry)
        found.check()
        return found
    path = Path(source)
    if os.path.isdir(path):  # unlike `Path.is_dir`, also of a name that is too long for the system
        _refuse_pickles(path)
        return Source(path)
    if entry is None:
        nearest = difflib.get_close_matches(name, list_pretrained(), n=3, cutoff=0.0)
        raise ValueError(
            f"{name[:200]!r} is neither the folder of a run nor a pretrained network; the nearest names are "
            f"{', '.join(nearest) or 'none: this installation has no zoo'}. eqmodels models --pretrained lists all."
        )
    if entry.commit is None:
        raise StorageError(
            f"{name} is not on the Hub yet, and this installation does not have it. Its weights are in the folder zoo/ "
            "of a checkout of eqmodels."
        )
    options = {"revision": entry.commit} | _given(options)
    found = Source(Fetch(entry.repository, **options).folder(), entry if options["revision"] == entry.commit else None)
    found.check()
    return found


def _names(zoo: Path) -> set[str]:
    """The networks in a zoo's folder. Names are looked up, never joined to a path, so that none leads out of it."""
    return {config.parent.name for config in zoo.glob(f"*/{CONFIG}")}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse_pickles(folder: Path) -> None:
    """Says why a folder with pickles alone is not loaded."""
    if (folder / WEIGHTS).exists() or (folder / CHECKPOINT).exists():
        return
    if pickles := sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES):
        raise StorageError(
            f"{folder} has no {WEIGHTS}, only {pickles[0]}: a pickle, which can run any code when it is opened and is "
            "never loaded. Save it as safetensors."
        )
