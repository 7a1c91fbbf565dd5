"""Where sources of images are registered, by the word that names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from eqmodels.arguments import check_arguments
from eqmodels.data.source import Source
from eqmodels.registry import Registry

__all__ = ["READING", "SOURCES", "SPLIT_NAMES", "Split", "register_source"]

Split = Literal["train", "test"]

SPLIT_NAMES: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val", "valid", "validation")}
"""What people call each split; of several names that are there, the first is meant."""

READING = ("split", "root", "stream", "cache", "workers")
"""Options of a source that say where and how its images are read, and not which they are: no part of a run's config."""

SOURCES = Registry[Callable[..., Source]]("source", option="data")
"""Functions ``(split, *, root=None, <own options>) -> Source``, by name."""

Reader = TypeVar("Reader", bound=Callable[..., Source])


def register_source(name: str) -> Callable[[Reader], Reader]:
    """Registers a function that opens a data set, as a decorator that gives it back unchanged.

    The function takes the split, ``"train"`` or ``"test"``, and by name alone `root`, the folder of the data, where it
    reads one, and whatever else may be chosen; the ``Args:`` of its docstring are the help of the command line.
    It gives a `Source`.

    Args:
        name: a lower-case word, as the command line and configs have it.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the name is none, or something else has it.

    `examples/own_source.py` is one.
    """
    check_arguments(register_source, locals())
    return SOURCES.register(name)
