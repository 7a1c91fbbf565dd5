"""Any directory of images: one folder a class, or no folders and no classes."""

from __future__ import annotations

from pathlib import Path

from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import list_folder
from eqmodels.data.places import Listed, Place
from eqmodels.data.registry import Split, register_source
from eqmodels.data.source import Source
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["read_image_folder"]


@register_source("image_folder", validation=True)
def read_image_folder(
    split: Split,
    *,
    root: str | Path | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """Images of a directory ``root/class/*.png``, ``root/*.png``, or such directories ``root/train`` and ``root/test``.

    Images become upright and RGB, as `Pixels` has it, and get one size as ``transform()`` of a network pretrained on
    them gives it to a picture: the largest square in the middle, resampled. A picture that was turned by quarters or
    mirrored becomes the same tensor, turned. Pixels are not rounded: of `size`, images are float32.

    Folders ``train``, ``test`` and ``val`` (or ``valid``, ``validation``) are splits if one of them has folders, or if
    there are no others beside them; else they are classes like the others. Without ``test``, ``val`` is for testing
    too. Without splits, a fifth of the images are
    for testing, chosen by a hash of the path in the folder, so that a new file moves no other. All splits number the
    classes of the whole directory. Images that lie in no folder have no classes and the label -1. Files whose names
    begin with a point are left out. Arrays of numpy, one ``.npy`` an image, are images where no pictures are in the
    directory; see `open_picture` for these and for TIFF of many channels.

    Args:
        split: ``"train"``, ``"test"`` or ``"validation"``.
        root: the directory.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images, up to 64: 3 makes pictures RGB and 1 grey, any other number must be in the files.
        background: the colour of what transparent pictures lie on, such as ``black`` or ``#808080``.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded, so that no later command decodes them; they are read
            from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if the directory does not exist or the split has no images.
        BadFilesError: if files are no images of `FORMATS` that can be read, of unknown range, or have other channels;
            lists all of them.
        ValueError: if no directory is named, `size` is below 1, `channels` below 1 or above 64, `background` no colour,
            `workers` below 0, a link leads to a folder or out of the directory, or the sizes differ.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if a file needs a package that is not installed.
    """
    if root is None:
        raise ValueError("image_folder needs the folder of images; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    listing = list_folder(base, split)
    if not listing.files:
        raise FileNotFoundError(
            f"{base} has no images for split={split!r}. Add some as class/name.png, or name.png without classes, five "
            "or more, or folders train and test with such files."
        )
    places = [Place(path) for path, _ in listing.files]
    labels = [label for _, label in listing.files]
    return read_listed(
        Listed(f"image_folder:{base.name}", base, places, labels, listing.classes),
        size=size,
        channels=channels,
        background=background,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )
