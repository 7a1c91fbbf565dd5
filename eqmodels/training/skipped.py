"""The files that a run went on without, as was asked for: they are a part of how its network came to be."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from eqmodels.data import Source
from eqmodels.data.source import skipped_of
from eqmodels.storage import write_atomically

__all__ = ["SKIPPED", "write_skipped"]

SKIPPED = "skipped.csv"
"""The name of their list in a run's folder."""


def write_skipped(folder: Path, *images: Source) -> None:
    """Writes path and reason of each file that was left out; nothing if there is none.

    The list stays on this machine: the config, which is published, has the number of the files alone.

    Raises:
        StorageError: if it cannot be written.
    """
    skipped = [one for source in images for one in skipped_of(source)]
    if not skipped:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "reason"))
    writer.writerows((one.path, one.reason) for one in skipped)
    write_atomically(folder / SKIPPED, text.getvalue().encode("utf-8", "surrogateescape"))
