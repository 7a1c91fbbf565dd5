"""A table of paths and labels, CSV or Parquet, and the images that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eqmodels.data.classes import numbered
from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import SPLITS, split_of
from eqmodels.data.places import Listed, Place
from eqmodels.data.registry import Split, named_splits, register_source
from eqmodels.data.source import Source
from eqmodels.data.table_file import Columns, read_columns
from eqmodels.data.table_labels import class_words, listed
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["Table", "open_table", "read_table"]

PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
"""What the column of the paths is called, the first that is there."""

SPLIT = "split"
"""What the column of the splits is called."""


@register_source("table", validation=True)
def read_table(
    split: Split,
    *,
    root: str | Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """Images that a table names, a row an image: ``.csv`` or ``.tsv`` with a line of names, or ``.parquet``.

    Paths are relative to the folder of the table. A column ``split`` says ``train``, ``test`` or ``val`` (or ``valid``,
    ``validation``), which is for testing too if no row says ``test``; without one a fifth of the images are for
    testing, by a hash of the path, so that a new row moves no other. All splits number the classes of the whole table:
    numbers by their size, words by the alphabet. Pictures become images as those of `image_folder` do.

    Several columns may be labels: one is chosen for the class, or several, ``species,stage``, whose values are one
    class, ``ant / adult``. Where an image has several labels, in a list of Parquet or between commas, semicolons or
    upright strokes, ``tags:wing`` makes two classes, of the images with this one and of those without.

    Args:
        split: ``"train"``, ``"test"`` or ``"validation"``.
        root: the table.
        path_column: the column of the paths; left out, the first of path, file, filename, file_name, filepath, image,
            image_path.
        label_column: the column of the labels; left out, label or class, or the only one beside paths and splits; - for
            none; A,B for both as one class; A:WORD for whether WORD is among the labels of A.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images, up to 64: 3 makes pictures RGB and 1 grey, any other number must be in the files.
        background: the colour of what transparent pictures lie on, such as ``black`` or ``#808080``.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded, so that no later command decodes them; they are read
            from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if the table does not exist or the split has no images.
        BadFilesError: if files are missing, no images that can be read, or have other channels; lists all of them.
        ValueError: if no table is named, it cannot be read, it is not known which columns are meant, a cell is empty,
            has several labels or is no split, `size` is below 1, `channels` below 1 or above 64, `background` no
            colour, `workers` below 0, or the sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if a package is not installed: pyarrow for Parquet, or what a file needs.
    """
    if root is None:
        raise ValueError("table needs a table of images, .csv or .parquet; got none. Name it by root= (--root).")
    file = Path(root).expanduser()
    table = open_table(file, path_column)
    words = class_words(table.columns, file, (SPLIT,), label_column)
    chosen = table.of_split(split)
    if not chosen:
        raise FileNotFoundError(
            f"{file} has no images for split={split!r}. Add rows, five or more, or rows with this word in a column "
            "'split'."
        )
    labels, classes = numbered(words, None, str(file)) if words else ([-1] * len(table.paths), ())
    places = [Place(table.paths[number]) for number in chosen]
    return read_listed(
        Listed(f"table:{file.stem}", file, places, [labels[number] for number in chosen], classes),
        size=size,
        channels=channels,
        background=background,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )


@dataclass(frozen=True)
class Table:
    """A table of images.

    Attributes:
        file: its place.
        paths: of the images, beside the table.
        written: the same as they are written there.
        columns: all others.
    """

    file: Path
    paths: Sequence[Path]
    written: Sequence[str]
    columns: Columns

    def splits(self) -> list[str]:
        """What each image's split is called: as the column says, else ``train`` or ``test``, by a hash of its path.

        Raises:
            ValueError: if a cell of the column is no split.
        """
        if SPLIT not in self.columns:
            return [split_of(PurePosixPath(path)) for path in self.written]
        words = [str(cell).strip().lower() for cell in self.columns[SPLIT]]
        unknown = next(((number, word) for number, word in enumerate(words, start=1) if word not in SPLITS), None)
        if unknown is not None:
            raise ValueError(
                f"the column 'split' of {self.file} must say {', '.join(SPLITS)}; image {unknown[0]} says "
                f"{unknown[1]!r}. Change it, or leave the column out."
            )
        return words

    def of_split(self, split: Split) -> list[int]:
        """The numbers of the images of a split.

        Raises:
            ValueError: as `splits`.
        """
        words = self.splits()
        wanted = named_splits(set(words)).get(split)
        return [number for number, word in enumerate(words) if word == wanted]


def open_table(file: Path, path_column: str | None = None) -> Table:
    """A table of images, before any of these is opened.

    Args:
        file: its place.
        path_column: the column of the paths; None for the first that is called like one.

    Raises:
        FileNotFoundError: if it does not exist.
        ValueError: if it cannot be read, has no such column, or a cell there is empty.
        ModuleNotFoundError: if it is of Parquet, and pyarrow is not installed.
    """
    columns = read_columns(file)
    name = path_column or next((name for name in PATHS if name in columns), None)
    if name is None or name not in columns:
        wanted = "column of paths" if name is None else f"column {name!r}"
        raise ValueError(f"{file} has no {wanted} among {listed(columns)}. Name it by path_column= (--path-column).")
    words = class_words({name: columns[name]}, file, (), name)
    rest = {other: cells for other, cells in columns.items() if other != name}
    return Table(file, [file.parent / path for path in words], words, rest)
