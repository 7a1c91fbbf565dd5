"""What a run says while it runs: a progress bar, a CSV file, TensorBoard if asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from eqmodels.training.files import write_atomically

__all__ = ["LOG", "write_log", "write_tensorboard"]

LOG = "log.csv"
"""The name of the log in a run's folder."""


def write_log(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Writes one row an epoch; the whole file, so that it always agrees with the checkpoint."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    )
    write_atomically(folder / LOG, text.getvalue())


def write_tensorboard(folder: Path, row: dict[str, float]) -> None:
    """Adds one epoch's row to the TensorBoard files of a run.

    Raises:
        ModuleNotFoundError: if TensorBoard is not installed.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(row["epoch"]))
