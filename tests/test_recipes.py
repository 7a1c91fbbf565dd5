"""Every recipe of ``docs/recipes`` runs as it is printed, each in an empty folder of its own, and fits a screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[1] / "docs" / "recipes").glob("*.md"))
LONGEST = 25
"""Lines of a recipe, its words included."""


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, id=file.stem, marks=[pytest.mark.escnn] if file.stem == "escnn" else []) for file in RECIPES],
)
def test_a_recipe_runs_as_printed(file, tmp_path, monkeypatch):
    text = file.read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks, "a recipe has code"
    assert len(text.splitlines()) <= LONGEST
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "recipe"}
    for block in blocks:
        exec(compile(block, str(file), "exec"), names)
