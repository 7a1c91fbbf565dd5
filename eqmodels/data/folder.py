"""Any directory with one folder of images a class."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from eqmodels.data.images import LabelledImages

__all__ = ["read_image_folder"]

TEST_EVERY = 5
"""Without folders ``train`` and ``test``, every fifth image of each class, in the order of the names, is for testing."""


def read_image_folder(root: str | Path | None, split: str, *, size: int | None = None) -> LabelledImages:
    """Images of a directory ``root/class/*.png``, or ``root/train/class/*.png`` and ``root/test/class/*.png``.

    Images become RGB; the shorter side is resized to `size` and the centre cropped.

    Args:
        root: the directory.
        split: ``"train"`` or ``"test"``; without folders of these names every fifth image of a class is for testing.
        size: side of the squares in pixels; None keeps the images, which must then have one size.

    Raises:
        FileNotFoundError: if the directory does not exist or has no images in folders.
        ValueError: if no directory is named, or the sizes differ.
    """
    if root is None:
        raise ValueError("image_folder needs the folder of images; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    own_splits = (base / "train").is_dir() and (base / "test").is_dir()
    folder = base / split if own_splits else base
    if not folder.is_dir():
        raise FileNotFoundError(f"image_folder reads a folder with one folder of images a class; {folder} is none.")
    steps: list[v2.Transform] = [v2.ToImage(), v2.RGB()]
    if size is not None:
        steps += [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    dataset = ImageFolder(str(folder), transform=v2.Compose(steps))
    chosen, seen = [], [0] * len(dataset.classes)
    for index, label in enumerate(dataset.targets):
        is_test = seen[label] % TEST_EVERY == TEST_EVERY - 1
        seen[label] += 1
        if own_splits or is_test == (split == "test"):
            chosen.append(index)
    if not chosen:
        raise FileNotFoundError(f"{folder} has no images for split={split!r}. Add some, or folders train and test.")
    images = [torch.as_tensor(dataset[index][0]) for index in chosen]
    if len(shapes := {tuple(image.shape) for image in images}) > 1:
        raise ValueError(
            f"images of {folder} must have one size; got {len(shapes)}, such as {sorted(shapes)[:2]}. "
            "Pass size=, for instance 64 (--size 64)."
        )
    labels = torch.tensor([dataset.targets[index] for index in chosen])
    return LabelledImages(f"image_folder:{base.name}", torch.stack(images), labels, tuple(dataset.classes))
