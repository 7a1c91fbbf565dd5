"""A network's folder as an object: each file is read once, whatever becomes of it, and is what it was."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest

from eqmodels import create_model
from eqmodels.storage import CONFIG, WEIGHTS, NetworkFolder, StorageError

OPENED = []
"""Paths that were opened, while somebody listens."""
LISTENING = []
sys.addaudithook(lambda event, given: OPENED.append(str(given[0])) if event == "open" and LISTENING else None)


@pytest.fixture
def opened():
    """The paths that are opened in the test."""
    OPENED.clear()
    LISTENING.append(True)
    yield lambda name: sum(os.path.basename(path) == name for path in OPENED)
    LISTENING.clear()


@pytest.fixture
def folder(tmp_path):
    create_model("c4_resnet18s_w4", num_classes=0).save_pretrained(tmp_path / "net")
    return tmp_path / "net"


def asked(held):
    return held.config(), held.weights(), held.sha256(WEIGHTS), held.content(WEIGHTS), held.size(WEIGHTS)


def test_each_file_is_read_once_and_stays_what_it_was(folder, opened):
    held = NetworkFolder(folder)
    before = asked(held)
    (folder / CONFIG).write_text("{}")
    (folder / WEIGHTS).unlink()
    OPENED.clear()
    after = asked(held)
    assert opened(CONFIG) == opened(WEIGHTS) == 0
    assert before[0] is after[0]
    assert before[1] is after[1]
    assert before[2:] == after[2:]
    assert before[2] == hashlib.sha256(before[3]).hexdigest()
    assert held.has(WEIGHTS) is True


def test_a_first_look_opens_the_config_once_and_the_weights_for_header_and_content(folder, opened):
    held = NetworkFolder(folder)
    held.layout()
    asked(held)
    held.layout()
    assert (opened(CONFIG), opened(WEIGHTS)) == (1, 2)


def test_of_a_path_no_content_is_kept(folder):
    held = NetworkFolder.of(folder)
    first = held.weights()
    assert held.weights() is not first
    assert NetworkFolder.of(held) is held
    assert not any(isinstance(value, bytes) for value in held._kept.values())


def test_what_is_put_in_the_place_of_a_file_counts_and_is_not_written(folder):
    held = NetworkFolder(folder)
    content = held.config() | {"num_classes": 7}
    before = (folder / CONFIG).read_bytes()
    held.put(CONFIG, json.dumps(content).encode())
    assert held.config()["num_classes"] == 7
    assert held.sha256(CONFIG) == hashlib.sha256(json.dumps(content).encode()).hexdigest()
    assert (folder / CONFIG).read_bytes() == before


def test_what_failed_is_asked_again(folder):
    held = NetworkFolder(folder)
    (folder / CONFIG).rename(folder / "elsewhere")
    with pytest.raises(StorageError, match=r"config\.json cannot be read \(No such file or directory\)"):
        held.config()
    (folder / "elsewhere").rename(folder / CONFIG)
    assert held.config()["architecture"] == "c4_resnet18s_w4"


def test_weights_of_another_sha256_are_refused(folder):
    held = NetworkFolder(folder)
    held.put(CONFIG, json.dumps(held.config() | {"sha256": "0" * 64}).encode())
    with pytest.raises(StorageError, match="damaged or of another network"):
        held.weights()
