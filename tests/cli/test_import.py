"""``eqmodels import``, what ``download`` says of networks that others publish, and what is measured of them."""

from __future__ import annotations

import json
import pickle
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eqmodels import load
from eqmodels.backbones.registry import resolve
from eqmodels.cli import main
from eqmodels.remote import read_elsewhere
from tests.backbones.test_from_equivision import saved, small
from tests.backbones.test_from_torchvision import narrow_state
from tests.data.files import write_imagenet

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return saved(small("c4"), functions=False)


@pytest.fixture
def file(tmp_path, state):
    """A checkpoint of a training, without the functions that its coefficients combine."""
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}, tmp_path / "c4resnet18.pt")
    return tmp_path / "c4resnet18.pt"


def test_an_imported_network_is_a_folder_like_every_other(file, tmp_path, capsys):
    folder = tmp_path / "c4"
    assert main(["import", "equivision/c4resnet18", str(file), "--out", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "41 mapped exactly" in said
    assert "20 layers: its basis, which the file lacks, is that of escnn 1.0.11" in said
    network = load(folder)
    assert (network.license, network.preprocessing.size, network.preprocessing.resize) == (
        "mit",
        (225, 225),
        "crop_7_8",
    )
    report = json.loads((folder / "import.json").read_text())
    assert len(report["layers"]) == 41
    card = (folder / "README.md").read_text()
    assert "imagenet-1k" in card
    assert "`LicenseRef-ImageNet`" in card
    assert "not measured here: top-1 73.4%" in card


def test_safetensors_and_torchvisions_are_read_and_nothing_is_known_of_a_licence(tmp_path, state, capsys):
    save_file(state, tmp_path / "own.safetensors")
    assert (
        main(["import", "equivision", str(tmp_path / "own.safetensors"), "--out", str(tmp_path / "own"), "--json"]) == 0
    )
    facts = json.loads(capsys.readouterr().out)
    assert (facts["license"], facts["group"], facts["size"]) == (None, "c4", "225x225")
    torch.save(narrow_state("resnet18"), tmp_path / "r18.pth")
    command = ["import", "torchvision", str(tmp_path / "r18.pth"), "--out", str(tmp_path / "r18"), "--license", "MIT"]
    assert main(command) == 0
    assert "every tensor of r18.pth was used, bit for bit" in capsys.readouterr().out
    assert load(tmp_path / "r18").license == "mit"


class Harmful:
    """What would run code when it is unpickled."""

    def __reduce__(self):
        return print, ("harm",)


def test_no_file_runs_code(tmp_path, capsys):
    for name, write in {"a.pt": torch.save, "b.pkl": lambda o, f: f.write_bytes(pickle.dumps(o, 2))}.items():
        write({"state_dict": Harmful()}, tmp_path / name)
        assert main(["import", "equivision", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
        captured = capsys.readouterr()
        assert "harm" not in captured.out
        assert "could run any code" in captured.err
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["equivision/d4resnet18"], "of must be C4 or D2"),
        (["resnet"], "KIND must be one of equivision, torchvision, redet"),
        (["torchvision", "--group", "c4"], "--group is for equivision"),
        (["equivision", "--group", "c8"], "--group must be a subgroup of C4"),
        (["torchvision"], "state must be that of a torchvision ResNet"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(file, tmp_path, capsys, arguments, sentence):
    kind, *options = arguments
    assert main(["import", kind, str(file), "--out", str(tmp_path / "out"), *options]) != 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said
    assert not (tmp_path / "out" / "config.json").exists()


def test_download_says_where_the_file_is_and_what_to_run(capsys):
    assert main(["download", "equivision/c4resnet18"]) == 1
    said = capsys.readouterr().err
    assert "to be fetched by the user: download the file from https://" in said
    assert said.rstrip().endswith(
        "run: eqmodels import equivision/c4resnet18 c4resnet18.pt --out equivision_c4resnet18."
    )
    with pytest.raises(Exception, match="to be fetched by the user"):
        load("equivision/d8resnet18")


def test_every_network_elsewhere_is_one_that_can_be_imported():
    entries = read_elsewhere()
    assert len(entries) == 12
    for name, entry in entries.items():
        parsed, _ = resolve(entry.architecture)
        assert name.split("/")[1].startswith(parsed.group)
        assert entry.group == parsed.group
        assert (entry.license, entry.data_license) == ("mit", "LicenseRef-ImageNet")
        assert 0.7 < entry.claimed["top-1"] < entry.claimed["top-5"] < 1


def test_the_page_runs_as_printed(tmp_path, monkeypatch, capsys, file):
    page = (DOCS / "import.md").read_text()
    commands = [shlex.split(line) for line in re.findall(r"^eqmodels (.*)$", page, re.MULTILINE)]
    assert {command[0] for command in commands} == {"download", "import", "evaluate"}
    monkeypatch.chdir(tmp_path)
    torch.save(saved(small("c8"), functions=True), "c8resnet18.pt")
    write_imagenet(tmp_path / "imagenet", side=40)
    for command in commands:
        extra = ["--size", "33"] if command[0] == "evaluate" else []
        assert main([*command, *extra]) == (1 if command[0] == "download" else 0), command
    assert "on 6 held-out images of imagenet: top-1" in capsys.readouterr().out
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "import.md", "exec"), {})
