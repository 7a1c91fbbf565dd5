"""The command line: what it prints, its exit status, and one sentence for bad input."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from eqmodels import list_models
from eqmodels.cli import main


def test_models_lists_every_name(capsys):
    assert main(["models"]) == 0
    assert capsys.readouterr().out.split() == list_models()
    assert main(["models", "c4_*"]) == 0
    assert capsys.readouterr().out.split() == list_models("c4_*")


def test_models_come_in_widths(capsys):
    assert main(["models", "c4_resnet18s_w32"]) == 0
    assert capsys.readouterr().out == "c4_resnet18s_w32\n"
    assert main(["models", "c[48]_resnet18s_w4"]) == 0  # C8 does not
    assert capsys.readouterr().out == "c4_resnet18s_w4\n"


def test_report_is_a_table(capsys):
    assert main(["report", "c4_resnet18s_w4", "--size", "16x20"]) == 0
    assert capsys.readouterr().out.startswith("Equivariance of c4_resnet18s_w4 under C4: 2 images of 16x20 pixels")


def test_report_is_json(capsys):
    assert main(["report", "d4_resnet18s_w8", "--size", "12", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["group"] == "d4"
    assert content["layers"][0]["error"] < 1e-10


def test_a_model_without_a_group_is_tested_with_c4(capsys):
    assert main(["report", "resnet18s_w4", "--size", "12", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["group"] == "c4"
    assert content["layers"][0]["error"] > 0.01


def test_report_draws(capsys, tmp_path):
    picture = tmp_path / "curve.png"
    assert main(["report", "c4_resnet18s_w4", "--size", "12", "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["models", "q*"], "no registered model matches 'q*'"),
        (["models", "q*_w8"], "no registered model matches 'q*_w8'"),
        (["models", "c4_resnet18s_w7"], "Nearest valid widths: 4 and 8"),
        (["report"], "NAME"),
        (["report", "c4_resnet19"], "the nearest names are"),
        (["report", "c4_resnet18s_w7"], "Nearest valid widths: 4 and 8"),
        (["report", "c4_resnet18s_w4", "--size", "big"], "got 'big'"),
        (["report", "c4_resnet18s_w4", "--group", "k4"], "a group is named"),
        (["report", "c4_resnet18s_w4", "--group", "c1"], "more than one element"),
    ],
)
def test_bad_input_is_one_line_on_standard_error(capsys, arguments, sentence):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("eqmodels: ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_help_says_where_to_start(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "eqmodels demo" in out
    assert all(command in out for command in ("demo", "models", "report"))


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "eqmodels", "models", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("eqmodels: no registered model matches 'none'")
