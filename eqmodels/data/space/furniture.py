"""Furniture and other things of a house: meshes that people have put upright, by the rooms that they belong to.

Source: Debian's package ``sweethome3d-furniture`` (1.8); CC0, CC-BY 3.0 and CC-BY 3.0 US, each library its own.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from eqmodels.arguments import check_arguments
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.clouds import LabelledClouds
from eqmodels.data.space.meshes import LARGEST, Mesh, mesh_of
from eqmodels.data.space.sampled import sampled_clouds
from eqmodels.data.space.series import joined, series_for_testing
from eqmodels.storage import reason_of

__all__ = ["PLACE", "Model", "furniture_models", "read_furniture", "series_marks"]

PLACE = Path("/usr/share/sweethome3d/furniture")
"""Where Debian puts the libraries."""

CATALOGUE = "PluginFurnitureCatalog.properties"
"""Of a library, which is an archive: what things there are."""

SMALLEST_ROOM = 20
"""Things, of both splits, that a room has at least."""


class Model(NamedTuple):
    """A thing of a library.

    Attributes:
        path: of the library, and in it.
        name: what it is called.
        room: the category that it is in.
        rotation: what puts it upright, ``(3, 3)``.
    """

    path: Path
    name: str
    room: str
    rotation: npt.NDArray[np.float64]


def furniture_models(root: Path) -> list[Model]:
    """The things of all libraries of a folder, in the order of files and catalogues.

    Args:
        root: the folder of the libraries, ``name.sh3f``.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder has no library.
        ValueError: if one cannot be read.
    """
    check_arguments(furniture_models, locals())
    libraries = sorted(root.glob("*.sh3f"))
    if not libraries:
        raise FileNotFoundError(
            f"furniture reads the libraries of Sweet Home 3D, name.sh3f; {root} has none. Install Debian's package "
            "sweethome3d-furniture, or name the folder that has Scopia.sh3f, ... by root= (--root)."
        )
    return [model for library in libraries for model in _catalogue(library)]


def _catalogue(library: Path) -> list[Model]:
    """The things of a library, by lines such as ``name#1=Bed`` of its catalogue."""
    things: dict[int, dict[str, str]] = defaultdict(dict)
    try:
        with zipfile.ZipFile(library) as archive:
            # As Java keeps properties: in Latin-1, and by its number what that has not.
            text = archive.read(CATALOGUE).decode("latin-1")
            text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        for key, number, value in re.findall(r"(?m)^(\w+)#(\d+)=(.*?)\s*$", text):
            things[int(number)][key] = value
        return [_model(library, own) for _, own in sorted(things.items())]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{library} cannot be read ({reason_of(error)}). Install the package again.") from error


def _model(library: Path, content: dict[str, str]) -> Model:
    turn = content.get("modelRotation", "1 0 0 0 1 0 0 0 1").split()
    rotation = np.array(turn, np.float64).reshape(3, 3)
    return Model(library / content["model"].lstrip("/"), content["name"], content["category"], rotation)


def series_marks(name: str, file: str) -> list[str]:
    """What near-duplicates share one of: the last word of their names, or the name of the file without its numbers.

    In English the last word says what a thing is: the wooden desk and the kids' desk are desks.

    Args:
        name: of the thing.
        file: of the mesh, without its ending.

    Example:
        >>> series_marks("Double French window 3 panes", "window_2x3")
        ['panes', 'window_#x#.obj']
    """
    check_arguments(series_marks, locals())
    words = _words(name)
    return [words[-1] if words else name, re.sub(r"\d+", "#", file.lower()) + ".obj"]


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]{2,}", name.lower())


def _series(models: list[Model]) -> list[str]:
    """The series of each thing; one whose name begins with another's whole name is of its series too."""
    marks = [series_marks(model.name, model.path.stem) for model in models]
    nouns = {tuple(_words(model.name)): own[0] for model, own in zip(models, marks, strict=True)}
    for model, own in zip(models, marks, strict=True):
        words = tuple(_words(model.name))
        own.extend(nouns[words[:count]] for count in range(1, len(words)) if words[:count] in nouns)
    return joined(marks)


@register_source("furniture")
def read_furniture(
    split: Split,
    *,
    root: str | Path | None = None,
    points: int | None = None,
    sample_seed: int | None = None,
    cache: str | Path | None = None,
) -> LabelledClouds:
    """Clouds of furniture and other things of a house, which stand upright and face front; classes are their rooms.

    634 training and 184 test things of 11 rooms, such as Kitchen, Exterior or Lights; a room with fewer than 20 things
    is left out. Points are drawn uniformly from the surface, of meshes that trimesh reads. So that no thing for testing
    has a near-duplicate among those for training, all things of one series are in one split, see `series_for_testing`:
    those whose names end with the same word, or begin with the other's, or whose files differ in numbers alone.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of the libraries; None for where Debian's package ``sweethome3d-furniture`` puts them.
        points: of a cloud; None for 512.
        sample_seed: of the points that are drawn; None for 0.
        cache: a folder that keeps the clouds, so that no later command reads the meshes.

    Raises:
        FileNotFoundError: if the folder has no libraries.
        ValueError: if a number breaks its rule, or a library or a mesh cannot be read.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if trimesh is not installed.
    """
    base = PLACE if root is None else Path(root).expanduser()
    models = furniture_models(base)
    series = _series(models)
    tested = series_for_testing([(model.room, own) for model, own in zip(models, series, strict=True)])
    sizes = {room: sum(model.room == room for model in models) for room in {model.room for model in models}}
    rooms = tuple(sorted(room for room, size in sizes.items() if size >= SMALLEST_ROOM))
    chosen = [
        model
        for model, own in zip(models, series, strict=True)
        if model.room in rooms and (own in tested) == (split == "test")
    ]
    if not chosen:
        raise FileNotFoundError(
            f"furniture has things of rooms with at least {SMALLEST_ROOM} of them; {base} has none for {split!r}. Name "
            "the folder of all libraries by root= (--root)."
        )
    labels = torch.tensor([rooms.index(model.room) for model in chosen])
    rotations = {model.path: model.rotation for model in chosen}
    with ExitStack() as stack:
        archives: dict[Path, zipfile.ZipFile] = {}

        def read(path: Path) -> Mesh:
            library = next(own for own in path.parents if own.suffix == ".sh3f")
            if library not in archives:
                archives[library] = stack.enter_context(zipfile.ZipFile(library))
            mesh = mesh_of(path, lambda: _member(archives[library], path.relative_to(library).as_posix()))
            return Mesh(mesh.vertices @ rotations[path].T, mesh.triangles)

        images = sampled_clouds(list(rotations), base, points=points, seed=sample_seed, up="y", cache=cache, read=read)
    return LabelledClouds("furniture", images, labels, rooms, aligned=True)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive, if it is not too large to be read."""
    size = archive.getinfo(name).file_size
    if size > LARGEST:
        raise ValueError(f"it has {size} bytes, more than {LARGEST}")
    return archive.read(name)
