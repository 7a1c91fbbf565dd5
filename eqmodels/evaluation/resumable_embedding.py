"""Features of any number of pictures, from files to one file, by any number of processes, that can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile
from eqmodels.evaluation.embedding import check_has_no_classifier, outputs_of
from eqmodels.evaluation.feature_table import Embedding, check_ending, check_header, write_features
from eqmodels.evaluation.in_parts import Making, made_in_parts
from eqmodels.evaluation.reading import files_of
from eqmodels.evaluation.table_columns import Cell, check_columns, rows_of

__all__ = ["EmbeddedFile", "embed_to_file"]


@dataclass(frozen=True)
class EmbeddedFile:
    """A file of features.

    Attributes:
        file: its place.
        images: how many pictures have features there.
        features: of each.
        field: what becomes of the features when a picture is turned, such as ``"32 x regular(c4)"``.
        skipped: files that could not be read.
        resumed: files that were done when it was begun.
    """

    file: Path
    images: int
    features: int
    field: str
    skipped: tuple[BadFile, ...]
    resumed: int


def embed_to_file(
    encoder: StagedNetwork,
    paths: Sequence[str | Path],
    file: str | Path,
    *,
    columns: Mapping[str, Sequence[Cell]] | None = None,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> EmbeddedFile:
    """Writes what `embed` gives into a file, as `Embedding.save` does; or goes on where the same call was stopped.

    Features are those of `embed` with the same `batch_size`. In memory lie a batch and one part, of at most 4,096
    pictures or one batch, and the paths of all. Parts that are done are kept in the folder ``FILE.parts`` until the
    file is there, also if it is stopped, or killed, or files turn out to be bad; the same call goes on from there to
    the same bytes. Parts of another network, of other options or of files that have changed are not taken.

    Columns of a table of the pictures are written beside the features: in a ``.parquet`` and an ``.npz`` under their
    names (``label_NAME`` where the file has such a column itself), numbers as numbers, lists of Parquet as such and in
    an ``.npz`` with semicolons; in a ``.safetensors`` as JSON, `columns` in its metadata.

    Started by ``torchrun`` on several processes, each embeds its share of the parts, and the first writes the file: to
    the same bytes as one process, if each computes with as many threads. All of them must see the folder of the file.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the pictures.
        file: its place; its ending, ``.npz``, ``.parquet`` or ``.safetensors``, says what it is.
        columns: of a table of the pictures, by name: of each picture a word, or a tuple of words; None for none.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called on the first process with a number of files whenever so many are done by all of them, going by
            its own share.
        report: called there with a sentence where it goes on.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has a classifier or knows nothing of its images, there are no files, a picture has
            colours and the network takes none, the file's name has another ending, the paths are too many for it, or a
            column has not as many cells.
        BadFilesError: if files cannot be read; lists all of them, and no file is written.
        StorageError: if another process writes this file, or one cannot be written; a file that was there is then what
            it was.
        ProcessError: if another process was killed.
        ModuleNotFoundError: if it is to be of Parquet, and pyarrow is not installed.
    """
    files = files_of(paths)
    given = {"encoder": encoder, "paths": paths, "file": file, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(embed_to_file, given | {"columns": columns, "report": report})
    check_count("batch_size", batch_size)
    check_has_no_classifier(encoder)
    place = check_ending(Path(file))
    if not files:
        raise ValueError("embed needs images; got no file. Name images, or a folder of them.")
    check_columns(columns or {}, len(files))
    check_header(place, [str(path) for path in files], rows_of(columns or {}, range(len(files))))
    making = Making(encoder, outputs_of, size, batch_size, grey, skip_bad, progress, report)

    def become(parts: Sequence[Embedding]) -> tuple[int, str]:
        numbers = [*_numbers(files, parts)] if columns else []
        write_features(place, parts, rows_of(columns or {}, numbers))
        part = next(part for part in parts if part.paths)
        return part.features.shape[1], part.field

    found, skipped, resumed = made_in_parts(making, files, place, become)
    return EmbeddedFile(place, len(files) - len(skipped), *found, skipped, resumed)


def _numbers(files: Sequence[Path], parts: Sequence[Embedding]) -> Iterator[int]:
    """The numbers of the files that could be read: parts have them in their order."""
    left = enumerate(map(str, files))
    for part in parts:
        for path in part.paths:
            yield next(number for number, other in left if other == path)
