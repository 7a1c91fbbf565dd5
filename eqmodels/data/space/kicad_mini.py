"""The embedded subset of KiCad's parts: clouds of twelve families, without a download.

Source: Debian's package ``kicad-packages3d`` (6.0.10); CC-BY-SA 4.0 with an exception, the licence is beside the files.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch

from eqmodels.data.mini import check_no_root
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.clouds import LabelledClouds

__all__ = ["LEVELS", "read_kicad_parts_mini"]

LEVELS = 2**16 - 1
"""The largest number that a coordinate, from 0 to 1, is kept as."""


@register_source("kicad_parts_mini")
def read_kicad_parts_mini(split: Split, *, root: str | Path | None = None) -> LabelledClouds:
    """592 training and 176 test parts of twelve families of KiCad, 256 points each, which stand upright; in memory.

    They were chosen from the splits of the same name of `kicad_parts` by `benchmarks/data/kicad_parts_mini.py`.

    Args:
        split: ``"train"`` or ``"test"``.
        root: none: the files are part of the package.

    Raises:
        ValueError: if `root` is given.
    """
    check_no_root("kicad_parts", root, "point_folder")
    file = resources.files("eqmodels.data") / "kicad_parts_mini" / f"{split}.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        coordinates = torch.from_numpy(arrays["points"].astype(np.float32) / np.float32(LEVELS))
        return LabelledClouds(
            "kicad_parts_mini",
            coordinates.transpose(1, 2)[..., None].contiguous(),
            torch.from_numpy(arrays["labels"]).long(),
            tuple(str(name) for name in arrays["classes"]),
            aligned=True,
        )
