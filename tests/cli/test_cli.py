"""The command line: what it prints, its exit status, and one sentence for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

import eqmodels
from eqmodels import list_models
from eqmodels.cli import main
from eqmodels.cli.parser import COMMANDS
from eqmodels.cli.user_code import import_user_code
from eqmodels.transforms import Preprocessing


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


def test_report_takes_a_network_of_the_zoo_and_a_folder(capsys, tmp_path):
    """At the size of their images; one with a classifier too."""
    network = eqmodels.create_model("c4_resnet18s_w4", in_chans=1, num_classes=3).eval()
    network.preprocessing = Preprocessing((0.5,), (0.5,), (10, 10))
    network.save_pretrained(tmp_path / "mine")
    assert main(["report", str(tmp_path / "mine"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["model"], content["size"], content["group"]) == (str(tmp_path / "mine"), [10, 10], "c4")
    assert content["layers"][0]["error"] < 1e-10
    assert main(["report", "c4_resnet18s_w16.rot_fmnist_simclr", "--size", "12"]) == 0
    assert capsys.readouterr().out.startswith(
        "Equivariance of c4_resnet18s_w16.rot_fmnist_simclr under C4: 2 images of 12"
    )


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
        (["--json"], "COMMAND"),
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


def test_no_command_prints_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    expected = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr() == (expected, "")


def test_help_says_where_to_start(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "eqmodels demo" in out
    assert all(command in out for command in ("demo", "models", "report"))


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"eqmodels {eqmodels.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: eqmodels {command} ")
    assert all(words in out for words in ("--json", "--import FILE|MODULE"))


OWN = "import eqmodels\nIMPORTED = __name__\n"


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A file of the user's, and the interpreter as it was afterwards."""
    file = tmp_path / "code_of_a_user.py"
    file.write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield file
    sys.modules.pop(file.stem, None)


@pytest.mark.parametrize("times", [1, 2])
def test_code_of_the_users_is_imported_before_the_command_is(own_code, times, capsys):
    for _ in range(times):
        assert main(["models", "c4_resnet18", "--import", str(own_code)]) == 0
    assert capsys.readouterr().out == "c4_resnet18\n" * times
    assert own_code.stem == sys.modules[own_code.stem].IMPORTED
    assert sys.path[-1] == str(own_code.parent)


def test_a_module_is_imported_by_its_name(own_code, monkeypatch):
    monkeypatch.syspath_prepend(own_code.parent)
    assert main(["models", "c4_resnet18", "--import", own_code.stem]) == 0
    assert own_code.stem in sys.modules


def test_a_mistake_in_the_users_code_is_shown_where_it_is(own_code):
    own_code.write_text("import nothing_of_this_name")
    for place in (str(own_code), own_code.stem):
        with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
            import_user_code(place)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("absent.py", "--import takes a file that exists"),
        ("two.dots.py", "has one dot in its name"),
        ("json.py", "Python has another 'json'"),
        ("absent", "--import takes a file that ends in .py or a module that Python finds; 'absent' is neither"),
        ("json.absent", "'json.absent' is neither"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(place, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("two.dots.py", "json.py"):
        (tmp_path / name).touch()
    assert main(["models", "--import", place]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("eqmodels: --import ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_an_import_is_not_abbreviated(capsys):
    """Or it would come too late."""
    assert main(["models", "--imp", "json"]) == 2
    assert "--import must be written in full" in capsys.readouterr().err


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "eqmodels", "models", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("eqmodels: no registered model matches 'none'")


@pytest.mark.parametrize("buffering", [1, 4096], ids=["a line", "all"])
def test_a_reader_that_has_enough_is_no_error(buffering, tmp_path, monkeypatch, capsys):
    """Such as ``head``: here one that reads nothing."""
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["data", str(tmp_path)]) == 141
    assert capsys.readouterr().err == ""
