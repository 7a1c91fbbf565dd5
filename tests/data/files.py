"""Small files of the data sets that are not in the package, as they are published."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import datasets

from eqmodels.data import torchvision_sets

COUNTS = {"train": 6, "test": 4}
PREFIX = {"train": "train", "test": "t10k"}


def idx_files(value: int = 0) -> dict[str, bytes]:
    """The four files of (Fashion-)MNIST with a few constant images."""
    files = {}
    for split, count in COUNTS.items():
        images = np.full((count, 28, 28), value, dtype=np.uint8).tobytes()
        files[f"{PREFIX[split]}-images-idx3-ubyte"] = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images
        labels = bytes(range(count))
        files[f"{PREFIX[split]}-labels-idx1-ubyte"] = struct.pack(">4BI", 0, 0, 8, 1, count) + labels
    return files


def write_idx(folder: Path, layout: str, value: int = 0, *, name: str = "FashionMNIST") -> None:
    flat = {"FashionMNIST": "fashion-mnist", "MNIST": "mnist"}[name]
    place = folder / {"torchvision": f"{name}/raw", "named": flat, "flat": "."}[layout]
    place.mkdir(parents=True, exist_ok=True)
    for file, content in idx_files(value).items():
        if layout == "torchvision":
            (place / file).write_bytes(content)
        else:
            (place / f"{file}.gz").write_bytes(gzip.compress(content))


def listed(folder: Path, content: dict[str, bytes]) -> list[list[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in content.items():
        (folder / file).write_bytes(data)
    return [[file, hashlib.md5(data, usedforsecurity=False).hexdigest()] for file, data in content.items()]


def write_array(folder: Path, *, count: int = 12, size: tuple[int, int] = (5, 7)) -> dict[str, np.ndarray]:
    """Two files of random images in three channels, and what is in them."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    for split in ("train", "test"):
        images[split] = generator.integers(0, 256, (count, 3, *size), dtype=np.uint8)
        np.save(folder / f"{split}.npy", images[split])
    return images


def told(monkeypatch, name: str, small: type) -> None:
    """Lets a data set be read by a class that knows the checksums of small files."""
    monkeypatch.setitem(torchvision_sets.SETS, name, dataclasses.replace(torchvision_sets.SETS[name], open=small))


def write_cifar(root: Path, name: str, monkeypatch) -> np.ndarray:
    """Two images a split, of the last class and the first; gives the bytes of the first image."""
    base = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    key, classes = {"cifar10": ("labels", 10), "cifar100": ("fine_labels", 100)}[name]
    rows = np.arange(3 * 32 * 32, dtype=np.int64).astype(np.uint8)
    batch = {"data": np.stack([rows, rows + 1]), key: [classes - 1, 0]}
    meta = {base.meta["key"]: [f"class {number}" for number in range(classes)]}
    train, test, (labels,) = (
        listed(root / base.base_folder, {file: pickle.dumps(content)})
        for file, content in (("one", batch), ("two", batch), ("names", meta))
    )
    described = dict(zip(("filename", "md5"), labels, strict=True)) | {"key": base.meta["key"]}
    small = type(base.__name__, (base,), {"train_list": train, "test_list": test, "meta": described})
    told(monkeypatch, name, small)
    return rows


def write_stl10(root: Path, monkeypatch) -> np.ndarray:
    """Two images a split, of the last class and the first; gives them."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    folder = root / datasets.STL10.base_folder
    # Columns first, and classes from 1.
    content = {"X": images.transpose(0, 1, 3, 2).tobytes(), "y": bytes([10, 1])}
    names = "".join(f"class {number}\n" for number in range(10)).encode()
    lists = {
        f"{split}_list": listed(folder, {f"{split}_{kind}.bin": data for kind, data in content.items()})
        for split in COUNTS
    }
    ((file, _),) = listed(folder, {"class_names.txt": names})
    told(monkeypatch, "stl10", type("STL10", (datasets.STL10,), lists | {"class_names_file": file}))
    return images


def write_image_folder(root: Path) -> None:
    """Ten images of two classes, of 8 x 6 pixels, in each split."""
    generator = np.random.default_rng(0)
    for number in range(20):
        file = root / ("train" if number < 10 else "test") / ("ant" if number % 2 else "bee") / f"{number}.png"
        file.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(file)


def write_imagenet(root: Path, classes: tuple[str, ...] = ("n01440764", "n01443537"), side: int = 8) -> None:
    """Pictures as ImageNet's archives have them: five of each class to learn from and three to validate, all sizes."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 3)):
        for number, name in enumerate(classes):
            folder = root / "ILSVRC/Data/CLS-LOC" / split / name
            folder.mkdir(parents=True)
            for which in range(count):
                levels = generator.integers(0, 256, (side + which, side + number, 3), dtype=np.uint8)
                Image.fromarray(levels).save(folder / f"{name}_{which}.JPEG", "JPEG")


def clipart_names(use: str) -> list[str]:
    """The pictures of the Open Clip Art Library that are for testing, or left out, by the table of the package."""
    lines = (resources.files("eqmodels.data") / "openclipart.txt").read_text("utf-8").splitlines()
    return [line.split("\t")[1] for line in lines if line.startswith(f"{use}\t")]


def write_openclipart(folder: Path, classes: tuple[str, ...] = ("computer", "shapes", "logos")) -> None:
    """Tiny pictures under names of the library: 30 for training and 20 for testing in each folder, fewer of logos."""
    generator = np.random.default_rng(0)
    for name in classes:
        testing = [one for one in clipart_names("test") if one.startswith(f"{name}/")][:20]
        for one in [*testing, *(f"{name}/{number}.png" for number in range(3 if name == "logos" else 30))]:
            (folder / one).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (4, 6, 4), dtype=np.uint8)).save(folder / one)


def png(seed: int, size: tuple[int, int] = (6, 8)) -> tuple[np.ndarray, bytes]:
    """Random pixels ``(3, H, W)``, and a file of them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return np.moveaxis(pixels, -1, 0), file.getvalue()


def write_tar(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            tar.addfile(told, io.BytesIO(content))


def write_shards(root: Path, *, labelled: bool = True) -> np.ndarray:
    """Two shards of three images for training and one for testing; gives the nine images."""
    images = [png(seed) for seed in range(9)]
    for number, name in enumerate(("train-0.tar", "train-1.tar", "test-0.tar")):
        members: dict[str, bytes] = {}
        for place in range(3 * number, 3 * number + 3):
            members[f"{place:04}.png"] = images[place][1]
            if labelled:
                members[f"{place:04}.cls"] = str(8 + place % 3).encode()
        write_tar(root / name, members)
    return np.stack([pixels for pixels, _ in images])


def write_hf_disk(root: Path) -> np.ndarray:
    """A data set of Hugging Face of six images for training and three for testing, of two classes; gives all images."""
    import datasets as hugging_face

    images = [png(seed) for seed in range(9)]
    features = hugging_face.Features(
        {"picture": hugging_face.Image(), "kind": hugging_face.ClassLabel(names=["bee", "ant"])}
    )
    parts = {}
    for name, numbers in (("train", range(6)), ("validation", range(6, 9))):
        rows = {"picture": [{"bytes": images[n][1], "path": None} for n in numbers], "kind": [n % 2 for n in numbers]}
        parts[name] = hugging_face.Dataset.from_dict(rows, features=features)
    hugging_face.DatasetDict(parts).save_to_disk(root)
    return np.stack([pixels for pixels, _ in images])
