"""Regular files alone are read: what is no such file is named in a sentence, at once."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from eqmodels import EqmodelsError, load
from eqmodels.data import load_data
from eqmodels.hub import load_pretrained
from eqmodels.hub.entries import read_results
from eqmodels.storage import StorageError, read_config, read_layout, read_regular, read_weights, sha256_of
from eqmodels.training import TrainingError
from eqmodels.training.checkpoint import open_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")


@pytest.fixture(autouse=True)
def at_once():
    """Ends what waits for a pipe, or reads a device without end."""

    def stop(*_):
        raise AssertionError("it waits, or does not end")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(place: Path) -> str:
    os.mkfifo(place)
    return "it is a named pipe, and no regular file"


def device(place: Path) -> str:
    place.symlink_to("/dev/zero")
    return "it is a device, and no regular file"


def folder(place: Path) -> str:
    place.mkdir()
    return "it is a folder, and no regular file"


def loop(place: Path) -> str:
    place.symlink_to(place.name)
    return "Too many levels of symbolic links"


ODD = (pipe, device, folder, loop)


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize(
    "read", [read_config, read_layout, sha256_of, lambda file: read_weights(file, "0" * 64), open_checkpoint]
)
def test_no_reader_takes_what_is_no_file(tmp_path, make, read):
    file = tmp_path / "file"
    sentence = make(file)
    with pytest.raises((StorageError, TrainingError), match=sentence) as caught:
        read(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("make", ODD)
def test_results_are_a_file(tmp_path, make):
    sentence = make(tmp_path / "results.json")
    with pytest.raises(StorageError, match=sentence):
        read_results(tmp_path)


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "checkpoint.pt"])
@pytest.mark.parametrize("read", [load, load_pretrained])
def test_a_folder_of_such_files_holds_no_network(tmp_path, make, name, read):
    for other in ("config.json", "model.safetensors"):
        (tmp_path / other).write_text("{}")
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(EqmodelsError):
        read(tmp_path)


@pytest.mark.parametrize("make", [pipe, device, loop])
def test_an_image_is_a_file(tmp_path, make):
    file = tmp_path / "data" / "train" / "a.png"
    file.parent.mkdir(parents=True)
    sentence = make(file)
    with pytest.raises(ValueError, match=f"({sentence}|is a link out of )"):
        load_data("image_folder", root=tmp_path / "data")


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("socket")
        with pytest.raises(OSError, match="socket"):
            read_regular("socket")


def test_a_link_to_a_file_is_read_and_a_larger_one_is_not(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than 4"):
        read_regular(tmp_path / "link", 4)
