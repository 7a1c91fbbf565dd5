"""``eqmodels data``: what is in a folder of images, printed, drawn, and as JSON."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from PIL import Image

from eqmodels.cli import main
from eqmodels.data import load_data, summarise_folder
from tests.data.test_summary import folder_of_everything


@pytest.fixture
def root(tmp_path):
    return folder_of_everything(tmp_path)


def test_the_command_says_it_and_draws_a_sheet(root, capsys, tmp_path):
    assert main(["data", str(root), "--sheet", str(tmp_path / "sheet.png")]) == 1
    out = capsys.readouterr().out
    for line in (
        "7 images; 4 train, 3 test",
        "2 classes, the largest first: ant (4), bee (3)",
        "the smallest class: bee (3)",
        "constant: 1\n  test/bee/red.png",
        "nearly transparent: 1\n  test/bee/empty.png",
        "cannot be read: 1\n  test/bee/bad.png: it is of none of the formats",
        "left out: .txt (1), images beside the classes (1)",
    ):
        assert line in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (12 * 84 + 4, 84 + 4)
    (root / "test/bee/bad.png").unlink()
    assert main(["data", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summarise_folder(root).to_dict()


@pytest.mark.filterwarnings("always::eqmodels.data.pictures.LeftOutWarning")
def test_what_is_left_out_is_said_by_the_command_line(root, capsys, monkeypatch):
    command = import_module("eqmodels.cli.data")
    monkeypatch.setattr(
        command, "run", lambda arguments: len(load_data("image_folder", "test", root=root, size=4, skip_bad=True))
    )
    assert main(["data", str(root)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("eqmodels: 1 of 3 files cannot be read as images. They are left out.\n  ")
    assert "folder.py" not in err


def test_a_folder_that_is_none_is_one_sentence(tmp_path, capsys):
    assert main(["data", str(tmp_path / "nowhere")]) == 1
    err = capsys.readouterr().err
    assert "nowhere is none. Name one" in err
    assert err.count("\n") == 1
