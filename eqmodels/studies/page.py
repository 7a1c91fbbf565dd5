"""Writes the tables and pictures of a study into a folder."""

from __future__ import annotations

import re
from pathlib import Path

from eqmodels.arguments import check_arguments
from eqmodels.reports.figures import as_png
from eqmodels.reports.pages import rendered
from eqmodels.storage import prepare_folder, write_atomically
from eqmodels.studies.pictures import study_pictures
from eqmodels.studies.study import SynergyStudy
from eqmodels.studies.tables import study_tables

__all__ = ["write_study_report"]


def write_study_report(study: SynergyStudy, folder: str | Path) -> Path:
    """Writes ``tables.md``, a PNG file a picture and ``index.html``; the page's path.

    Args:
        study: as far as it is done.
        folder: that gets the files.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if a file cannot be written.
        ModuleNotFoundError: if matplotlib is not installed.
    """
    check_arguments(write_study_report, locals())
    folder = Path(folder)
    prepare_folder(folder)
    tables = study_tables(study)
    write_atomically(
        folder / "tables.md", "\n\n".join(f"## {table.title}\n\n{table.markdown()}" for table in tables) + "\n"
    )
    pictures = []
    for title, figure in study_pictures(study).items():
        name = f"{re.sub('[^a-z]+', '_', title.lower())}.png"
        write_atomically(folder / name, as_png(figure, dpi=120))
        pictures.append((title, name))
    impossible: dict[str, list[str]] = {}
    for name, reason in study.plan.impossible().items():
        impossible.setdefault(reason, []).append(name)
    text = rendered(
        "page.html.j2",
        "eqmodels.studies",
        plan=study.plan,
        done=len(study.cells),
        all=len(study.plan.cells()),
        pictures=pictures,
        tables=[(table.title, table.header, table.rows) for table in tables],
        impossible=[(reason, ", ".join(names)) for reason, names in impossible.items()],
    )
    write_atomically(folder / "index.html", text)
    return folder / "index.html"
