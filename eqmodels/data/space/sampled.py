"""Clouds that are drawn from the surfaces of many files, each by a seed of its own, and kept for later."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.checks import check_count
from eqmodels.data.space.clouds import fitted_clouds
from eqmodels.data.space.meshes import Mesh, read_mesh, sample_mesh
from eqmodels.storage import StorageError, read_regular, reason_of, write_atomically

__all__ = ["POINTS", "sampled_clouds"]

POINTS = 512
"""Of a cloud, where nobody says how many."""

VERSION = 1
"""Of what is drawn from a file: another number, and caches of before are not read."""


def sampled_clouds(
    paths: Sequence[Path],
    base: Path | None,
    *,
    points: int | None = None,
    seed: int | None = None,
    up: str = "z",
    cache: str | Path | None = None,
    read: Callable[[Path], Mesh] = read_mesh,
) -> Float[Tensor, "N 3 P 1"]:
    """A cloud of every file, see `sample_mesh` and `fitted_clouds`.

    The seed of a file is a hash of the seed and of its path in the folder, so that neither a new file nor another place
    of the folder changes a cloud.

    Args:
        paths: of the files; or the paths of an archive with those inside it behind, if `read` reads such.
        base: the folder that they are in; None for files of anywhere, of which the name alone counts.
        points: of each cloud; None for 512.
        seed: of the draw; None for 0.
        up: the axis that is up in the files: ``"y"`` is turned into z, and z into front, x.
        cache: a folder that keeps the clouds; it is read where files and options are the same. None to draw anew.
        read: gives the mesh of a file.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count breaks its rule, or files cannot be read; names the first.
        StorageError: if the cache cannot be written, or is damaged.
    """
    count = check_count("points", POINTS if points is None else points)
    start = check_count("seed", 0 if seed is None else seed, 0, bits=64)
    place = None if cache is None else Path(cache).expanduser() / f"{_key(paths, base, count, start, up)}.npy"
    if place is not None and place.exists():
        return torch.from_numpy(_kept(place, (len(paths), 3, count, 1)))
    clouds, bad = [], []
    for path in paths:
        digest = hashlib.sha256(f"{start} {_place(path, base)}".encode()).digest()
        try:
            clouds.append(sample_mesh(read(path), count, int.from_bytes(digest[:6], "big")))
        except ValueError as error:
            bad.append(str(error))
    if bad:
        where = "" if base is None else f" of {base}"
        raise ValueError(f"{len(bad)} of {len(paths)} files{where} give no cloud. The first: {bad[0]}")
    found = np.stack(clouds)
    found = found[..., [2, 0, 1]] if up == "y" else found
    fitted = fitted_clouds(torch.from_numpy(found))
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, fitted.numpy())
        write_atomically(place, content.getvalue())
    return fitted


def _place(path: Path, base: Path | None) -> str:
    """A file's path in the folder, or its name."""
    return path.name if base is None else path.relative_to(base).as_posix()


def _key(paths: Sequence[Path], base: Path | None, count: int, seed: int, up: str) -> str:
    """What names a cache: the files, by path, size and time, and how clouds are drawn."""
    # Of what an archive holds, size and time are those of the archive.
    statuses = [next(own for own in (path, *path.parents) if own.exists()).stat() for path in paths]
    files = [(_place(path, base), own.st_size, own.st_mtime_ns) for path, own in zip(paths, statuses, strict=True)]
    return hashlib.sha256(json.dumps([VERSION, files, count, seed, up]).encode()).hexdigest()[:32]


def _kept(place: Path, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        found = np.load(io.BytesIO(read_regular(place)), allow_pickle=False)
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(f"it is {found.dtype} {found.shape}, and should be float32 {shape}")
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(f"{place} is no whole cache ({reason_of(error)}). Delete it to draw clouds anew.") from error
    return found  # type: ignore[no-any-return]  # of a file, and checked
