"""What this package cannot do, in one sentence."""

from __future__ import annotations

__all__ = ["EqmodelsError", "StorageError"]


class EqmodelsError(RuntimeError):
    """Something that cannot be done; the sentence says why, what is left, and the way out."""


class StorageError(EqmodelsError):
    """A file that cannot be written, or is not what it should be."""
