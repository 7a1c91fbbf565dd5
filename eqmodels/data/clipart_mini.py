"""The embedded subset of the Open Clip Art Library: colour pictures of things, without a download.

Source: Debian's package ``openclipart-png`` (0.18); public domain, the dedication is beside the files.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from eqmodels.data.memory import LabelledImages
from eqmodels.data.mini import check_no_root
from eqmodels.data.registry import Split, register_source

__all__ = ["read_openclipart_mini"]

SIDE = 64
"""Pixels of a picture, and of its place in the sheet of its split."""


@register_source("openclipart_mini")
def read_openclipart_mini(split: Split, *, root: str | Path | None = None) -> LabelledImages:
    """2,000 training and 500 test pictures of the Open Clip Art Library on white, 64 pixels, in RGB, in memory.

    They are of its 16 classes, as balanced as its smallest allow, and were chosen from the splits of the same name of
    `openclipart` by `benchmarks/data/openclipart_mini.py`.

    Args:
        split: ``"train"`` or ``"test"``.
        root: none: the files are part of the package.

    Raises:
        ValueError: if `root` is given.
    """
    check_no_root("openclipart", root)
    folder = resources.files("eqmodels.data") / "openclipart_mini"
    content = json.loads((folder / "labels.json").read_text("utf-8"))
    labels = torch.tensor(content[split])
    with (folder / f"{split}.webp").open("rb") as stream, Image.open(stream, formats=("WEBP",)) as sheet:
        pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    rows, columns = (side // SIDE for side in pixels.shape[:2])
    images = pixels.view(rows, SIDE, columns, SIDE, 3).permute(0, 2, 4, 1, 3).reshape(-1, 3, SIDE, SIDE)
    return LabelledImages("openclipart_mini", images[: len(labels)].clone(), labels, tuple(content["classes"]))
