"""Electronic parts of KiCad's library: meshes that people have put upright, in families.

Source: Debian's package ``kicad-packages3d`` (6.0.10); CC-BY-SA 4.0 with an exception for designs, some files GPL.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.clouds import LabelledClouds
from eqmodels.data.space.sampled import sampled_clouds

__all__ = ["PLACE", "SMALLEST_FAMILY", "family_of", "part_files", "read_kicad_parts", "series_of"]

PLACE = Path("/usr/share/kicad/3dmodels")
"""Where Debian puts the parts."""

SMALLEST_FAMILY = 20
"""Parts, of both splits, that a family has at least."""

LARGEST_SERIES = 12
"""Parts of a series that are used: headers of 1 to 40 pins are hardly more than those of 12 of these numbers."""

LEFT_OUT = ("Relay_SPDT_HsinDa_Y14", "SW_SPST_FSMSM")
"""Parts of families whose files move their shapes, as `read_mesh` does not."""

LEAST, MOST = 0.15, 0.35
"""For testing, of the parts of a family: at least so many, and at most where it has series that small."""


def family_of(folder: str) -> str:
    """The family of a folder of the library: its name without the pitch, as clouds have no size.

    Args:
        folder: such as ``"Connector_PinHeader_2.54mm.3dshapes"``.

    Example:
        >>> family_of("Connector_PinHeader_2.54mm.3dshapes"), family_of("Package_SO.3dshapes")
        ('Connector_PinHeader', 'Package_SO')
    """
    check_arguments(family_of, locals())
    return re.sub(r"_[\d.]+mm$", "", folder.removesuffix(".3dshapes"))


def series_of(name: str) -> str:
    """What near-duplicates share: the name of a part without its numbers and sides.

    Parts of a series differ in numbers of pins and in measures: one row of ten pins more or less is nearly the same.

    Args:
        name: of the file, without its ending.

    Example:
        >>> series_of("PinHeader_1x02_P2.54mm_Vertical"), series_of("PinSocket_1x03_P1.00mm_SMD_Pin1Left")
        ('PinHeader_#x#_P#mm_Vertical', 'PinSocket_#x#_P#mm_SMD_Pin#')
    """
    check_arguments(series_of, locals())
    return re.sub(r"(?<=Pin#)(Left|Right)", "", re.sub(r"\d[\d.,]*", "#", name))


def part_files(root: Path, split: Split) -> dict[str, list[Path]]:
    """The parts of a split by their families, of which each has at least 20 parts and two series.

    Of a series at most 12 parts are used, drawn by a hash of their names, and a whole series is in one split. Of every
    family, series are for testing, in the order of a hash of their names, until they have 15% of its parts; one that
    would make more than 35% is passed over, and where all would, the smallest is taken.

    Args:
        root: the folder of the library.
        split: ``"train"`` or ``"test"``.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if the folder has no such parts.
    """
    check_arguments(part_files, locals())
    families: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(root.glob("*.3dshapes/*.wrl"), key=_drawn):
        series = families[family_of(path.parent.name)][series_of(path.stem)]
        usable = path.is_file() and not path.is_symlink() and path.stem not in LEFT_OUT
        if usable and len(series) < LARGEST_SERIES:
            series.append(path)
    used = {
        name: own for name, own in sorted(families.items()) if len(own) > 1 and _size(own.values()) >= SMALLEST_FAMILY
    }
    if len(used) < 2:
        raise FileNotFoundError(
            f"kicad_parts reads the parts of KiCad, name.3dshapes/part.wrl; {root} has {len(used)} families of at "
            f"least {SMALLEST_FAMILY} in two series. Install Debian's package kicad-packages3d, or name the folder "
            "that has Package_SO.3dshapes/, ... by root= (--root)."
        )
    found = {}
    for name, all_series in used.items():
        tested = _tested(name, all_series)
        chosen = [path for own, paths in all_series.items() if (own in tested) == (split == "test") for path in paths]
        found[name] = sorted(chosen)
    return found


def _drawn(path: Path) -> bytes:
    """What parts are ordered by, so that those of a series that are used are any."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest()


def _size(series: Iterable[list[Path]]) -> int:
    return sum(map(len, series))


def _tested(family: str, series: Mapping[str, list[Path]]) -> set[str]:
    """The series of a family that are for testing."""
    total, taken = _size(series.values()), 0
    found: set[str] = set()
    for name in sorted(series, key=lambda own: hashlib.sha256(f"{family}/{own}".encode()).digest()):
        if taken >= LEAST * total:
            break
        if taken + len(series[name]) <= MOST * total:
            found.add(name)
            taken += len(series[name])
    return found or {min(series, key=lambda own: (len(series[own]), own))}


@register_source("kicad_parts")
def read_kicad_parts(
    split: Split,
    *,
    root: str | Path | None = None,
    points: int | None = None,
    sample_seed: int | None = None,
    cache: str | Path | None = None,
) -> LabelledClouds:
    """Clouds of electronic parts, which stand upright and alike; classes are the families of the library.

    2,372 training and 572 test parts of 44 families; points are drawn uniformly from the surface. Families that differ
    in the pitch alone are one, as clouds have no size; those with fewer than 20 parts or with one series alone are left
    out. A series (parts whose names differ in numbers alone, of which at most 12 are used) is in one split, so that no
    part for testing has a near-duplicate among those for training, see `part_files`.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of the library; None for where Debian's package ``kicad-packages3d`` puts it.
        points: of a cloud; None for 512.
        sample_seed: of the points that are drawn; None for 0.
        cache: a folder that keeps the clouds, so that no later command reads the meshes.

    Raises:
        FileNotFoundError: if the folder has no such parts.
        ValueError: if a number breaks its rule, or a file cannot be read.
        StorageError: if the cache cannot be written, or is damaged.
    """
    base = PLACE if root is None else Path(root).expanduser()
    files = part_files(base, split)
    paths = [path for own in files.values() for path in own]
    images = sampled_clouds(paths, base, points=points, seed=sample_seed, cache=cache)
    labels = torch.tensor([number for number, own in enumerate(files.values()) for _ in own])
    return LabelledClouds("kicad_parts", images, labels, tuple(files), aligned=True)
