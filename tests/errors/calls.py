"""What the tests of bad input call: a callable with right arguments, and what many of them are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from eqmodels import backbones, data, fields, transforms
from eqmodels.remote.locating import FOLDERS

__all__ = [
    "LABELS",
    "REGULAR",
    "WIDTHS",
    "ZOO",
    "ZOO_FOLDER",
    "Call",
    "called",
    "features_and_labels",
    "images",
    "maps",
    "model",
    "pictures",
    "several",
    "train_and_test",
    "view",
]

NAME = "c4_resnet18s_w4"
ZOO = "c4_resnet18s_w16.rot_fmnist_simclr"
ZOO_FOLDER = FOLDERS[0] / ZOO


@dataclass
class Call:
    """A callable with right arguments.

    Attributes:
        target: what is called.
        arguments: right ones, by name.
        kept: arguments that are given and not replaced: what they are is another callable's affair.
        values: how many wrong values an argument gets; fewer where a right call takes long.
    """

    target: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    values: int = 12


def maps(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@cache
def model() -> backbones.Backbone:
    return backbones.create_model(NAME, num_classes=3, in_chans=1).eval()


def images(count: int = 12) -> data.LabelledImages:
    pixels = (maps(count, 1, 8, 8) * 255).to(torch.uint8)
    return data.LabelledImages("few", pixels, torch.arange(count) % 3, ("a", "b", "c"))


def pictures() -> Path:
    """A folder of three pictures, where the test is."""
    folder = Path("pictures")
    folder.mkdir(exist_ok=True)
    for number in range(3):
        Image.new("RGB", (8, 6), (80 * number, 0, 9)).save(folder / f"{number}.png")
    return folder


def view() -> transforms.ViewParameters:
    return transforms.ViewParameters.of_raw(2, 8, 8)


def features_and_labels() -> dict[str, Any]:
    return {"features": maps(24, 4), "labels": torch.arange(24) % 3}


def train_and_test() -> dict[str, Any]:
    train, test = features_and_labels(), features_and_labels()
    return {
        f"{part}_{name}": value for part, values in (("train", train), ("test", test)) for name, value in values.items()
    }


def called(target: Callable[..., Any]) -> Callable[..., Any]:
    """A layer called with maps, whatever its argument is called."""

    def call(maps: object) -> object:
        return target(maps)

    return call


def several(target: Callable[..., Any]) -> Callable[..., Any]:
    """What takes any number of values, called with one that has a name."""

    def call(names: object) -> object:
        return target(names)

    return call


REGULAR, LABELS = fields.Regular("c4", 2), fields.Regular("c4", 1)
WIDTHS = {"in_chans": 1, "num_classes": 3}
