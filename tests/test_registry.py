"""The laws of a registry: names find what was registered, and no name that stands in a file imports anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eqmodels.registry import Registry, UnknownNameError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def losses() -> Registry:
    registry = Registry("loss", "losses")

    @registry.register("square", "l2")
    def square(error):
        return error**2

    @registry.register("absolute")
    def absolute(error):
        return abs(error)

    return registry


def test_a_name_finds_what_was_registered(losses):
    assert losses.find("square")(3) == losses.find("l2")(3) == 9
    assert losses.find("absolute")(-3) == 3
    assert "square" in losses
    assert "cube" not in losses
    assert None not in losses


def test_the_decorator_gives_back_what_it_decorates():
    registry = Registry("thing")

    class Thing:
        pass

    assert registry.register("thing")(Thing) is Thing
    assert registry.find("thing") is Thing


def test_names_are_sorted_and_match_a_pattern(losses):
    assert losses.names() == list(losses) == ["absolute", "l2", "square"]
    assert losses.names("*s*") == ["absolute", "square"]
    assert losses.names("cube") == []


def test_a_plural_follows_from_the_kind():
    assert Registry("task").plural == "tasks"
    assert Registry("loss", "losses").plural == "losses"


@pytest.mark.parametrize(("typed", "nearest"), [("sqare", "square"), ("absolut", "absolute"), ("zzz", "absolute")])
def test_an_unknown_name_gets_the_nearest_ones(losses, typed, nearest):
    with pytest.raises(UnknownNameError) as error:
        losses.find(typed)
    sentence = f"loss must be one of absolute, l2, square; got {typed!r}. Use {nearest!r}, or import the file that"
    assert str(error.value).startswith(sentence)
    assert isinstance(error.value, ValueError)


def test_names_that_begin_with_what_was_typed_come_first():
    registry = Registry("task")
    for name in ("blur", "rotation", "rotation_fine", "rat"):
        registry.register(name)(lambda: None)
    assert registry.nearest("rot")[:2] == ["rotation", "rotation_fine"]
    assert registry.nearest("rotatoin")[0] == "rotation"
    assert registry.nearest("") == ["blur"]


def test_a_name_of_a_megabyte_is_not_repeated(losses):
    with pytest.raises(UnknownNameError) as error:
        losses.find("x" * 10**6)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("name", [None, 3, ["square"]])
def test_a_name_is_a_string(losses, name, no_shape_checks):
    with pytest.raises(TypeError, match=r"loss must be a name, such as 'square'; got"):
        losses.find(name)


@pytest.mark.parametrize("name", ["", "Square", "a+b", "a.b", "a/b", "a\\b", "a b", "a,b", "a:b", "a=b", 3, None])
def test_a_name_that_a_file_or_a_command_line_would_break_is_refused(losses, name, no_shape_checks):
    with pytest.raises(ValueError, match="a loss is registered under lower-case letters"):
        losses.register(name)


def test_a_name_has_one_owner(losses):
    with pytest.raises(ValueError, match=r"'square' is registered already, by .*square; got another of .*other"):

        @losses.register("cube", "square")
        def other(error):
            return error**3

    assert "cube" not in losses


def test_importing_a_module_anew_replaces_what_it_registered():
    registry = Registry("thing")

    def build(value):
        @registry.register("thing")
        def thing():
            return value

        return thing

    build(1)
    build(2)
    assert registry.find("thing")() == 2


# Other distributions.


SCRIPT = """
import sys
from eqmodels.registry import Registry, UnknownNameError
TASKS = Registry("task")
TASKS.register("rotation")(lambda: "rotation")
sys.modules["tasks_for_plugins"] = type(sys)("tasks_for_plugins")
sys.modules["tasks_for_plugins"].TASKS = TASKS
"""


@pytest.fixture
def installed(tmp_path):
    """A function that runs code where a distribution ``puzzles`` is installed; gives what the code printed."""
    info = tmp_path / "puzzles-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: puzzles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[eqmodels.tasks]\npuzzle = puzzles.tasks\nghost = puzzles.tasks\n[eqmodels.heads]\nown = puzzles.heads\n"
    )
    package = tmp_path / "puzzles"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text(
        "from tasks_for_plugins import TASKS\n\n\n@TASKS.register('puzzle')\ndef puzzle():\n    return 'solved'\n"
    )

    def run(code: str) -> list[str]:
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT + code],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    return run


def test_what_another_distribution_announces_is_listed_without_being_imported(installed):
    code = "print(TASKS.names(), 'puzzle' in TASKS, 'own' in TASKS, 'puzzles' in sys.modules)"
    assert installed(code) == ["['ghost', 'puzzle', 'rotation'] True False False"]


def test_it_is_imported_when_a_person_asks_for_it(installed):
    code = "print(TASKS.find('puzzle')(), 'puzzles.tasks' in sys.modules)"
    assert installed(code) == ["solved True"]


def test_a_name_that_stands_in_a_file_imports_nothing_and_names_the_distribution(installed):
    code = """
try:
    TASKS.find("puzzle", plugins=False)
except UnknownNameError as error:
    print(error)
print("puzzles" in sys.modules)
TASKS.find("puzzle")
print(TASKS.find("puzzle", plugins=False)())
"""
    assert installed(code) == [
        "the task 'puzzle' is of the distribution puzzles, and no file of weights or config causes an import. Import "
        "puzzles.tasks first (--import puzzles.tasks).",
        "False",
        "solved",
    ]


def test_a_module_that_does_not_register_what_it_announces_is_named(installed):
    code = """
try:
    TASKS.find("ghost")
except UnknownNameError as error:
    print(error)
"""
    assert installed(code) == [
        "the distribution puzzles announces the task 'ghost', and its module puzzles.tasks registers none of this "
        "name. Update it, or use 'rotation'."
    ]


def test_a_mistyped_name_of_another_distribution_gets_the_nearest(installed):
    code = """
try:
    TASKS.find("puzle")
except UnknownNameError as error:
    print(error)
"""
    (line,) = installed(code)
    assert re.search(r"task must be one of ghost, puzzle, rotation; got 'puzle'\. Use 'puzzle'", line)
