"""ImageNet-1k as its owners unpack it: a folder a class in ``train`` and in ``val``.

Nobody may pass it on, so nothing is downloaded. Source: Russakovsky et al. 2015, arXiv 1409.0575.
"""

from __future__ import annotations

from pathlib import Path

from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import list_folder
from eqmodels.data.places import Listed, Place
from eqmodels.data.registry import Split, register_source
from eqmodels.data.source import Source

__all__ = ["read_imagenet"]

INSIDE = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "ILSVRC2012", "imagenet")
"""Where in a folder its archives put ``train`` and ``val``."""

BESIDE = "images beside the classes"
"""What `list_folder` calls pictures that lie in no folder of a class."""

FOLDERS: dict[Split, str] = {"train": "train", "test": "val"}
"""Its test images have no labels that anybody has: the validation images are what everybody reports."""


@register_source("imagenet")
def read_imagenet(
    split: Split,
    *,
    root: str | Path | None = None,
    size: int = 225,
    resize: str = "crop_7_8",
    skip_bad: bool = False,
    stream: bool = True,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """ImageNet's pictures of ``root/train`` and, for testing, ``root/val``, each with a folder a class.

    Classes are numbered by the names of their folders (``n01440764``, ...), as all networks trained on it have them.
    Parts of it, with fewer classes, are read alike. Pictures become squares as classifiers of ImageNet see them: seven
    eighths of the largest square in the middle.

    Args:
        split: ``"train"`` or ``"test"``, the validation images.
        root: the folder that has ``train`` and ``val``, or one of its archives' (``ILSVRC/Data/CLS-LOC``).
        size: side in pixels of the squares: 225 for strided networks of a group, 224 for others.
        resize: the rule by which they are cut out: ``crop_7_8``, or ``crop`` for the largest square.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded; they are read from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if there is no such folder, or the split has no pictures in folders.
        BadFilesError: if files are no images that can be read; lists all of them.
        ValueError: if no directory is named, `size` is below 1, `workers` below 0, there is no such rule, or a link
            leads to a folder or out of the directory.
        StorageError: if the cache cannot be written, or is damaged.
    """
    if root is None:
        raise ValueError(
            "imagenet needs the folder that has its train and val; got none. Name it by root= (--root); "
            "image-net.org gives it to those who agree to its terms."
        )
    base = Path(root).expanduser()
    places_of = [base / inside for inside in INSIDE]
    place = next((at for at in places_of if all((at / name).is_dir() for name in FOLDERS.values())), None)
    if place is None:
        raise FileNotFoundError(
            f"{base} has no folders train and val, each with a folder a class, as ImageNet is unpacked. Name the one "
            "that has them by root= (--root)."
        )
    own = place / FOLDERS[split]
    within = [folder for name in FOLDERS.values() for folder in (place / name).iterdir()]
    classes = sorted({folder.name for folder in within if folder.is_dir()})
    numbers = {name: number for number, name in enumerate(classes)}
    listing = list_folder(own, None)
    if not listing.files or not listing.classes or listing.ignored.get(BESIDE):
        raise FileNotFoundError(
            f"{own} must have all its pictures in folders of their classes, such as n01440764. Sort them into these, "
            "as torchvision's ImageNet does."
        )
    places = [Place(path) for path, _ in listing.files]
    labels = [numbers[listing.classes[label]] for _, label in listing.files]
    return read_listed(
        Listed("imagenet", place, places, labels, tuple(classes)),
        size=size,
        resize=resize,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )
