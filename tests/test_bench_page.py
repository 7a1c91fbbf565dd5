"""docs/bench.md: its commands run as printed, on a tiny plan, and it names what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from eqmodels.bench import SUITES, Suite
from eqmodels.bench.results import FILES
from eqmodels.cli import main
from eqmodels.pages.runtime import VERSION

PAGE = Path(__file__).parents[1] / "docs" / "bench.md"
TINY = Suite(("c4_resnet18s_w4",), (0,), 40, 30, (1,), (1,), 1, {1: "fashion_mnist_mini", 3: "openclipart_mini"})
OF_TINY = (
    "from eqmodels.bench import SUITES, Suite\n"
    "SUITES['standard'] = Suite(('c4_resnet18s_w4', 'resnet18s_w4'), (0,), 40, 30, (1,), (1,), 1, "
    "{1: 'fashion_mnist_mini'})\n"
)


def commands(first):
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith(first)]


def test_every_command_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SUITES, "quick", TINY)
    found = commands("eqmodels bench")
    assert len(found) == 3
    for _, *arguments in found:
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert all(title in out for title in ("Quality: ", "Symmetry: ", "Cost: "))
    for folder in ("bench", "c4", "untrained"):
        assert {file.name for file in (tmp_path / "runs" / folder).iterdir() if file.is_file()} >= set(FILES)


@pytest.mark.slow
def test_the_command_of_several_processes_runs_as_printed(tmp_path):
    (tmp_path / "tiny.py").write_text(OF_TINY)
    ((_, *arguments),) = commands("torchrun")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", *arguments, "--import", "tiny.py"]
    environment = os.environ | {"PYTHONPATH": str(PAGE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "runs" / "standard" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 3 + 1
    assert done.stdout.count("Quality: ") == 1


def test_the_commands_of_the_page_to_look_at_run_as_printed(tmp_path, monkeypatch, capsys):
    (_, *plain), (_, *with_demo) = commands("eqmodels page")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--quiet"]) == 0
    capsys.readouterr()
    assert main(plain) == 0
    out = capsys.readouterr()
    assert out.out == f"page: {Path('runs/bench/index.html')}\n"
    # Without what npm has, the second one says how to get it, as the document does.
    assert main(with_demo) != 0
    ((*fetch,),) = commands("npm")
    assert shlex.join(fetch) in out.err
    assert shlex.join(fetch) in capsys.readouterr().err


def test_one_version_of_what_runs_networks_in_a_page_is_named_everywhere():
    root = PAGE.parents[1]
    for file in ("docs/bench.md", "Makefile", "eqmodels/cli/page.py"):
        assert set(re.findall(r"onnxruntime-web@([\d.]+)", (root / file).read_text())) == {VERSION}, file


def test_the_page_names_the_suites_and_the_files():
    text = PAGE.read_text()
    for name in (*SUITES, *FILES):
        assert f"`{name}`" in text
