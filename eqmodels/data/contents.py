"""What a folder or a table of images lists, before any picture is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from eqmodels.data.image_files import list_folder
from eqmodels.data.registry import Split, named_splits
from eqmodels.data.table import SPLIT, open_table
from eqmodels.data.table_file import is_table
from eqmodels.data.table_labels import class_words, label_counts

__all__ = ["Contents", "contents_of"]


@dataclass(frozen=True)
class Contents:
    """What is listed.

    Attributes:
        root: the folder, or the table.
        paths: of the images.
        names: the same, as people are shown them.
        splits: number of images of each split.
        classes: number of images of each class; empty if they have none.
        labels: of each other column of a table, how many images have each label in it.
        ignored: number of files that are left out, by the ending of their names.
        no_classes: why there are none.
    """

    root: Path
    paths: Sequence[Path]
    names: Sequence[str]
    splits: Mapping[str, int]
    classes: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    no_classes: str = ""


def contents_of(root: str | Path, *, path_column: str | None = None, label_column: str | None = None) -> Contents:
    """What is in a folder of images, as ``load_data("image_folder")`` lists them, or in a table, as ``"table"`` does.

    Args:
        root: the folder, or a .csv, .tsv or .parquet.
        path_column: the column of the paths of a table.
        label_column: what is the class of a table's images; None for a column that is called so, or is the only one,
            and for no classes otherwise.

    Raises:
        FileNotFoundError: if it does not exist.
        ValueError: if a link in the folder leads elsewhere, the table cannot be read or has no such column, or columns
            are named for a folder.
        ModuleNotFoundError: if it is of Parquet, and pyarrow is not installed.
    """
    base = Path(root).expanduser()
    if is_table(base):
        return _of_table(base, path_column, label_column)
    named = {"path_column": path_column, "label_column": label_column}
    if given := [name for name, value in named.items() if value is not None]:
        flag = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{given[0]} is for tables; got it for the folder {base}. Leave it out ({flag}).")
    whole = list_folder(base, None)
    paths = [path for path, _ in whole.files]
    classes = Counter(whole.classes[label] for _, label in whole.files) if whole.classes else Counter[str]()
    return Contents(
        base,
        paths,
        [str(path.relative_to(base)) for path in paths],
        _counted(whole.splits),
        {name: classes[name] for name in whole.classes},
        ignored=whole.ignored,
        no_classes="the images lie in no folders",
    )


def _of_table(file: Path, path_column: str | None, label_column: str | None) -> Contents:
    table = open_table(file, path_column)
    others = {name: cells for name, cells in table.columns.items() if name != SPLIT}
    reason = "there is no column of labels"
    try:
        words = class_words(table.columns, file, (SPLIT,), label_column)
    except ValueError as error:
        if label_column is not None:
            raise
        words, reason = [], str(error)
    classes = Counter(words)
    return Contents(
        file,
        table.paths,
        table.written,
        _counted(_split_names(table.splits())),
        {name: classes[name] for name in sorted(classes)},
        {name: label_counts(cells) for name, cells in others.items()},
        no_classes=reason,
    )


def _split_names(words: Sequence[str]) -> list[str]:
    """The split of each image of a table; what another word is called that stands for one that is there."""
    # Images to validate on are those for testing where there are no others.
    names: dict[str, str] = {word: split for split, word in reversed(named_splits(set(words)).items())}
    return [names.get(word, word) for word in words]


def _counted(splits: Iterable[str]) -> dict[str, int]:
    """Number of images of each split, training and test first; of others, if there are some."""
    counts = Counter(splits)
    return {name: counts[name] for name in dict.fromkeys((*get_args(Split)[:2], *counts))}
