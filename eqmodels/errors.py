"""The error of whatever this package cannot do, and that of a name that nothing has."""

from __future__ import annotations

import difflib
from collections.abc import Collection

__all__ = ["EqmodelsError", "UnknownNameError", "nearest_names"]


class EqmodelsError(RuntimeError):
    """Something that cannot be done; the sentence says why, what is left, and the way out."""


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the sentence gives the nearest ones."""


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
