"""What is published: one version, typed, and nothing in the wheel but the package."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import eqmodels

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def source_files(tmp_path_factory) -> set[str]:
    """The files of the source archive, by their paths in the project."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        return {name.partition("/")[2] for name in files.getnames()}


def test_one_version(project):
    assert eqmodels.__version__ == project["version"]


def test_the_changelog_has_the_version(project):
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_there_are_few_extras(project):
    assert len(project["optional-dependencies"]) <= 6


def test_the_oldest_versions_are_the_declared_ones(project):
    """The tests run with those of `.ci/oldest.txt`, where tools of development are the newest."""
    extras = {name: extra for name, extra in project["optional-dependencies"].items() if name != "dev"}
    declared = dict(
        re.match(r"([\w-]+)[>=]=([\d.]+)", requirement).groups()
        for requirement in (*project["dependencies"], *(one for extra in extras.values() for one in extra))
    )
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert oldest.keys() == declared.keys()
    assert {name: version for name, version in oldest.items() if not version_is(version, declared[name])} == {}


def version_is(version: str, declared: str) -> bool:
    """Whether both are one version: 1.3 is 1.3.0."""
    return re.sub(r"(\.0)+$", "", version) == re.sub(r"(\.0)+$", "", declared)


def test_the_oldest_python_is_one_word(project):
    oldest = project["requires-python"].removeprefix(">=")
    versions = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert oldest == versions[0]
    for name in ("README.md", "CONTRIBUTING.md", "Makefile"):
        words = (ROOT / name).read_text(encoding="utf-8")
        assert f"Python {oldest} or later" in words, f"{name} names another Python"


def test_no_message_installs_this_package_from_an_index_that_does_not_have_it():
    files = [file for file in (ROOT / "eqmodels").rglob("*") if file.suffix in (".py", ".j2")]
    assert [file for file in files if re.search(r"pip install \S*eqmodels", file.read_text(encoding="utf-8"))] == []


def test_the_wheel_is_typed_and_licensed(wheel_files, project):
    assert "eqmodels/py.typed" in wheel_files
    assert f"eqmodels-{project['version']}.dist-info/licenses/LICENSE" in wheel_files


def test_the_wheel_holds_every_module_and_nothing_beside_the_package(wheel_files):
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "eqmodels").rglob("*.py")}
    assert modules <= wheel_files
    assert {name.split("/")[0] for name in wheel_files if ".dist-info/" not in name} == {"eqmodels"}


def test_the_wheel_holds_what_pages_are_made_of_in_at_most_one_and_a_half_megabytes(wheel_files):
    folder = ROOT / "eqmodels" / "pages"
    parts = [file for file in folder.rglob("*") if file.suffix in (".j2", ".css", ".js", ".json", ".txt")]
    assert {str(file.relative_to(ROOT)) for file in parts} <= wheel_files
    assert len(parts) > 12
    assert sum(file.stat().st_size for file in parts) < 1_500_000


def test_the_wheel_holds_the_pretrained_networks_of_width_16_and_those_of_photographs_and_parts(wheel_files):
    small = {folder.name for folder in (ROOT / "zoo").iterdir() if "_w16." in folder.name}
    small |= {f"{group}resnet18_w32.distil_lite0" for group in ("c4_", "d4_", "")}
    small |= {f"so3_{size}.frame_kicad" for size in ("points_small", "vectors_small")}
    held = {Path(name).parent.name for name in wheel_files if name.startswith("eqmodels/remote/zoo/")}
    assert (
        held == small >= {f"{model}_w16.rot_fmnist_simclr" for model in ("resnet18s", "c4_resnet18s", "d4_resnet18s")}
    )


def test_the_source_archive_holds_what_its_documents_link_to_and_its_commands_read(source_files):
    linked = {".ci/oldest.txt", ".ci/run"}
    for document in ("README.md", "CONTRIBUTING.md", "docs/results.md", "docs/why.md", "docs/your-images.md"):
        words = (ROOT / document).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", words):
            place = ((ROOT / document).parent / link).resolve()
            linked.add(place.relative_to(ROOT.resolve()).as_posix())
    missing = {link for link in linked if not any(name == link or name.startswith(f"{link}/") for name in source_files)}
    assert missing == set()
