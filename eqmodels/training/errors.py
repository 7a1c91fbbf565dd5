"""What ends a training with one sentence."""

from __future__ import annotations

__all__ = ["TrainingError"]


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the sentence says why, and what is left on the disk."""
