"""Meshes and clouds of files, and points drawn from a surface."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.planes import optional
from eqmodels.errors import shown
from eqmodels.storage import read_regular, reason_of

__all__ = ["ENDINGS", "LARGEST", "Mesh", "mesh_of", "read_mesh", "sample_mesh"]

ENDINGS = (".npy", ".obj", ".off", ".ply", ".stl", ".wrl")
"""Of files that are read."""

LARGEST = 2**28
"""Bytes of a file."""

Points = npt.NDArray[np.float64]


class Mesh(NamedTuple):
    """A surface of triangles, or points without one.

    Attributes:
        vertices: ``(V, 3)``.
        triangles: ``(T, 3)``, three vertices each; none of what is a cloud of points already.
    """

    vertices: Points
    triangles: npt.NDArray[np.int64]


def read_mesh(path: str | Path) -> Mesh:
    """The surface or the points in a file, by the ending of its name.

    ``.npy`` is an array ``(points, 3)``; ``.off`` and ``.wrl`` (shapes of faces, as KiCad writes them, without
    transformations) are read here, ``.obj``, ``.ply`` and ``.stl`` by trimesh. Polygons become triangles about their
    first corner. Colours, textures and what stands behind coordinates are left out.

    Args:
        path: of the file.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the file cannot be read, has another ending or no point, or a coordinate is not finite.
        ModuleNotFoundError: if trimesh is needed and not installed.
    """
    check_arguments(read_mesh, locals())
    path = Path(path)
    return mesh_of(path, lambda: read_regular(path, LARGEST))


def mesh_of(path: Path, read: Callable[[], bytes]) -> Mesh:
    """The surface or the points that something holds which is called so, see `read_mesh`.

    Args:
        path: what sentences call it; its ending says the format.
        read: gives its bytes.

    Raises:
        ValueError: as `read_mesh`.
        ModuleNotFoundError: as `read_mesh`.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"meshes and clouds are files that end in {', '.join(ENDINGS)}; got {path.name}. Convert it.")
    try:
        content = read()
        mesh = _READERS[ending](content) if ending in _READERS else _by_trimesh(content, ending[1:])
    except ModuleNotFoundError:
        raise
    except Exception as error:  # damaged files make readers stumble in many ways
        raise ValueError(f"{path} cannot be read ({reason_of(error)}). Leave it out, or convert it.") from error
    if not len(mesh.vertices) or not np.isfinite(mesh.vertices).all():
        what = "no point" if not len(mesh.vertices) else "a coordinate that is no finite number"
        raise ValueError(f"{path} has {what}. Leave it out.")
    if len(mesh.triangles) and not 0 <= mesh.triangles.min() <= mesh.triangles.max() < len(mesh.vertices):
        raise ValueError(f"{path} has a face of a vertex that is not there. Leave it out.")
    return mesh


def sample_mesh(mesh: Mesh, count: int, seed: int = 0) -> Points:
    """Points drawn uniformly from a surface, ``(count, 3)``; of a cloud some of its own, each once if they are enough.

    Args:
        mesh: of `read_mesh`. A surface without any area is a cloud.
        count: how many points.
        seed: of the draw.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `count` is below 1, or the mesh has no point.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a Mesh, as read_mesh gives it; got {shown(mesh)}. Read one.")
    check_count("count", count)
    vertices, triangles = mesh
    if not len(vertices):
        raise ValueError("a mesh must have a point; got none. Leave it out.")
    random = np.random.default_rng(check_count("seed", seed, 0, bits=64))
    corners = vertices[triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if not areas.sum() > 0:
        return vertices[random.choice(len(vertices), count, replace=len(vertices) < count)]
    chosen = corners[random.choice(len(areas), count, p=areas / areas.sum())]
    # Of a square of pairs, those beyond its diagonal are folded back: uniform in a triangle.
    first, second = random.random((2, count, 1))
    beyond = first + second > 1
    first, second = np.where(beyond, 1 - first, first), np.where(beyond, 1 - second, second)
    drawn: Points = chosen[:, 0] + first * (chosen[:, 1] - chosen[:, 0]) + second * (chosen[:, 2] - chosen[:, 0])
    return drawn


def _triangles(polygons: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The triangles of polygons about the first corner of each."""
    found = [np.stack([np.full(len(p) - 2, p[0]), p[1:-1], p[2:]], 1) for p in polygons if len(p) > 2]
    return np.concatenate(found) if found else np.zeros((0, 3), np.int64)


def _of_numpy(content: bytes) -> Mesh:
    points = np.load(io.BytesIO(content), allow_pickle=False)
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise ValueError(f"it must be an array (points, 3) of numbers, and is {points.dtype} {points.shape}")
    return Mesh(points[:, :3].astype(np.float64), np.zeros((0, 3), np.int64))


def _of_off(content: bytes) -> Mesh:
    """The Object File Format; some files of ModelNet have the counts on the line of the word OFF."""
    lines = [line.partition("#")[0].strip() for line in content.decode("ascii").splitlines()]
    first, *rest = [line for line in lines if line]
    if not first.startswith("OFF"):
        raise ValueError("it does not begin with OFF")
    counts, *rest = [first[3:], *rest] if first[3:].strip() else rest
    points, faces = (int(word) for word in counts.split()[:2])
    if not 0 <= points <= len(rest) or not 0 <= faces <= len(rest) - points:
        raise ValueError(f"it has {len(rest)} lines, and says {points} points and {faces} faces")
    vertices = np.array([line.split()[:3] for line in rest[:points]], np.float64).reshape(-1, 3)
    rows = [np.array(line.split(), np.float64).astype(np.int64) for line in rest[points : points + faces]]
    return Mesh(vertices, _triangles([row[1 : 1 + row[0]] for row in rows]))


_FACES = re.compile(rb"coordIndex\s*\[([^\]]*)\]\s*coord\s+Coordinate\s*\{\s*point\s*\[([^\]]*)\]")
_MOVED = re.compile(rb"^[^#\n]*\b(?:Transform|Switch|Inline)\b", re.MULTILINE)


def _of_vrml(content: bytes) -> Mesh:
    """Shapes of VRML 2 with faces of their own, one behind the other."""
    if not content.startswith(b"#VRML V2.0"):
        raise ValueError("it does not begin with #VRML V2.0")
    if _MOVED.search(content):
        raise ValueError("it moves its shapes by a Transform, which is not read here")
    vertices, triangles, before = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], 0
    for indices, coordinates in _FACES.findall(content):
        points = np.array(coordinates.replace(b",", b" ").split(), np.float64).reshape(-1, 3)
        numbers = np.array(indices.replace(b",", b" ").split(), np.int64)
        ends = np.flatnonzero(numbers < 0)
        if len(ends) * 4 == len(numbers) and (np.diff(ends, prepend=-1) == 4).all():  # triangles alone, the usual case
            faces = numbers.reshape(-1, 4)[:, :3]
        else:
            faces = _triangles([part[part >= 0] for part in np.split(numbers, ends + 1)])
        if len(faces) and faces.max() >= len(points):
            raise ValueError("it has a face of a vertex that is not there")
        vertices.append(points)
        triangles.append(faces + before)
        before += len(points)
    return Mesh(np.concatenate(vertices), np.concatenate(triangles))


_READERS = {".npy": _of_numpy, ".off": _of_off, ".wrl": _of_vrml}


def _by_trimesh(content: bytes, kind: str) -> Mesh:
    trimesh = optional("trimesh", f"a file of the kind .{kind}")
    loaded = trimesh.load_scene(io.BytesIO(content), file_type=kind, process=False)
    vertices, triangles, before = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], 0
    for part in loaded.dump():
        points = np.asarray(part.vertices, np.float64)
        vertices.append(points)
        triangles.append(np.asarray(getattr(part, "faces", np.zeros((0, 3))), np.int64).reshape(-1, 3) + before)
        before += len(points)
    return Mesh(np.concatenate(vertices), np.concatenate(triangles))
