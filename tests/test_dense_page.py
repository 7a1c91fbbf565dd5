"""The page docs/dense.md: every block of Python as it is printed, one after the other, with what it says it prints."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from eqmodels.backbones import UNet

PAGE = (Path(__file__).parents[1] / "docs" / "dense.md").read_text()


def test_every_block_of_the_page_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks, names = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL), {}
    for block in blocks:
        exec(block, names)
    printed = [line.partition("  # ")[2].partition(": ")[0] for line in PAGE.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == printed
    assert isinstance(names["again"], UNet)
    plain = torch.load("segmenter.pt", weights_only=False)
    torch.testing.assert_close(plain(names["images"]), names["again"](names["images"]), rtol=1e-4, atol=1e-4)
