"""Where a pretrained network lies: in the zoo, in a folder, or on the Hugging Face Hub."""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
from dataclasses import dataclass
from pathlib import Path

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.remote.download import PICKLES, Fetch
from eqmodels.remote.elsewhere import read_elsewhere
from eqmodels.remote.index import ZooEntry, read_index
from eqmodels.storage import (
    CHECKPOINT,
    CONFIG,
    PREVIOUS_CHECKPOINT,
    WEIGHTS,
    StorageError,
    printable,
    reason_of,
    sha256_of,
)

__all__ = ["FOLDERS", "HUB", "Located", "is_pretrained", "list_pretrained", "locate", "located_here", "zoo_folders"]

HUB = "hub:"
"""What a source on the Hub begins with."""

KINDS = "a name of the zoo, the path of a folder or 'hub:organisation/name'"


def zoo_folders(package: Path) -> tuple[Path, ...]:
    """The folders that hold networks of the zoo: that of a checkout, and the part of it that the wheel embeds.

    Args:
        package: the folder ``eqmodels``. What lies beside it is a checkout only if this is eqmodels' own project;
            ``site-packages/zoo`` is another package's.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(zoo_folders, locals())
    project, embedded = package.parent / "pyproject.toml", package / "remote" / "zoo"
    try:
        is_checkout = re.search(r'^name = "eqmodels"$', project.read_text("utf-8"), re.MULTILINE) is not None
    except (OSError, UnicodeDecodeError):
        is_checkout = False
    return (package.parent / "zoo", embedded) if is_checkout else (embedded,)


FOLDERS = zoo_folders(Path(__file__).parents[1])


@dataclass(frozen=True)
class Located:
    """Files of a pretrained network, on this machine.

    Attributes:
        folder: that holds them.
        entry: of the index, if it is a network of the zoo.
    """

    folder: Path
    entry: ZooEntry | None = None

    def check(self) -> None:
        """Refuses weights, and a config, that are not those of the index.

        The config is pinned too: it says how images are normalised, and its own golden features agree with whatever it
        says.

        Raises:
            StorageError: if size or sha256 differ.
        """
        if self.entry is None:
            return
        file, config = self.folder / self.entry.file, self.folder / CONFIG
        way_out = (
            f"Delete it, and load {self.entry.name} again."
            if self.entry.commit
            else "It is not on the Hub yet: take the one of a checkout of eqmodels, zoo/."
        )
        size = file.stat().st_size if file.is_file() else 0
        if size != self.entry.size or sha256_of(file) != self.entry.sha256:
            raise StorageError(
                f"{file} is not the file of the zoo's index: {size} bytes instead of {self.entry.size}, or another "
                f"sha256 than {self.entry.sha256[:12]}.... {way_out}"
            )
        if sha256_of(config) != self.entry.config_sha256:
            raise StorageError(
                f"{config} is not the file of the zoo's index: it has another sha256 than "
                f"{self.entry.config_sha256[:12]}.... {way_out}"
            )


def list_pretrained(pattern: str = "*") -> list[str]:
    """The names of the pretrained networks that match a shell pattern, sorted: of the index, and in the zoo's folders.

    Raises:
        TypeError: if an argument is of another type.

    Example:
        >>> "c4_resnet18s_w16.rot_fmnist_simclr" in list_pretrained("c4*")
        True
    """
    check_arguments(list_pretrained, locals())
    at_hand = {name for folder in FOLDERS for name in _names(folder)}
    published = {name for name, entry in read_index().items() if entry.commit is not None}
    return sorted(fnmatch.filter(at_hand | published, pattern))


def is_pretrained(source: str | Path) -> bool:
    """Whether a source is a name of the zoo, whatever else has this name. A `Path` never is."""
    return isinstance(source, str) and (source in read_index() or located_here(source) is not None)


def locate(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    extras: tuple[str, ...] = (),
) -> Located:
    """The folder of a network, fetched from the Hub if need be.

    Args:
        source: a name of the zoo, whose weights in a checkout or in the wheel come before any network; the path of a
            folder; or ``"hub:organisation/name[@revision]"``.
        revision: of what is on the Hub: a commit, tag or branch; None for that of the source, else the main branch or,
            for a name of the zoo, the commit of the index.
        token: of the Hub; None for the one that the Hub's client knows, False for none.
        cache_dir: where files of the Hub are kept; None for its standard cache.
        force_download: whether to fetch files of the Hub that the cache has.
        local_files_only: whether to ask the Hub nothing.
        extras: names of more files to fetch, if the repository has them.

    Raises:
        StorageError: if the files cannot be had, or are not those of the index.
        ValueError: if there is no such name or folder (gives the nearest names), or a revision is named twice, or of
            what is not on the Hub.
        TypeError: if the source is no name or path.
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"source must be {KINDS}; got {printable(shown(source))}. Name one.")
    name = str(source)
    if not name:
        raise ValueError(f"source must be {KINDS}; got ''. Name one.")

    def fetched(repository: str, commit: str | None) -> Path:
        return Fetch(repository, commit, token, cache_dir, force_download, local_files_only, extras).folder()

    if name.startswith(HUB):
        repository, at, named = name.removeprefix(HUB).partition("@")
        if at and revision not in (None, named):
            raise ValueError(
                f"the revision is given twice, in {printable(repr(name))} and as revision={printable(repr(revision))}; "
                "drop one."
            )
        return Located(fetched(repository, named if at else revision))
    if not is_pretrained(source):
        return Located(_folder(name, revision))
    entry, folder = read_index().get(name), located_here(name)
    pinned = None if entry is None else entry.commit
    if folder is not None:
        if revision not in (None, pinned):
            raise _not_on_the_hub(revision, name, folder)
    elif entry is None or pinned is None:
        raise StorageError(
            f"{name} is not on the Hub yet, and this installation does not have it. Its weights are in the folder zoo/ "
            "of a checkout of eqmodels."
        )
    else:
        folder = fetched(entry.repository, pinned if revision is None else revision)
    found = Located(folder, entry if revision in (None, pinned) else None)
    found.check()
    return found


def _names(zoo: Path) -> set[str]:
    """The networks in a zoo's folder. Names are looked up, never joined to a path, so that none leads out of it."""
    return {config.parent.name for config in zoo.glob(f"*/{CONFIG}")}


def located_here(name: str) -> Path | None:
    """The folder of a network of the zoo, if this installation has it."""
    return next((folder / name for folder in FOLDERS if name in _names(folder)), None)


def _folder(name: str, revision: str | None) -> Path:
    """The folder of a network that is not of the zoo.

    Raises:
        ValueError: if there is none, or a revision of it is asked for.
        StorageError: if it holds no finished network, or others publish a network of this name.
    """
    folder = Path(name)
    if not os.path.isdir(name) and (elsewhere := read_elsewhere().get(name)) is not None:
        raise StorageError(f"{elsewhere.way()}.")
    if not os.path.isdir(name):  # unlike `Path.is_dir`, also of a name that is too long for the system
        nearest = difflib.get_close_matches(name[:200], list_pretrained(), n=3, cutoff=0.0)
        raise ValueError(
            f"source {printable(repr(name))} is neither the folder of a run nor a pretrained network; the nearest "
            f"names are {', '.join(nearest) or 'none: this installation has no zoo'}. eqmodels models --pretrained "
            "lists all."
        )
    if revision is not None:
        raise _not_on_the_hub(revision, name, folder)
    missing = [file for file in (CONFIG, WEIGHTS) if not os.path.isfile(folder / file)]
    if not missing:
        return folder
    try:
        files = sorted(os.listdir(folder))
    except OSError as error:
        raise StorageError(f"{folder} cannot be read ({reason_of(error)}). Name another folder.") from error
    checkpoints = [file for file in (CHECKPOINT, PREVIOUS_CHECKPOINT) if file in files]
    if CONFIG in missing and checkpoints:
        raise StorageError(
            f"{folder} is the folder of a run that is not done: it has {checkpoints[0]} and no {CONFIG}. Let it go on "
            "to its end (eqmodels pretrain), or take its last checkpoint with eqmodels.hub.load_pretrained."
        )
    if pickles := [file for file in files if file.endswith(PICKLES) and file not in checkpoints]:
        raise StorageError(
            f"{folder} has no {missing[-1]}, only {printable(pickles[0])}: a pickle, which can run any code when it is "
            "opened and is never loaded. Save it as safetensors."
        )
    raise StorageError(
        f"{folder} has no {missing[0]}, and so is not the folder of a network. Name one that eqmodels pretrain or "
        "save_pretrained wrote."
    )


def _not_on_the_hub(revision: str | None, name: str, folder: Path) -> ValueError:
    return ValueError(
        f"revision is a commit, tag or branch on the Hub; got {printable(repr(revision))} for {printable(repr(name))}, "
        f"which is the folder {folder}. Drop it, or name the repository: hub:organisation/name."
    )
