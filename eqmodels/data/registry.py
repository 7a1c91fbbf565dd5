"""Where sources of images are registered, by the word that names them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, TypeVar

from eqmodels.arguments import check_arguments
from eqmodels.data.source import Source
from eqmodels.registry import Registry

__all__ = ["READING", "SOURCES", "SPLIT_NAMES", "Split", "has_validation", "named_splits", "register_source"]

Split = Literal["train", "test", "validation"]

VALIDATION = ("val", "valid", "validation")

SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test", *VALIDATION),
    "validation": VALIDATION,
}
"""What people call each split; of several names that are there, the first is meant. So images that are called ``val``
are those to choose on, and those to test on too where no others are there."""

READING = ("split", "root", "stream", "cache", "workers")
"""Options of a source that say where and how its images are read, and not which they are: no part of a run's config."""

SOURCES = Registry[Callable[..., Source]]("source", option="data")
"""Functions ``(split, *, root=None, <own options>) -> Source``, by name."""

VALIDATED: set[str] = set()
"""Names of the sources that are asked for a split ``"validation"``."""

Reader = TypeVar("Reader", bound=Callable[..., Source])


def register_source(name: str, *, validation: bool = False) -> Callable[[Reader], Reader]:
    """Registers a function that opens a data set, as a decorator that gives it back unchanged.

    The function takes the split, ``"train"`` or ``"test"``, and by name alone `root`, the folder of the data, where it
    reads one, and whatever else may be chosen; the ``Args:`` of its docstring are the help of the command line.
    It gives a `Source`.

    Args:
        name: a lower-case word, as the command line and configs have it.
        validation: whether the function is asked for the split ``"validation"`` too, images to choose on; it raises a
            `FileNotFoundError` where the data have no such split.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the name is none, or something else has it.

    `examples/own_source.py` is one.
    """
    check_arguments(register_source, locals())
    if validation:
        VALIDATED.add(name)
    return SOURCES.register(name)


def has_validation(name: str) -> bool:
    """Whether the source of this name can be asked for a split ``"validation"``."""
    return name in VALIDATED


def named_splits(present: Collection[str]) -> dict[Split, str]:
    """Which of the names that are there stands for each split, of those that have one."""
    found = {split: [name for name in names if name in present] for split, names in SPLIT_NAMES.items()}
    return {split: names[0] for split, names in found.items() if names}
