"""The archives of a release, judged: nothing beside the package, no file too large, a licence for everything."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["archive_faults", "files_of", "licence_faults", "version_faults"]

LARGEST_WHEEL, LARGEST_SOURCE, LARGEST_FILE = 32e6, 80e6, 12e6
"""Bytes of the archives, and of a file in them; PyPI takes 100 MB."""
TOP_OF_SOURCE = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "PKG-INFO", "README.md",
    "SECURITY.md", "benchmarks", "docs", "eqmodels", "examples",
    "mkdocs.yml", "pyproject.toml", "tests", "tools", "zoo",
}  # fmt: skip
UNWANTED = re.compile(r"(^|/)(__pycache__|\.git|\.venv[^/]*|checkpoint\.pt|\.DS_Store)(/|$)|\.(pyc|pyo|so|log)$")
SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*( (AND|OR|WITH) [A-Za-z0-9][A-Za-z0-9.+-]*)*")
ZOO, INDEX = "eqmodels/remote/zoo/", "eqmodels/remote/zoo.json"
DATA = re.compile(r"(eqmodels/data/[^/]+_mini)/")


def files_of(archive: Path) -> dict[str, int]:
    """Bytes of every file in a wheel or source archive, by its path, of a source archive below its one folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return {one.filename: one.file_size for one in opened.infolist() if not one.is_dir()}
    with tarfile.open(archive) as opened:
        return {one.name.partition("/")[2]: one.size for one in opened.getmembers() if one.isfile()}


def archive_faults(name: str, size: int, files: Mapping[str, int]) -> Iterator[str]:
    """What should not be in an archive, or not so large, a sentence each.

    Args:
        name: of the archive.
        size: of it, in bytes.
        files: bytes of every file in it.
    """
    is_wheel = name.endswith(".whl")
    if size > (most := LARGEST_WHEEL if is_wheel else LARGEST_SOURCE):
        yield f"{name} has {size / 1e6:.1f} MB; at most {most / 1e6:.0f} are meant"
    for file, own in files.items():
        if UNWANTED.search(file):
            yield f"{name} has {file}, which is no part of a release"
        if own > LARGEST_FILE:
            yield f"{name} has {file} of {own / 1e6:.1f} MB; at most {LARGEST_FILE / 1e6:.0f} are meant"
    tops = {file.split("/")[0] for file in files}
    odd = sorted(top for top in tops if not (top == "eqmodels" or top.endswith(".dist-info")))
    for top in odd if is_wheel else sorted(tops - TOP_OF_SOURCE):
        yield f"{name} has {top} at its top, which is no part of it"
    if is_wheel and not any(re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", file) for file in files):
        yield f"{name} has no LICENSE"
    if "eqmodels/py.typed" not in files:
        yield f"{name} has no py.typed: its types are not seen"


def licence_faults(wheel: Path) -> Iterator[str]:
    """Networks and data sets of a wheel that have no licence, a sentence each.

    Every network of the index, in the wheel or not, names the SPDX expression of its weights and of what they were
    trained on; a network in the wheel is in the index; and beside embedded data lies their licence.
    """
    with zipfile.ZipFile(wheel) as opened:
        names, index = set(opened.namelist()), json.loads(opened.read(INDEX))
    for network in index:
        for key in ("license", "data_license"):
            if not SPDX.fullmatch(str(network.get(key) or "")):
                yield f"{network['name']} has the {key} {network.get(key)!r}, which is no SPDX expression"
    held = {name.removeprefix(ZOO).split("/")[0] for name in names if name.startswith(ZOO)}
    for name in sorted(held - {network["name"] for network in index}):
        yield f"{name} is in the wheel and not in the index, so that nobody says its licence"
    for folder in sorted({found[1] for name in names if (found := DATA.match(name))}):
        if not any(name.startswith(f"{folder}/LICEN") for name in names):
            yield f"{folder} has no licence beside it"


def version_faults(root: Path, version: str) -> Iterator[str]:
    """Whether the package and the changelog speak of the version that is built."""
    if f'__version__ = "{version}"' not in (root / "eqmodels/__init__.py").read_text("utf-8"):
        yield f"eqmodels.__version__ is not {version}, that of pyproject.toml"
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", (root / "CHANGELOG.md").read_text("utf-8"), re.M
    ):
        yield f"CHANGELOG.md has no section of {version} with a date"
