"""Imports run one way, in no circle, and bring in what everybody has."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
OPTIONAL = [
    *(
        "e2cnn",
        "escnn",
        "faiss",
        "jaxtyping",
        "markdown",
        "matplotlib",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "pyarrow",
        "sklearn",
    ),
    *("tensorboard", "timm", "transformers"),
]
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def test_the_import_contract_holds():
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_imports_itself_by_way_of_others():
    """Packages' own files count, and imports inside functions."""
    graph = grimp.build_graph("eqmodels", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_a_circle_through_a_function_is_found(tmp_path, monkeypatch):
    """As grimp must see it, or the two tests above would see nothing."""
    package = tmp_path / "round_trip"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text("from round_trip import second")
    (package / "second.py").write_text("def later():\n    from round_trip.first import second")
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("round_trip", cache_dir=None)
    assert graph.find_modules_directly_imported_by("round_trip.second") == {"round_trip.first"}
    assert graph.find_modules_directly_imported_by("round_trip.first") == {"round_trip.second"}


@pytest.fixture(scope="module")
def imported_with_every_module() -> set[str]:
    """What importing every module of the package imports, but for the one that is imported to register with timm."""
    program = """
import pkgutil, sys, eqmodels
for module in pkgutil.walk_packages(eqmodels.__path__, "eqmodels."):
    if module.name not in ("eqmodels.__main__", "eqmodels.timm"):
        __import__(module.name)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", OPTIONAL)
def test_no_module_needs_an_optional_package(package, imported_with_every_module):
    assert package not in imported_with_every_module
    assert {"torch", "eqmodels.cli.demo"} <= imported_with_every_module


def imported_by(file: Path) -> set[str]:
    """The packages that a file names in its imports, wherever they stand."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_nothing_is_imported_that_only_posix_has():
    files = sorted((ROOT / "eqmodels").rglob("*.py"))
    assert [file.name for file in files if imported_by(file) & POSIX] == []
