"""The walk of docs/your-images.md: every command as it is printed, one after the other, on a small folder."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
from pyarrow import parquet
from torchvision.transforms.functional import to_pil_image

from eqmodels.cli import main
from eqmodels.data import load_data

WALK = (Path(__file__).parents[1] / "docs" / "your-images.md").read_text()
SMALL = {
    "pretrain": ["--size", "16", "--epochs", "1", "--batch-size", "12"],
    "finetune": ["--epochs", "1", "--size", "32"],
    "export": ["--size", "32"],
}
"""What makes commands short: the last word of an option counts."""


def test_every_command_of_the_walk_runs_as_printed(tmp_path, monkeypatch, capsys):
    commands = [shlex.split(line) for line in re.findall(r"^eqmodels (.*)$", WALK, re.MULTILINE)]
    assert [command[0] for command in commands] == [
        "data", "embed", "duplicates", "neighbours", "neighbours", "finetune", "predict", "export", "pretrain",
        "evaluate", "pretrain", "data", "embed",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    pictures = load_data("openclipart_mini", "train")
    for number, (image, label) in enumerate(zip(pictures.images[::34], pictures.labels[::34].tolist(), strict=True)):
        place = "my_images/things" if label < 8 else "my_images/others"
        write(tmp_path / place / f"{number}.png", to_pil_image(image).resize((40 + number % 7, 48)))
    write(tmp_path / "my_images/things/again.png", to_pil_image(pictures.images[0]).rotate(90, expand=True))
    paths = sorted((tmp_path / "my_images").rglob("*1.png"))
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name},{n % 2},wing;leg" for n, path in enumerate(paths)]
    Path("my_images.csv").write_text("\n".join(["path,species,stage,tags", *rows]))
    write(tmp_path / "more_images/new.png", to_pil_image(pictures.images[5]))
    tiny = ["--model", "c4_resnet18s_w4", "--head-hidden", "16"]
    for command in commands:
        small = SMALL.get(command[0], []) + (tiny if command[0] == "pretrain" and "--extend" not in command else [])
        assert main([*command, *small]) == 0, command
    said = capsys.readouterr().out
    assert "60 images" in said
    assert "column tags: 1 label: wing;leg (6)" in said
    with np.load("features.npz") as content:
        assert content["features"].shape == (60, 256)
    table = parquet.read_table("labelled.parquet").to_pydict()
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys(
        ("paths", "features", "pose", "confidence", "species", "stage", "tags"), len(rows)
    )
    assert set(table["species"]) == {"things", "others"}
    with Path("predictions.csv").open() as file:
        (row,) = list(csv.DictReader(file))
    assert row["class"] in ("things", "others")
    pages = ("duplicates.html", "neighbours.html", "runs/classifier/index.html")
    assert all(Path(name).stat().st_size > 100 for name in ("my_images.png", "classifier.onnx", *pages))
    assert Path("runs/mine/results.json").is_file()


def write(file, picture):
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
