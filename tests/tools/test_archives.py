"""What a release must not have, and must: each fault is found, and the archives of today have none."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.archives import archive_faults, files_of, licence_faults, version_faults

ROOT = Path(__file__).parents[2]
WHEEL = {"eqmodels/__init__.py": 10, "eqmodels/py.typed": 0, "eqmodels-0.2.0.dist-info/licenses/LICENSE": 1000}
SOURCE = {"eqmodels/py.typed": 0, "README.md": 10, "zoo/x/model.safetensors": 11_000_000}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    return sorted(folder.iterdir())


def test_the_archives_of_today_are_as_they_should_be(built):
    assert len(built) == 2
    for archive in built:
        assert list(archive_faults(archive.name, archive.stat().st_size, files_of(archive))) == []
    assert list(licence_faults(next(one for one in built if one.suffix == ".whl"))) == []


@pytest.mark.parametrize(
    ("name", "size", "more", "fault"),
    [
        ("x.whl", 10, {}, None),
        ("x.tar.gz", 10, {}, None),
        ("x.whl", 10**8, {}, "x.whl has 100.0 MB; at most 32 are meant"),
        ("x.whl", 10, {"tests/test_a.py": 1}, "x.whl has tests at its top"),
        ("x.tar.gz", 10, {"runs/a.csv": 1}, "x.tar.gz has runs at its top"),
        ("x.whl", 10, {"eqmodels/__pycache__/a.cpython-311.pyc": 1}, "which is no part of a release"),
        ("x.tar.gz", 10, {"benchmarks/results/a/checkpoint.pt": 1}, "which is no part of a release"),
        ("x.whl", 10, {"eqmodels/large.bin": 13_000_000}, "eqmodels/large.bin of 13.0 MB; at most 12"),
        ("x.whl", 10, {"eqmodels/py.typed": None}, "has no py.typed"),
        ("x.whl", 10, {"eqmodels-0.2.0.dist-info/licenses/LICENSE": None}, "has no LICENSE"),
    ],
)
def test_what_an_archive_must_not_have_is_found(name, size, more, fault):
    files = {**(WHEEL if name.endswith(".whl") else SOURCE), **more}
    found = list(archive_faults(name, size, {file: own for file, own in files.items() if own is not None}))
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]


def test_a_network_and_a_data_set_without_a_licence_are_found(tmp_path):
    index = [
        {"name": "a", "license": "mit", "data_license": "CC-PDDC AND GPL-2.0-or-later"},
        {"name": "b", "license": "mit", "data_license": None},
        {"name": "c", "license": "as you like (really)", "data_license": "MIT"},
    ]
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr("eqmodels/remote/zoo.json", json.dumps(index))
        for name in ("remote/zoo/a/config.json", "remote/zoo/d/config.json", "data/p_mini/x", "data/p_mini/LICENSE"):
            wheel.writestr(f"eqmodels/{name}", "")
        wheel.writestr("eqmodels/data/q_mini/x", "")
    found = list(licence_faults(tmp_path / "x.whl"))
    assert [fault.split(" has ")[0].split(" is ")[0] for fault in found] == ["b", "c", "d", "eqmodels/data/q_mini"]


def test_a_version_that_nobody_else_speaks_of_is_found():
    assert list(version_faults(ROOT, "99.0")) == [
        "eqmodels.__version__ is not 99.0, that of pyproject.toml",
        "CHANGELOG.md has no section of 99.0 with a date",
    ]
