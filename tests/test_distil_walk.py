"""The walk of docs/distil.md: every command as it is printed, one after the other, on a small folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import timm
import torchvision
from torchvision.transforms.functional import to_pil_image

from eqmodels.cli import main
from eqmodels.data import load_data
from eqmodels.training import load_run

WALK = (Path(__file__).parents[1] / "docs" / "distil.md").read_text()
SMALL = {
    "pretrain": ["--size", "48", "--view-size", "32", "--epochs", "1", "--batch-size", "20"],
    "finetune": ["--epochs", "1", "--size", "32"],
}
"""What makes commands short: the last word of an option counts."""
TINY = ["--model", "c4_resnet18s_w4", "--pose-hidden", "16"]


def without_fetching(monkeypatch) -> list[str]:
    """Networks of other libraries have random weights where they would be fetched; the names of those that would."""
    of_timm, of_torchvision, fetched = timm.create_model, torchvision.models.resnet18, []

    def create_model(name, *, pretrained):
        if pretrained:
            fetched.append(f"timm {name}")
        return of_timm(name)

    def resnet18(*, weights):
        fetched.append("torchvision resnet18" if weights == "DEFAULT" else weights)
        return of_torchvision()

    monkeypatch.setattr(timm, "create_model", create_model)
    monkeypatch.setattr(torchvision.models, "resnet18", resnet18)
    return fetched


def test_every_command_of_the_walk_runs_as_printed(tmp_path, monkeypatch, capsys):
    commands = [shlex.split(line) for line in re.findall(r"^eqmodels (.*)$", WALK, re.MULTILINE)]
    assert [command[0] for command in commands] == [*["pretrain"] * 3, "evaluate", "embed", "finetune"]
    monkeypatch.chdir(tmp_path)
    fetched = without_fetching(monkeypatch)
    (block,) = re.findall(r"```python\n(.*?)```", WALK, re.DOTALL)
    Path("my_teacher.py").write_text(f'"""A teacher of torchvision."""\n\n{block}')
    pictures = load_data("openclipart_mini", "train")
    for number, (image, label) in enumerate(zip(pictures.images[::50], pictures.labels[::50].tolist(), strict=True)):
        file = tmp_path / f"my_images/{'things' if label < 8 else 'others'}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(image).save(file)
    for command in commands:
        tiny = TINY if command[0] == "pretrain" and "--extend" not in command else []
        assert main([*command, *SMALL.get(command[0], []), *tiny]) == 0, command
    assert "begins with c4_resnet18_w32.distil_lite0: backbone, heads.0, heads.1\n" in capsys.readouterr().err
    assert set(fetched) == {"timm resnet18", "torchvision resnet18"}
    for folder in ("small", "theirs"):
        assert load_run(f"runs/{folder}").config.objective.options["teacher_width"] == 512
    with np.load("features.npz") as content:
        assert content["features"].shape[1] == 256
