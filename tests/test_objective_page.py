"""docs/your-objective.md: its blocks run as printed, and so do its commands, on a file of its first block."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from eqmodels.cli import main

TEXT = (Path(__file__).parents[1] / "docs" / "your-objective.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SMALL = {"pretrain": ["--limit", "64", "--epochs", "1", "--batch-size", "32"], "evaluate": ["--quick", "--limit", "50"]}


def test_the_page_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in BLOCKS:
        exec(compile(block, "your-objective.md", "exec"), names)
    loss, accuracy = map(float, capsys.readouterr().out.split()[-2:])
    assert 0 < loss < 100
    assert accuracy > 0.3


def test_its_commands_run_on_a_file_of_its_first_block(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("agreement.py").write_text(f'"""Agreement."""\n\n{BLOCKS[0]}')
    commands = [shlex.split(line) for line in re.findall(r"^eqmodels (.*)$", TEXT, re.MULTILINE)]
    assert [command[0] for command in commands] == ["pretrain", "evaluate"]
    for command in commands:
        assert main([*command, *SMALL[command[0]]]) == 0
    assert "repeat_loss" in Path("runs/agreement/log.csv").read_text()
    assert "upright" in capsys.readouterr().out
