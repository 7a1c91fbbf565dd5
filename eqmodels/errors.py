"""The error of whatever this package cannot do."""

from __future__ import annotations

__all__ = ["EqmodelsError"]


class EqmodelsError(RuntimeError):
    """Something that cannot be done; the sentence says why, what is left, and the way out."""
