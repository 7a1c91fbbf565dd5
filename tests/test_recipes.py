"""Every block of Python in ``docs/recipes`` runs as it is printed, each file in an empty folder of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[1] / "docs" / "recipes").glob("*.md"))
LONGEST = 25
"""Lines of code in a recipe."""


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_runs_as_printed(file, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", file.read_text("utf-8"), re.DOTALL)
    assert blocks, "a recipe has code"
    assert sum(bool(line.strip()) for block in blocks for line in block.splitlines()) <= LONGEST
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "recipe"}
    for block in blocks:
        exec(compile(block, str(file), "exec"), names)
