"""Imports run one way, are few, and every file has one idea."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "eqmodels").rglob("*.py"))
LONGEST_FILE = 400

each_file = pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])


def run_python(program: str) -> str:
    """The output of a program in an interpreter that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_contract_holds():
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["escnn", "jaxtyping", "matplotlib", "onnx", "onnxruntime", "onnxscript", "timm"])
def test_importing_eqmodels_does_not_import(package, imported_with_eqmodels):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert package not in imported_with_eqmodels


@pytest.fixture(scope="module")
def imported_with_eqmodels() -> set[str]:
    """What ``import eqmodels`` imports beyond what torch and torchvision import by themselves."""
    of_torch, of_both = (
        {name.partition(".")[0] for name in run_python(f"import sys, {names}\nprint(*sys.modules)").split()}
        for names in ("torch, torchvision", "torch, torchvision, eqmodels")
    )
    return of_both - of_torch


@each_file
def test_every_file_says_what_it_is(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "a module starts with a docstring"


@each_file
def test_no_file_is_long(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines: split it by its ideas"
