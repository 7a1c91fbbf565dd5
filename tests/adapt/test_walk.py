"""The commands of docs/adapt.md: each as it is printed, one after the other, on a small network and a small folder."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from torchvision.transforms.functional import to_pil_image

from eqmodels import load
from eqmodels.cli import main
from eqmodels.data import load_data
from tests.test_your_images import write

PAGE = (Path(__file__).parents[2] / "docs" / "adapt.md").read_text()
SMALL = {
    "adapt": ["--weights", "random", "--size", "32"],
    "finetune": ["--epochs", "1", "--batch-size", "12"],
    "evaluate": ["--kind", "invariant"],
}
"""What makes commands short: the last word of an option counts."""

DISTILLED = "c4_resnet18_w32.distil_lite0"
CANONICALISE = ["timm:test_resnet", "--method", "canonicalise"]

FMNIST = "c4_resnet18s_w16.rot_fmnist_simclr"

INSTEAD = {"timm:resnet18": "timm:test_resnet", "c4_resnet18s_w16": "c4_resnet18s_w4"}
"""What makes networks small."""


COMMANDS = [shlex.split(line) for line in re.findall(r"^eqmodels (.*)$", PAGE, re.MULTILINE)]
OF_TORCHVISION = [command for command in COMMANDS if "torchvision:resnet50" in command]


def test_every_command_of_the_page_runs_as_printed(tmp_path, monkeypatch, capsys):
    commands = [command for command in COMMANDS if command not in OF_TORCHVISION]
    assert [command[0] for command in commands] == [
        "adapt", "adapt", "adapt", "report", "embed", "finetune", "predict", "evaluate", "export",
        "adapt", "adapt", "adapt", "export",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    pictures = load_data("openclipart_mini", "train")
    for number, (image, label) in enumerate(zip(pictures.images[::60], pictures.labels[::60].tolist(), strict=True)):
        place = "my_images/things" if label < 8 else "my_images/others"
        write(Path(place) / f"{number}.png", to_pil_image(image).resize((40 + number, 32)))
    upright = to_pil_image(pictures.images[5])
    write(Path("more_images/upright.png"), upright)
    write(Path("more_images/turned.png"), upright.transpose(2))
    for command in commands:
        words = [INSTEAD.get(word, word) for word in command]
        few = ["--epochs", "1"] if "--images" in command else []
        # Of these the network is taken as it is.
        small = [] if {"lite0", "complete", "upright"} & set(command[1:5]) else SMALL.get(command[0], [])
        assert main([*words, *small, *few]) == 0, command
    said = capsys.readouterr().out
    assert "adapted: timm:test_resnet (weights: random), asked about 8 copies" in said
    assert "complete: timm:tf_efficientnet_lite0 (weights: lite0), asked about 4 copies" in said
    assert "upright: timm:test_resnet (weights: random), which sees a picture of" in said
    assert "turned upright by d4_resnet18_w32.distil_lite0" in said
    assert re.search(r"held-out pictures that are seen as upright: [0-9.]+%", said)
    assert load("upright").canonical.pose.encoder.group.name == "d4"
    with np.load("features.npz") as content:
        assert content["features"].shape[1] == 96
    with Path("predictions.csv").open() as file:
        first, second = list(csv.DictReader(file))
    assert first["class"] == second["class"]
    images = torch.rand(2, 3, 32, 32)
    (found,) = onnxruntime.InferenceSession("adapted.onnx").run(None, {"images": images.rot90(1, (-2, -1)).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), load("adapted")(images).detach(), rtol=1e-3, atol=1e-4)


def test_a_file_of_torchvision_is_adapted_as_printed(tmp_path, monkeypatch):
    """The classifier that the file has besides is left out; answers are the mean over the copies."""
    monkeypatch.chdir(tmp_path)
    network = torchvision.models.resnet50()
    torch.save(network.state_dict(), "resnet50.pth")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "torch.load" in block)
    exec(compile(code, "docs/adapt.md", "exec"), {})
    (command,) = OF_TORCHVISION
    assert main([*command, "--group", "c4", "--size", "32"]) == 0
    network.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        copies = [network.eval()(images.rot90(quarters, (-2, -1))) for quarters in range(4)]
        found = load("adapted_resnet50")(images)
    torch.testing.assert_close(found, torch.stack(copies).mean(0), rtol=1e-4, atol=1e-4)


def test_the_python_of_the_page_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    every = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    blocks = [block for block in every if "torch.load" not in block]
    assert len(blocks) == 3
    place: dict[str, object] = {}
    for block in blocks:
        exec(block.replace('resnet18"', 'test_resnet"').replace("timm:resnet18", "timm:test_resnet"), place)
    said = capsys.readouterr().out
    assert re.search(r"^[0-9]+% of the held-out pictures are seen as upright$", said, re.MULTILINE)
    assert "'weights': 'of a module that was given'" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["timm:no_such"], "source must be a network of timm after 'timm:'; got 'timm:no_such'"),
        (["timm:test_resnet", "--group", "c8"], "--group must be one whose elements permute pixels"),
        (["timm:test_resnet", "--at-a-time", "9"], "--at-a-time must be at most 8"),
        (["timm:test_resnet", "--in-chans", "0"], "--in-chans must be at least 1"),
        (["timm:test_resnet", "--by", "c4_resnet18s_w4"], "--by is for --method canonicalise"),
        (
            [*CANONICALISE, "--group", "c2"],
            "--group c2 has no network in the zoo that knows how photographs lie",
        ),
        (
            [*CANONICALISE, "--group", "c2", "--by", FMNIST],
            f"must be a network of --group c2; got {FMNIST}, of C4",
        ),
        ([*CANONICALISE, "--group", "d4", "--by", "c4_resnet18s_w4", "--images", "nowhere"], "network of --group d4"),
        ([*CANONICALISE, "--by", "energy", "--images", "nowhere"], "energy has nothing to learn"),
        ([*CANONICALISE, "--by", "energy", "--group", "c8"], "--group must be one whose elements permute pixels"),
        ([*CANONICALISE, "--seed", "2"], "--seed is for a model that learns the pose from --images. Leave it out."),
        (["timm:test_resnet", "--device", "cpu"], "--device is for --method canonicalise"),
        ([*CANONICALISE, "--drawn", "2"], "--drawn is for --method symmetrise"),
        ([*CANONICALISE, "--by", "c4_resnet18s_w4"], "has random weights: name upright pictures by --images FOLDER"),
        ([*CANONICALISE, "--images", "nowhere"], "c4_resnet18_w32.distil_lite0 knows it"),
        ([*CANONICALISE, "--by", "c8_resnet18s_w8", "--images", "nowhere"], "nowhere"),
        (["torchvision:resnet18", "--weights", "pretrained"], "--weights pretrained are fetched for networks of timm"),
        ([DISTILLED, "--method", "upright"], "--weights is for networks of others; --method upright takes a network"),
        ([DISTILLED, "--features", "regular"], "--features is for --method upright"),
        (["timm:test_resnet", "--weights", "nothing.safetensors"], "got 'nothing.safetensors', which is no file"),
    ],
)
def test_what_cannot_be_adapted_is_one_sentence_and_writes_nothing(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["adapt", "--weights", "random", "--out", "adapted", *options]) != 0
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("adapted").exists()


def test_the_command_writes_what_load_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--weights", "random", "--size", "32", "--json"]
    assert main(["adapt", "timm:test_resnet", "--group", "c2", "--out", "copies", *options]) == 0
    copies = json.loads(capsys.readouterr().out)
    assert (copies["group"], copies["field"], copies["license"]) == ("c2", "96 x scalar", None)
    pose = ["--by", FMNIST, "--group", "c4", "--mode", "frames"]
    assert main(["adapt", "timm:test_resnet", "--method", "canonicalise", *pose, "--out", "upright", *options]) == 0
    upright = json.loads(capsys.readouterr().out)
    assert (upright["group"], upright["mode"]) == ("c4", "frames")
    images = torch.randn(2, 3, 32, 32)
    for folder in ("copies", "upright"):
        encoder = load(folder)
        torch.testing.assert_close(encoder(images.rot90(2, (-2, -1))), encoder(images))
        assert "timm:test_resnet, whose weights are random" in (tmp_path / folder / "NOTES.md").read_text()


def test_a_network_of_the_zoo_turns_its_pictures_upright(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["adapt", DISTILLED, "--method", "upright", "--features", "invariant", "--out", "turned"]) == 0
    said = capsys.readouterr().out
    assert f"turned: {DISTILLED} (weights: its own), which sees a picture of 96x96 pixels turned upright by" in said
    assert "licence of the weights: mit" in said
    assert load("turned").upright.encoder.global_pool.mode == "invariant"
    assert main(["adapt", FMNIST, "--method", "upright", "--out", "none"]) != 0
    assert f"eqmodels: network must have a head of the angle; {FMNIST} has none." in capsys.readouterr().err
    assert not Path("none").exists()


@pytest.mark.parametrize(
    ("options", "by", "group"),
    [
        (["--group", "c4"], "c4_resnet18_w32.distil_lite0", "c4"),
        (["--group", "d4"], "d4_resnet18_w32.distil_lite0", "d4"),
        (["--by", "energy"], "energy", "c4"),
        (["--by", "energy", "--group", "d2"], "energy", "d2"),
    ],
)
def test_the_group_chooses_what_turns_pictures_upright(options, by, group, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rest = ["--weights", "random", "--size", "32", "--json", "--out", "adapted"]
    assert main(["adapt", *CANONICALISE, *options, *rest]) == 0
    facts, encoder = json.loads(capsys.readouterr().out), load("adapted")
    assert (facts["by"], facts["group"], encoder.group.name) == (by, group, group)
    assert f"turned upright by {by}." in Path("adapted/NOTES.md").read_text()
    images = torch.randn(2, 3, 32, 32)
    for g in encoder.group.elements:
        torch.testing.assert_close(encoder(encoder.group.act(g, images)), encoder(images), rtol=1e-3, atol=1e-4)


def test_a_part_of_the_orbit_is_for_fine_tuning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--weights", "random", "--size", "32", "--drawn", "2", "--quiet", "--out", "adapted"]
    assert main(["adapt", "timm:test_resnet", "--group", "c4", *options]) == 0
    assert load("adapted").orbit.drawn == 2
