"""The page docs/space.md: every block of Python as it is printed, one after the other, with what it says it prints."""

from __future__ import annotations

import re
from pathlib import Path

from eqmodels.backbones import PointBackbone

PAGE = (Path(__file__).parents[1] / "docs" / "space.md").read_text()


def test_every_block_of_the_page_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks, names = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL), {}
    for block in blocks:
        exec(block, names)
    printed = [line.partition("  # ")[2] for line in PAGE.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == printed
    assert isinstance(names["encoder"], PointBackbone)
