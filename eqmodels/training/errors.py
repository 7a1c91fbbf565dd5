"""What ends a training with one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eqmodels.errors import EqmodelsError
from eqmodels.storage import StorageError

__all__ = ["DamagedCheckpointError", "NoRunError", "TrainingError", "foreign_run"]


class TrainingError(EqmodelsError):
    """A run that cannot start or go on; the sentence says why, and what is left on the disk."""


class DamagedCheckpointError(TrainingError):
    """A checkpoint that cannot be read, and in whose place the one before it may be."""


class NoRunError(StorageError):
    """The folder of an encoder alone, where a run was asked for."""


def foreign_run(place: Path, differences: Mapping[str, tuple[object, object]]) -> TrainingError:
    """The error of a file or a folder of another run, with the values that differ, there and here, by name."""
    shown = ", ".join(f"{name}={there!r} there and {here!r} here" for name, (there, here) in differences.items())
    return TrainingError(
        f"{place} belongs to another run: {shown}. Nothing was changed; choose another folder (--folder), or delete "
        "this one."
    )
