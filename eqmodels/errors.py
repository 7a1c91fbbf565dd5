"""The error of whatever this package cannot do, and that of a name that nothing has."""

from __future__ import annotations

__all__ = ["EqmodelsError", "UnknownNameError"]


class EqmodelsError(RuntimeError):
    """Something that cannot be done; the sentence says why, what is left, and the way out."""


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the sentence gives the nearest ones."""
