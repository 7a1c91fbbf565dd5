"""Weights are compared by their header before any of them is read or copied: a sparse file is as large as it likes."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from eqmodels.hub import publish, verify
from eqmodels.storage import read_regular
from tests.hub.networks import REPOSITORY, TWIN, refuses

GIGABYTES = 1


def inflate(file: Path) -> None:
    """Adds a tensor of many zeros, which take no space on the disk."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, weights = json.loads(content[8 : 8 + length]), content[8 + length :]
    values = GIGABYTES * 2**28
    offsets = [len(weights), len(weights) + 4 * values]
    header["backbone.zeros"] = {"dtype": "F32", "shape": [values], "data_offsets": offsets}
    words = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(words)) + words + weights)
    os.truncate(file, 8 + len(words) + offsets[1])


@pytest.fixture
def nothing_is_read(monkeypatch):
    """No weight may be read."""

    def fail(*arguments):
        raise AssertionError(f"read: {arguments}")

    def read(file, *arguments):
        return fail(file) if str(file).endswith("model.safetensors") else read_regular(file, *arguments)

    monkeypatch.setattr("eqmodels.storage.folder.read_regular", read)
    monkeypatch.setattr("eqmodels.storage.folder.sha256_of", fail)


@pytest.mark.usefixtures("nothing_is_read")
def test_a_sparse_file_is_not_verified_by_reading_it(folder):
    inflate(folder / "model.safetensors")
    report = verify(folder)
    assert not report.passed
    assert report.first_failure.startswith("header: ")
    assert "unknown (zeros)" in report.first_failure


@pytest.mark.usefixtures("nothing_is_read")
def test_a_sparse_file_is_not_published_by_reading_it(folder, server, api):
    inflate(folder / "model.safetensors")
    words = refuses("is not fit to be published: .* unknown .zeros.", publish, folder, REPOSITORY)
    assert words.startswith(str(folder))
    assert server.requests == []


def test_nor_is_the_sparse_file_of_a_twin(folder, server, api):
    inflate(folder.with_name(TWIN) / "model.safetensors")
    words = refuses("is not fit to be published: .* unknown .zeros.", publish, folder, REPOSITORY)
    assert words.startswith(str(folder.with_name(TWIN)))
