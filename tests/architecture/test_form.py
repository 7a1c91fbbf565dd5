"""A file has one idea and says it, a function fits on a page, and a docstring says what it means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "eqmodels").rglob("*.py"))
PACKAGES = sorted(file.parent for file in FILES if file.name == "__init__.py")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
POINTING = re.compile(r"(See|As|Like) (the class|there|above|below|`[\w.]+`)\W*$")

each_file = pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])


def described(file: Path) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """What can have a docstring in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The function's lines from its ``def`` to its last one, without those of its docstring."""
    docstring = function.body[0]
    lines = docstring.end_lineno - docstring.lineno + 1 if ast.get_docstring(function) is not None else 0
    return function.end_lineno - function.lineno + 1 - lines


def shadowed(folder: Path) -> set[str]:
    """The modules of a package whose names its ``__init__`` has for something else.

    Read, not run: exports that are loaded when they are used hide a module only in some orders of import.
    """
    modules = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    package = ".".join(folder.relative_to(ROOT).parts) if folder.is_relative_to(ROOT) else folder.name
    names: set[str] = set()
    for node in ast.walk(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.module not in (package, None):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.List | ast.Tuple | ast.Dict):  # __all__, and the homes of what is loaded later
            parts = node.keys if isinstance(node, ast.Dict) else node.elts
            names.update(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return modules & names


@each_file
def test_every_file_says_what_it_is(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), "a module starts with a docstring"


@each_file
def test_no_file_is_long(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines: split it by its ideas"


@each_file
def test_no_function_is_long(file):
    functions = [node for node in described(file) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {function.name: length(function) for function in functions if length(function) > LONGEST_FUNCTION}
    assert long == {}, "split it by its steps"


@pytest.mark.parametrize("folder", PACKAGES, ids=[str(folder.relative_to(ROOT)) for folder in PACKAGES])
def test_no_module_is_shadowed_by_what_its_package_exports(folder):
    """Otherwise ``package.name`` is the module or the function, as whichever was imported last has it."""
    assert shadowed(folder) == set(), "name the file after its idea, and the function after what it does"


@each_file
def test_no_docstring_only_points_elsewhere(file):
    docstrings = {getattr(node, "name", "the file"): ast.get_docstring(node) or "" for node in described(file)}
    pointing = {name: text for name, text in docstrings.items() if POINTING.match(text)}
    assert pointing == {}, "say what it does where it stands"


def test_the_length_of_a_function_is_that_of_its_code():
    (function,) = ast.parse('def one(\n    a,\n):\n    """Says.\n\n    More.\n    """\n    return a').body
    assert length(function) == 4


@pytest.mark.parametrize(
    "content",
    [
        "from parcel.scores import scores",
        "from parcel.rest import total as scores",
        "if TYPE_CHECKING:\n    from parcel.scores import scores",
        "_HOMES = {'scores': 'parcel.scores'}",
        "__all__ = ['scores']",
        "def scores(): ...",
    ],
)
def test_a_shadowed_module_is_found(tmp_path, content):
    package = tmp_path / "parcel"
    package.mkdir()
    (package / "scores.py").touch()
    (package / "__init__.py").write_text(content)
    assert shadowed(package) == {"scores"}
    (package / "__init__.py").write_text("from parcel import scores as scores\nfrom parcel.scores import Score")
    assert shadowed(package) == set()


@pytest.mark.parametrize("text", ["See the class.", "See there.", "As above.", "See `Encoder.forward`."])
def test_a_docstring_that_only_points_is_known(text):
    assert POINTING.match(text)
    assert not POINTING.match(f"{text[:-1]}, and doubles it.")
