"""What a run leaves to be read: a CSV file, and TensorBoard's if asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from eqmodels.storage import write_atomically

__all__ = ["LOG", "Row", "check_tensorboard", "tensorboard_rows", "write_log"]

LOG = "log.csv"
"""The name of the log in a run's folder."""

Row = dict[str, float | int]
"""One epoch: its number, and what was measured."""


def write_log(folder: Path, rows: Sequence[Row]) -> None:
    """Writes one row an epoch; the whole file, so that it always agrees with the checkpoint.

    Raises:
        StorageError: if it cannot be written.
    """
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    )
    write_atomically(folder / LOG, text.getvalue())


def check_tensorboard() -> None:
    """Raises unless TensorBoard can be written.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            "tensorboard=True needs TensorBoard, which is not installed; run: pip install tensorboard, or read "
            "log.csv instead"
        ) from error


@contextmanager
def tensorboard_rows(folder: Path, epoch: int) -> Iterator[Callable[[Row], None]]:
    """A function that adds one epoch's row to the TensorBoard files of a run.

    Args:
        folder: of the run.
        epoch: the first epoch that will be added, from 1; rows of later ones, of a run that was stopped, are hidden.
    """
    from torch.utils.tensorboard import SummaryWriter

    def add(row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(row["epoch"]))
        writer.flush()

    with SummaryWriter(str(folder / "tensorboard"), purge_step=epoch) as writer:
        yield add
