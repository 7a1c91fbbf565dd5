"""Data sets of torchvision: where their files are looked for, and what is said if they are nowhere."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from eqmodels.data import load_data, search_folders, torchvision_sets
from tests.data.files import COUNTS, idx_files, write_cifar, write_idx, write_stl10

LAYOUTS = ("torchvision", "named", "flat")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch) -> dict[str, Path]:
    """The four places, none of which exists yet; and no network."""

    def no_network(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setenv("EQMODELS_DATA", str(tmp_path / "variable"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torchvision_sets, "DEBIAN", tmp_path / "debian")
    return {
        "argument": tmp_path / "argument",
        "variable": tmp_path / "variable",
        "torch": tmp_path / "torch" / "datasets",
        "debian": tmp_path / "debian",
    }


def value_of(data) -> int:
    (value,) = data.images.unique().tolist()
    return value


# Where files are found.


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["FashionMNIST", "MNIST"])
def test_both_layouts_are_read(layout, name, tmp_path):
    write_idx(tmp_path, layout, 7, name=name)
    for split, count in COUNTS.items():
        known = {"FashionMNIST": "fashion_mnist", "MNIST": "mnist"}[name]
        data = load_data(known, split, root=tmp_path, download=False)
        assert data.name == known
        assert data.images.shape == (count, 1, 28, 28)
        assert data.images.dtype == torch.uint8
        assert value_of(data) == 7
        assert data.labels.tolist() == list(range(count))
        assert len(data.classes) == 10


def test_the_folders_are_searched_in_order(places):
    assert search_folders(places["argument"]) == list(places.values())
    for value, layout in reversed(list(enumerate(("flat", "torchvision", "named", "named")))):
        write_idx(list(places.values())[value], layout, value)
        found = load_data("fashion_mnist", root=places["argument"], download=False)
        assert value_of(found) == value


def test_without_argument_and_variable_there_are_two_places(places, monkeypatch):
    monkeypatch.delenv("EQMODELS_DATA")
    assert search_folders() == [places["torch"], places["debian"]]
    monkeypatch.setenv("EQMODELS_DATA", "~/images")
    assert search_folders()[0] == Path("~/images").expanduser()


def test_the_shipped_folder_is_debians():
    assert dataclasses.is_dataclass(torchvision_sets.SETS["fashion_mnist"])
    assert torchvision_sets.SETS["fashion_mnist"].raw[0] == "fashion-mnist"


def test_reading_gzipped_files_leaves_nothing_beside_them(tmp_path):
    write_idx(tmp_path / "in", "flat")
    before = sorted((tmp_path / "in").rglob("*"))
    load_data("fashion_mnist", root=tmp_path / "in", download=False)
    assert sorted((tmp_path / "in").rglob("*")) == before


def test_the_folder_of_one_data_set_is_not_another(tmp_path):
    """MNIST and Fashion-MNIST have files of the same names."""
    write_idx(tmp_path, "named")
    assert len(load_data("fashion_mnist", root=tmp_path / "fashion-mnist", download=False)) == 6
    for folder in (tmp_path, tmp_path / "fashion-mnist"):
        with pytest.raises(FileNotFoundError):
            load_data("mnist", root=folder, download=False)


def published(monkeypatch, folder: Path, name: str) -> None:
    """Lets torchvision know the gzipped files of a folder as those of a data set."""
    files = [(file.name, hashlib.md5(file.read_bytes()).hexdigest()) for file in folder.glob("*.gz")]
    monkeypatch.setattr(getattr(datasets, name), "resources", files)


@pytest.mark.parametrize("layout", ["flat", "named"])
@pytest.mark.parametrize(("name", "other"), [("FashionMNIST", "MNIST"), ("MNIST", "FashionMNIST")])
def test_files_of_another_data_set_are_known_by_their_content(name, other, layout, places, monkeypatch):
    known = {"FashionMNIST": "fashion_mnist", "MNIST": "mnist"}
    write_idx(places["argument"], layout, 4, name=name)
    (files,) = {file.parent for file in places["argument"].rglob("*.gz")}
    published(monkeypatch, files, other)
    with pytest.raises(
        FileNotFoundError, match=rf"{re.escape(str(places['argument']))} \(holds files of {known[other]}\)"
    ):
        load_data(known[name], root=places["argument"], download=False)
    # What lies beside them is found, and so are they.
    write_idx(places["argument"], "torchvision", 5, name=name)
    assert value_of(load_data(known[name], root=places["argument"], download=False)) == 5
    if layout == "flat":
        assert value_of(load_data(known[other], root=places["argument"], download=False)) == 4


def damaged(folder: Path) -> None:
    write_idx(folder, "flat")
    for file in folder.glob("*.gz"):
        file.write_bytes(file.read_bytes()[:-20])


def short(folder: Path) -> None:
    write_idx(folder, "torchvision")
    for file in folder.rglob("*ubyte"):
        file.write_bytes(file.read_bytes()[:6])


def incomplete(folder: Path) -> None:
    write_idx(folder, "flat")
    (folder / "train-labels-idx1-ubyte.gz").unlink()


def a_file(folder: Path) -> None:
    folder.write_text("no folder")


@pytest.mark.parametrize("spoil", [damaged, short, incomplete, a_file])
def test_a_folder_that_cannot_be_read_is_passed_by_and_named(spoil, places):
    spoil(places["argument"])
    with pytest.raises(FileNotFoundError, match=re.escape(f"{places['argument']} (")):
        load_data("fashion_mnist", root=places["argument"], download=False)
    write_idx(places["debian"], "named", 3)
    assert value_of(load_data("fashion_mnist", root=places["argument"], download=False)) == 3


# The others of torchvision, with small files whose checksums its classes are told.


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_is_read(name, classes, tmp_path, monkeypatch):
    rows = write_cifar(tmp_path, name, monkeypatch)
    for split in COUNTS:
        data = load_data(name, split, root=tmp_path, download=False)
        assert data.images.shape == (2, 3, 32, 32)
        assert torch.equal(data.images[0].flatten(), torch.from_numpy(rows))
        assert data.images.is_contiguous()
        assert data.labels.tolist() == [classes - 1, 0]
        assert len(data.classes) == classes


def test_stl10_is_read(tmp_path, monkeypatch):
    images = write_stl10(tmp_path, monkeypatch)
    for split in COUNTS:
        data = load_data("stl10", split, root=tmp_path, download=False)
        assert torch.equal(data.images, torch.from_numpy(images))
        assert data.labels.tolist() == [9, 0]
        assert data.classes[0] == "airplane"
        assert len(data.classes) == 10


# Downloads.


def downloading(monkeypatch, *, fails_at: int | None = None) -> list[str]:
    """Lets torchvision "download" small files; the given one arrives by half. Returns the names asked for."""
    asked: list[str] = []

    def fetch(url: str, *, download_root: str, filename: str, md5: str) -> None:
        asked.append(url)
        content = idx_files(9)[filename.removesuffix(".gz")]
        half = len(asked) - 1 == fails_at
        (Path(download_root) / filename).write_bytes(gzip.compress(content)[: 20 if half else None])
        if half:
            raise OSError("the line is dead")
        (Path(download_root) / filename.removesuffix(".gz")).write_bytes(content)

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", fetch)
    return asked


def test_what_is_not_found_is_downloaded_into_the_first_place_once(places, monkeypatch):
    asked = downloading(monkeypatch)
    data = load_data("fashion_mnist", root=places["argument"])
    assert value_of(data) == 9
    assert len(asked) == 4
    raw = places["argument"] / "FashionMNIST" / "raw"
    assert {file.name for file in raw.iterdir()} >= set(idx_files())
    assert [file.name for file in places["argument"].iterdir()] == ["FashionMNIST"]
    assert not any(place.exists() for name, place in places.items() if name != "argument")
    assert value_of(load_data("fashion_mnist", "test", root=places["argument"])) == 9
    assert len(asked) == 4


def test_a_place_that_cannot_be_written_is_passed_by(places, monkeypatch):
    downloading(monkeypatch)
    places["argument"].write_text("no folder")
    assert value_of(load_data("fashion_mnist", root=places["argument"])) == 9
    assert (places["variable"] / "FashionMNIST" / "raw").is_dir()


def test_what_is_said_while_downloading_is_no_result(places, monkeypatch, capsys):
    downloading(monkeypatch)
    fetch = datasets.mnist.download_and_extract_archive

    def talkative(*arguments: object, **options: object) -> None:
        print("Downloading http://...")
        fetch(*arguments, **options)

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", talkative)
    load_data("fashion_mnist", root=places["argument"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("Downloading http://...") == 4


def test_other_data_in_the_place_is_kept(places, monkeypatch):
    write_idx(places["argument"], "torchvision", 5, name="MNIST")
    (places["argument"] / "FashionMNIST" / "raw").mkdir(parents=True)
    (places["argument"] / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"half")
    downloading(monkeypatch)
    assert value_of(load_data("fashion_mnist", root=places["argument"])) == 9
    assert value_of(load_data("mnist", root=places["argument"], download=False)) == 5


@pytest.mark.parametrize("fails_at", range(4))
def test_a_failed_download_leaves_nothing_behind(fails_at, places, monkeypatch):
    downloading(monkeypatch, fails_at=fails_at)
    with pytest.raises(FileNotFoundError, match=r"a download into \S+argument \(the line is dead\)"):
        load_data("fashion_mnist", root=places["argument"])
    assert not any(place.exists() for place in places.values())


def test_a_failed_download_says_all_that_was_tried_in_one_line(places):
    with pytest.raises(FileNotFoundError) as raised:
        load_data("fashion_mnist", root=places["argument"])
    message = str(raised.value)
    assert "\n" not in message
    for place in places.values():
        assert f"{place} (Dataset not found)" in message
    assert f"a download into {places['argument']} (Error downloading train-images-idx3-ubyte.gz" in message
    assert "no network in tests" in message
    assert message.endswith(
        "Name the folder that has them by root= (--root), or in the variable EQMODELS_DATA, or use "
        "fashion_mnist_mini, which is part of the package."
    )
    assert not any(place.exists() for place in places.values())


def test_torchvision_is_asked_to_download_last_and_only_if_allowed(places, monkeypatch):
    asked: list[tuple[str, bool]] = []

    def open_it(root: str, *, train: bool, download: bool) -> None:
        assert train
        asked.append((root, download))
        raise RuntimeError("not here")

    monkeypatch.setitem(
        torchvision_sets.SETS, "cifar10", dataclasses.replace(torchvision_sets.SETS["cifar10"], open=open_it)
    )
    for download in (False, True):
        asked.clear()
        with pytest.raises(FileNotFoundError, match="the files of cifar10 were not found; tried"):
            load_data("cifar10", root=places["argument"], download=download)
        assert asked[:4] == [(str(place), False) for place in places.values()]
        assert [flag for _, flag in asked[4:]] == [True] * download
