"""The error of whatever this package cannot do, that of a name that nothing has, and what sentences say of values."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import TypeVar

__all__ = [
    "EqmodelsError",
    "UnknownNameError",
    "is_one_of",
    "is_shared",
    "is_told_by_first",
    "like",
    "nearest_names",
    "shared",
    "shown",
]

E = TypeVar("E", bound=Exception)

LONGEST = 80
"""Letters of a value in a sentence."""


class EqmodelsError(RuntimeError):
    """Something that cannot be done; the sentence says why, what is left, and the way out."""


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the sentence gives the nearest ones."""


def is_one_of(value: object, choices: Collection[object]) -> bool:
    """Whether a value is one of some words or numbers; of an array, which answers ``==`` by an array, False."""
    return (value is None or isinstance(value, str | int | float)) and value in choices


def nearest_names(word: str, names: Collection[str], count: int) -> list[str]:
    """The names that a word may have meant, at most so many: those that begin with it, then those spelled most like it.

    Args:
        word: what was typed; of a very long one the beginning counts.
        names: to choose from.
        count: of names, at most.
    """
    begun = sorted((name for name in names if word and name.startswith(word)), key=len)
    alike = difflib.get_close_matches(word[:200], names, n=count)
    return list(dict.fromkeys([*begun, *alike]))[:count]


def shown(value: object) -> str:
    """A value in a sentence, whatever it is: on one line, of a tensor or an array the kind, of what is long the start.

    Example:
        >>> shown(["c4"]), shown(10**5000)
        ("['c4']", 'an integer of more digits than Python prints')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)} and {value.dtype}"
    if isinstance(value, list | tuple | dict) and len(value) > LONGEST:  # whose text would be long to make
        return f"a {type(value).__name__} of {len(value)} values"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "an integer of more digits than Python prints"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def shared(error: E, *, is_first: bool) -> E:
    """The error itself, marked as one that all processes of a run end with, so that the first alone says it.

    Args:
        error: which each of them has.
        is_first: whether this is the first process.
    """
    error.is_told_by_first = not is_first  # type: ignore[attr-defined]
    return error


def like(error: E, other: Exception) -> E:
    """The error itself, marked as another one is, in whose place it is."""
    return shared(error, is_first=not is_told_by_first(other)) if is_shared(other) else error


def is_shared(error: Exception) -> bool:
    """Whether all processes of a run end with this error."""
    return hasattr(error, "is_told_by_first")


def is_told_by_first(error: Exception) -> bool:
    """Whether the first of several processes ends with the same error, and says it for all."""
    return getattr(error, "is_told_by_first", False)
