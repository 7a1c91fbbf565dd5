"""Small files of clouds and meshes: boxes of any measures, in the formats that are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
FACES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box(*measures: float) -> np.ndarray:
    """The corners of a box."""
    return CORNERS * np.array(measures)


def write_off(file: Path, corners: np.ndarray, first: str = "OFF\n") -> None:
    """A box as ModelNet has its meshes; the counts stand behind the first word in some files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [*(" ".join(map(str, row)) for row in corners), *(f"4 {' '.join(map(str, face))}" for face in FACES)]
    file.write_text(f"{first}8 6 0\n" + "\n".join(rows) + "\n")


def write_wrl(file: Path, corners: np.ndarray) -> None:
    """A box as KiCad writes its parts: two shapes, of triangles and of squares."""
    file.parent.mkdir(parents=True, exist_ok=True)
    points = ",".join(" ".join(f"{value:.3f}" for value in row) for row in corners)
    triangles = [part for a, b, c, d in FACES[:3] for part in ((a, b, c), (a, c, d))]
    shapes = [
        f"Shape {{ geometry IndexedFaceSet \n{{ creaseAngle 0.50 coordIndex [{faces}]\n"
        f"coord Coordinate {{ point [{points}]\n}}}}\nappearance Appearance{{material USE PIN-01 }}\n}}\n"
        for faces in (
            ",".join(f"{a},{b},{c},-1" for a, b, c in triangles),
            ",".join(f"{a},{b},{c},{d},-1" for a, b, c, d in FACES[3:]),
        )
    ]
    file.write_text("#VRML V2.0 utf8\n#kicad StepUp wrl exported\n# no Transform { here\n" + "".join(shapes))


def write_kicad(folder: Path) -> None:
    """A library of two families with three series of eight parts each, and of two that are too small."""
    for family, count in (("Package_SO", 8), ("Connector_PinHeader_2.54mm", 8), ("Fuse", 2), ("Alone", 30)):
        for series in ("TSSOP", "SOIC", "MSOP")[: 1 if family == "Alone" else 3]:
            for number in range(count):
                file = folder / f"{family}.3dshapes" / f"{series}-{number + 4}_3.9x4.9mm.wrl"
                write_wrl(file, box(1 + number, 2, 3))


def write_modelnet(folder: Path) -> None:
    """Two classes of three training and two test meshes."""
    for name in ("chair", "desk"):
        for split, count in (("train", 3), ("test", 2)):
            for number in range(count):
                write_off(folder / name / split / f"{name}_{number}.off", box(1, 2, 3 + number), "OFF")


def write_scanobjectnn(folder: Path) -> None:
    """Scans of 2,048 points with their classes, of both splits and variants."""
    import h5py

    random = np.random.default_rng(0)
    for split in ("training", "test"):
        for variant in ("objectdataset", "objectdataset_augmentedrot_scale75"):
            with h5py.File(folder / f"{split}_{variant}.h5", "w") as file:
                file["data"] = random.standard_normal((6, 2048, 3)).astype(np.float32)
                file["label"] = np.arange(6, dtype=np.int64)


def write_points(folder: Path) -> None:
    """Clouds of two classes as arrays."""
    random = np.random.default_rng(0)
    for number in range(24):
        file = folder / "ab"[number % 2] / f"{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, random.standard_normal((40, 3)))


def write_furniture(folder: Path) -> None:
    """Two libraries of a room each and one that is too small: tall boxes, half of them by a rotation."""
    folder.mkdir(parents=True, exist_ok=True)
    faces = "".join(f"f {a + 1} {b + 1} {c + 1} {d + 1}\n" for a, b, c, d in FACES)
    nouns = ("table", "chair", "lamp", "caf\\u00e9")
    for library, room in (("First", "Kitchen"), ("Second", "Office")):
        with zipfile.ZipFile(folder / f"{library}.sh3f", "w") as archive:
            lines = ["# a catalogue", "id=of the whole"]
            for number in range(25):
                path = f"own/{nouns[number % 4][:4]}{number}/{nouns[number % 4][:4]}_{number}.obj"
                lines += [f"name#{number}=Old {nouns[number % 4]}", f"model#{number}=/{path}"]
                lines += [f"category#{number}={'Staircases' if number == 24 else room}"]
                # Those of an even number lie, and the catalogue puts their z up, as y.
                lines += [f"modelRotation#{number}=1 0 0 0 0 1 0 -1 0"] if number % 2 == 0 else []
                corners = box(1, 2, 9) if number % 2 == 0 else box(1, 9, 2)
                points = "".join(f"v {x} {y} {z}\n" for x, y, z in corners)
                archive.writestr(path, "mtllib none.mtl\n" + points + faces)
            archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines).encode("latin-1"))
