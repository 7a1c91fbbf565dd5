"""Features of pictures as a table in a file, in memory or part by part."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.pictures import BadFile
from eqmodels.storage import printable, write_atomically

__all__ = ["ENDINGS", "Embedding", "check_ending", "check_header", "write_features"]

ENDINGS = (".npz", ".parquet", ".safetensors")
"""Of the names of files of features."""

NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})

ROWS = 8192
"""Pictures of a group of rows of Parquet, at least, but for the last."""

LARGEST_HEADER = 10**8
"""Bytes that readers of safetensors take at the head of a file, where the paths are."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of pictures, in the order of their files.

    Attributes:
        paths: of the files.
        features: ``(N, F)``, float32.
        field: what becomes of the features when a picture is turned, such as ``"32 x regular(c4)"``.
        pose: ``(N,)``, the element of the group that each picture was moved by, as the network's head sees it; None of
            a network that predicts none.
        confidence: ``(N,)``, the probability of that element.
        skipped: files that could not be read.
    """

    paths: tuple[str, ...]
    features: Float[Tensor, "N F"]
    field: str
    pose: Int[Tensor, " N"] | None = None
    confidence: Float[Tensor, " N"] | None = None
    skipped: tuple[BadFile, ...] = ()

    def save(self, file: str | Path) -> None:
        """Writes them as ``.npz`` (numpy), ``.parquet`` or ``.safetensors``, by the ending of the name.

        An ``.npz`` has the arrays `paths`, `features` and `field`, and `pose` and `confidence` where they are known; a
        ``.parquet`` has a row a picture and columns of these names (`features` are lists of one length), and `field`
        in its metadata; the metadata of a ``.safetensors`` has `paths`, a list in JSON, and `field`.

        Args:
            file: its place, in a folder that exists.

        Raises:
            ValueError: if the name has another ending, or the paths are too many for a ``.safetensors``.
            StorageError: if it cannot be written; a file that was there is then what it was.
            ModuleNotFoundError: if it is to be of Parquet, and pyarrow is not installed.
        """
        check_arguments(Embedding.save, {"file": file})
        place = check_ending(Path(file))
        check_header(place, self.paths)
        write_features(place, [self])


def check_ending(file: Path) -> Path:
    """The path itself, if features can be written to a file of its ending.

    Raises:
        ValueError: if they cannot.
        ModuleNotFoundError: if it is of Parquet, and pyarrow is not installed.
    """
    if file.suffix not in ENDINGS:
        raise ValueError(
            f"features are written as {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; got {printable(file.name)}. Name "
            "such a file."
        )
    if file.suffix == ".parquet":
        _pyarrow()
    return file


def check_header(file: Path, paths: Sequence[str], columns: Mapping[str, Any] = NO_COLUMNS) -> None:
    """Refuses more paths, and columns of a table, than the head of a file has room for.

    Raises:
        ValueError: if there are.
    """
    # Ten thousand bytes are more than what else stands there.
    if file.suffix == ".safetensors" and len(_header([], paths, "", columns)) > LARGEST_HEADER - 10**4:
        raise ValueError(
            f"the paths of {len(paths)} pictures do not fit into the head of a .safetensors, which has at most "
            f"{LARGEST_HEADER} bytes. Name a .parquet (--out)."
        )


def write_features(file: Path, parts: Sequence[Embedding], columns: Mapping[str, Any] = NO_COLUMNS) -> None:
    """Writes parts of one embedding, one behind the other, as one file, whole or not at all.

    Args:
        file: its place.
        parts: of one field, each of which is asked for once or twice, in order, and forgotten: so a sequence that
            reads them from files needs no more memory than the largest does, and that of all paths. At least one has
            a picture.
        columns: of a table of the pictures, a row each, as `rows_of` gives them.

    Raises:
        StorageError: if it cannot be written; a file that was there is then what it was.
        ModuleNotFoundError: if it is to be of Parquet, and pyarrow is not installed.
    """
    writers = {".npz": _write_npz, ".parquet": _write_parquet, ".safetensors": _write_safetensors}
    write_atomically(file, partial(writers[file.suffix], parts=parts, columns=columns))


@dataclass(frozen=True)
class _Rest:
    """Of parts of an embedding, all but the features, which are large.

    Attributes:
        paths: of all pictures.
        width: of a picture's features.
        field: of the features.
        known: arrays of pose and confidence, by name, where they are known.
    """

    paths: list[str]
    width: int
    field: str
    known: dict[str, Any]


def _without_features(parts: Iterable[Embedding]) -> _Rest:
    paths: list[str] = []
    columns: dict[str, list[Any]] = {"pose": [], "confidence": []}
    for part in parts:
        if part.paths:
            width, field = part.features.shape[1], part.field
            paths += part.paths
            for name, found in columns.items():
                found.extend([] if (column := getattr(part, name)) is None else [column.numpy()])
    known = {name: np.concatenate(values) for name, values in columns.items() if values}
    return _Rest(paths, width, field, known)


def _write_npz(stream: BinaryIO, parts: Sequence[Embedding], columns: Mapping[str, Any]) -> None:
    rest = _without_features(parts)
    count = len(rest.paths)
    word = np.dtype(f"<U{max(map(len, rest.paths))}")
    with zipfile.ZipFile(stream, "w") as archive:

        def add(name: str, dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Iterable[Any]) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, about)
                for block in blocks:
                    member.write(np.ascontiguousarray(block).tobytes())

        add("paths", word, (count,), (np.array(rest.paths[n : n + ROWS], word) for n in range(0, count, ROWS)))
        field = np.array(rest.field)
        add("field", field.dtype, (), [field])
        add("features", np.dtype("<f4"), (count, rest.width), (part.features.numpy() for part in parts))
        # Lists are no arrays: what is in one is written as a table of text does it.
        told = {
            name: np.array([*map(";".join, rows)]) if isinstance(rows, list) else rows for name, rows in columns.items()
        }
        for name, values in (rest.known | told).items():
            add(name, values.dtype, values.shape, [values])


def _write_safetensors(stream: BinaryIO, parts: Sequence[Embedding], columns: Mapping[str, Any]) -> None:
    """As the library of this format does, which wants all of it in memory: the wider numbers first, then by name."""
    rest = _without_features(parts)
    count = len(rest.paths)
    sizes = {"pose": ("I64", [count], 8 * count), "confidence": ("F32", [count], 4 * count)}
    tensors = [(name, *sizes[name]) for name in sizes if name in rest.known]
    tensors.append(("features", "F32", [count, rest.width], 4 * count * rest.width))
    header = _header(tensors, rest.paths, rest.field, columns)
    stream.write(len(header).to_bytes(8, "little") + header)
    for name, *_ in tensors[:-1]:
        stream.write(rest.known[name].tobytes())
    for part in parts:
        stream.write(part.features.contiguous().numpy().tobytes())


def _header(
    tensors: Iterable[tuple[str, str, list[int], int]],
    paths: Sequence[str],
    field: str,
    columns: Mapping[str, Any] = NO_COLUMNS,
) -> bytes:
    """The head of a file of safetensors.

    Args:
        tensors: name, kind, shape and bytes of each, in the order of the file.
        paths: of the pictures.
        field: of the features.
        columns: of a table of the pictures.
    """
    about = {"paths": json.dumps(paths), "field": field}
    told = {name: rows if isinstance(rows, list) else rows.tolist() for name, rows in columns.items()}
    content: dict[str, Any] = {"__metadata__": about | ({"columns": json.dumps(told)} if told else {})}
    place = 0
    for name, dtype, shape, size in tensors:
        content[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    head = json.dumps(content, separators=(",", ":")).encode()
    return head + b" " * (-len(head) % 8)


def _write_parquet(stream: BinaryIO, parts: Sequence[Embedding], columns: Mapping[str, Any]) -> None:
    pa, parquet = _pyarrow()
    writer, done = None, 0
    try:
        for part in _joined(parts):
            features = part.features.numpy()
            written: dict[str, Any] = {
                # What is no text in a name is written as its number, \\xff, as Parquet holds text alone.
                "paths": pa.array([os.fsencode(path).decode("utf-8", "backslashreplace") for path in part.paths]),
                "features": pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1]),
            }
            known = {"pose": part.pose, "confidence": part.confidence}
            written |= {name: pa.array(value.numpy()) for name, value in known.items() if value is not None}
            # Of each a type, though all rows here may be empty lists.
            kinds = {name: pa.list_(pa.string()) if isinstance(rows, list) else None for name, rows in columns.items()}
            rows_here = slice(done, done := done + len(part.paths))
            written |= {name: pa.array(rows[rows_here], kinds[name]) for name, rows in columns.items()}
            table = pa.table(written).replace_schema_metadata({"field": part.field})
            writer = writer or parquet.ParquetWriter(stream, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _joined(parts: Iterable[Embedding]) -> Iterator[Embedding]:
    """The same pictures in parts of at least as many as a group of rows has, but for the last."""
    waiting: list[Embedding] = []
    for part in parts:
        waiting += [part] if part.paths else []
        if sum(len(one.paths) for one in waiting) >= ROWS:
            yield _one(waiting)
            waiting = []
    if waiting:
        yield _one(waiting)


def _one(parts: Sequence[Embedding]) -> Embedding:
    if len(parts) == 1:
        return parts[0]

    def column(name: str) -> Any:  # noqa: ANN401 (a tensor, or nothing)
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else torch.cat(values)

    paths = tuple(path for part in parts for path in part.paths)
    return Embedding(paths, column("features"), parts[0].field, column("pose"), column("confidence"))


def _pyarrow() -> tuple[Any, Any]:
    """Arrow's package, and its module of Parquet.

    Raises:
        ModuleNotFoundError: if pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "features are written as .parquet by pyarrow, which is not installed; run: pip install pyarrow, or name a "
            "file of another ending.",
            name="pyarrow",
        ) from error
    return pa, parquet
