"""Nothing is imported before it is needed: `import eqmodels`, and the command's help, cost next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eqmodels
from eqmodels.cli.parser import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = {"PIL", "huggingface_hub", "jinja2", "jsonschema", "numpy", "scipy", "torch", "torchvision"}


def run_python(program: str, *arguments: str) -> str:
    """The output of a program in an interpreter that has imported nothing yet."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_else():
    imported = run_python("import eqmodels, sys\nprint(*sys.modules)").split()
    assert HEAVY.isdisjoint(imported)
    assert [name for name in imported if name.startswith("eqmodels")] == ["eqmodels.lazy", "eqmodels"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["sing"]], ids=" ".join)
def test_the_command_answers_without_what_commands_need(arguments):
    program = """
import sys
from eqmodels.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules)
"""
    *_, imported = run_python(program, *arguments).splitlines()
    assert HEAVY.isdisjoint(imported.split())
    assert not {f"eqmodels.cli.{command}" for command in COMMANDS} & set(imported.split())


def test_modules_and_names_are_there_when_they_are_used():
    printed = run_python(
        "import eqmodels\n"
        "print(eqmodels.export.to_plain.__module__, eqmodels.PlanarGroup.__module__)\n"
        "from eqmodels import data, fields\n"
        "print(data.__name__, fields.__name__)"
    )
    assert printed.split() == ["eqmodels.export.plain", "eqmodels.groups.planar", "eqmodels.data", "eqmodels.fields"]


def test_every_public_name_is_what_the_type_checker_takes_it_for():
    (block,) = (
        node
        for node in ast.parse(Path(eqmodels.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    typed = {alias.name: statement.module for statement in block.body for alias in statement.names}
    public = {name: module for name, module in typed.items() if module != "eqmodels"}
    assert sorted(public) == sorted(eqmodels.__all__)
    assert public == eqmodels._HOMES
    for name, module in public.items():
        assert getattr(eqmodels, name) is getattr(sys.modules[module], name)
    for name in typed.keys() - public.keys():
        assert getattr(eqmodels, name).__name__ == f"eqmodels.{name}"


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match=r"^module 'eqmodels' has no attribute 'modles'$"):
        _ = eqmodels.modles
    assert not hasattr(eqmodels, "_private")
    assert {*eqmodels.__all__, "export", "hub"} <= {*dir(eqmodels)}


def test_what_a_module_misses_is_not_hidden(tmp_path):
    """A module that cannot be imported is no missing attribute."""
    (tmp_path / "needy.py").write_text("import nothing_of_this_name")
    program = "import sys, eqmodels\neqmodels.__path__.append(sys.argv[1])\ntry:\n    eqmodels.needy\n"
    printed = run_python(f"{program}except ModuleNotFoundError as error:\n    print(error.name)", str(tmp_path))
    assert printed.strip() == "nothing_of_this_name"
