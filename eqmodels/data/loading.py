"""Data sets by name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

from eqmodels.arguments import check_arguments
from eqmodels.data import (  # noqa: F401 (they register what they read)
    array_file,
    clipart_mini,
    folder,
    hf_disk,
    imagenet,
    mini,
    openclipart,
    shards,
    table,
    torchvision_sets,
)
from eqmodels.data.registry import SOURCES, Split, has_validation
from eqmodels.data.source import Source, check_source
from eqmodels.data.space import (  # noqa: F401 (so do these)
    chemical_structures,
    furniture,
    kicad,
    kicad_mini,
    point_folder,
    qm9,
    scanobjectnn,
)
from eqmodels.options import check_options, options_of
from eqmodels.registry import UnknownNameError

__all__ = ["list_data", "load_data"]


def list_data(pattern: str = "*") -> list[str]:
    """The names that `load_data` knows and that match a shell pattern, sorted.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(list_data, locals())
    return SOURCES.names(pattern)


def load_data(name: str, split: Split = "train", **options: Any) -> Source:  # noqa: ANN401 (each has its own)
    """A data set by its name.

    Args:
        name: one of `list_data`; ``"fashion_mnist_mini"`` is part of the package.
        split: ``"train"`` or ``"test"``; or ``"validation"``, of folders, tables, shards and data sets of Hugging Face
            that have such images.
        **options: those of the data set, such as `root`, the folder that has its files; one that is None is left out.

    Raises:
        ValueError: if the name or the split is unknown, or an option would be of no effect.
        TypeError: if no data set has such an option, or its value is of another type, or what was registered gives no
            source.
        FileNotFoundError: if files are nowhere, and could not be downloaded; says what was tried.
    """
    check_arguments(load_data, {"split": split})
    reader = SOURCES.find(name)
    if split not in get_args(Split):
        raise ValueError(f"split must be 'train', 'test' or 'validation'; got {split!r}. Use 'train'.")
    if split == "validation" and not has_validation(name):
        raise ValueError(f"data {name!r} has no split 'validation'; it has 'train' and 'test'. Use 'test'.")
    given = {option: value for option, value in options.items() if value is not None}
    for option in given.keys() - options_of(reader, without=("split",)).keys():
        if takers := _takers(option):
            raise ValueError(
                f"{option} is for {', '.join(takers)} only; got {given[option]!r} for {name}. "
                f"Leave it out (--{option.replace('_', '-')})."
            )
    check_options(reader, given, subject=f"data {name!r}", without=("split",))
    return check_source(reader(split, **given), name)


def _takers(option: str) -> list[str]:
    """The data sets that have an option, without importing what other distributions have."""
    takers = []
    for name in SOURCES.names():
        with suppress(UnknownNameError):
            if option in options_of(SOURCES.find(name, plugins=False), without=("split",)):
                takers.append(name)
    return takers
