"""ScanObjectNN: clouds of scanned things, of those who have its files.

Source: Uy et al. 2019, *Revisiting Point Cloud Classification*, arXiv 1908.04616.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from eqmodels.checks import check_count
from eqmodels.data.planes import optional
from eqmodels.data.registry import Split, register_source
from eqmodels.data.space.clouds import LabelledClouds, fitted_clouds
from eqmodels.data.space.sampled import POINTS
from eqmodels.storage import reason_of

__all__ = ["CLASSES", "read_scanobjectnn"]

CLASSES = (
    "bag",
    "bin",
    "box",
    "cabinet",
    "chair",
    "desk",
    "display",
    "door",
    "shelf",
    "table",
    "bed",
    "pillow",
    "sink",
    "sofa",
    "toilet",
)
"""By the numbers of the files."""

FILES = {
    "objects": "objectdataset.h5",
    "hardest": "objectdataset_augmentedrot_scale75.h5",
}
"""The ends of their names, by the variant."""


@register_source("scanobjectnn")
def read_scanobjectnn(
    split: Split,
    *,
    root: str | Path | None = None,
    points: int | None = None,
    variant: Literal["objects", "hardest"] = "objects",
) -> LabelledClouds:
    """Clouds of ScanObjectNN: about 2,300 training and 580 test scans of 15 classes, which stand as they were found.

    They are upright and face any way, so that orientations cannot be learned from them. Of the 2,048 points of a scan,
    which are in no order, the first are taken. Needs h5py.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder that has training_objectdataset.h5 and test_objectdataset.h5 (main_split).
        points: of a cloud, at most 2,048; None for 512.
        variant: ``"objects"`` without background, or ``"hardest"``, turned, scaled and cut (PB_T50_RS).

    Raises:
        FileNotFoundError: if the folder has no such file.
        ValueError: if no folder is named, a number breaks its rule, or a file cannot be read.
        ModuleNotFoundError: if h5py is not installed.
    """
    count = POINTS if points is None else check_count("points", points)
    if root is None:
        raise ValueError("scanobjectnn needs the folder of its files; got none. Name it by root= (--root).")
    file = Path(root).expanduser() / f"{'training' if split == 'train' else 'test'}_{FILES[variant]}"
    if not file.is_file():
        raise FileNotFoundError(f"scanobjectnn reads {file.name}; {file.parent} has none. Name its folder (--root).")
    h5py = optional("h5py", "scanobjectnn")
    try:
        with h5py.File(file, "r") as content:
            clouds, labels = np.asarray(content["data"], np.float32), np.asarray(content["label"], np.int64)
        if clouds.ndim != 3 or clouds.shape[2] != 3 or labels.shape != clouds.shape[:1]:
            raise ValueError(f"data {clouds.shape} and label {labels.shape} are no clouds with one label each")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    if count > clouds.shape[1]:
        raise ValueError(f"points must be at most {clouds.shape[1]}, those of a scan; got {count}. Pass fewer.")
    images = fitted_clouds(torch.from_numpy(clouds[:, :count]))
    return LabelledClouds("scanobjectnn", images, torch.from_numpy(labels), CLASSES)
