"""The zoo: pretrained networks in the repository's folder ``zoo/`` or embedded in the package."""

from __future__ import annotations

import difflib
import fnmatch
from pathlib import Path

from eqmodels.training import CHECKPOINT, CONFIG, Run, load_run, load_unfinished

__all__ = ["list_pretrained", "load_pretrained"]

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE.parent / "zoo", PACKAGE / "hub" / "zoo")
"""A checkout's zoo, and the part of it that the wheel embeds."""


def list_pretrained(pattern: str = "*") -> list[str]:
    """The names of the pretrained networks at hand that match a shell pattern, sorted.

    Example:
        >>> "c4_resnet18_w16.rot_fmnist_simclr" in list_pretrained("c4*")
        True
    """
    names = {config.parent.name for folder in FOLDERS for config in folder.glob(f"*/{CONFIG}")}
    return sorted(fnmatch.filter(names, pattern))


def load_pretrained(name: str | Path) -> Run:
    """A pretrained network with its heads, in eval mode: from the zoo, or from the folder of a run.

    Args:
        name: a name of the zoo, ``<architecture>.<task>_<data>``; a folder that `eqmodels pretrain` wrote, of which the
            last checkpoint counts if the run is not done; or a checkpoint's file.

    Raises:
        ValueError: if there is neither such a folder nor such a name; gives the nearest names.
        TrainingError: if the files are damaged or of another version.

    Example:
        >>> run = load_pretrained("c4_resnet18_w16.rot_fmnist_simclr")
        >>> run.encoder("canonical").num_features
        128
    """
    path = Path(name)
    if path.suffix == ".pt" and path.is_file():
        return load_unfinished(path)
    for folder in (path, *(zoo / str(name) for zoo in FOLDERS)):
        if (folder / CONFIG).is_file():
            return load_run(folder)
    if (path / CHECKPOINT).is_file():
        return load_unfinished(path / CHECKPOINT)
    if path.is_dir():
        return load_run(path)  # says what is missing
    nearest = difflib.get_close_matches(str(name), list_pretrained(), n=3, cutoff=0.0)
    raise ValueError(
        f"{str(name)!r} is neither the folder of a run nor a pretrained network; the nearest names are "
        f"{', '.join(nearest) or 'none: this installation has no zoo'}. eqmodels models --pretrained lists all."
    )
