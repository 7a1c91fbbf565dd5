"""Features of pictures in files: from paths to one table that other programs read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile, BadFilesError, Picture, picture_at, read_pictures
from eqmodels.errors import shown
from eqmodels.storage import write_atomically
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["Embedding", "embed"]

ENDINGS = (".npz", ".safetensors")
"""Of the names of files of features."""

GREY = ("1", "L", "LA", "La", "F")
"""Modes of PIL that have no colours; so have those that begin with an I."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of pictures, in the order of their files.

    Attributes:
        paths: of the files.
        features: ``(N, F)``, float32.
        field: what becomes of the features when a picture is turned, such as ``"32 x regular(c4)"``.
        pose: ``(N,)``, the element of the group that each picture was moved by, as the network's head sees it; None of
            a network that predicts none.
        confidence: ``(N,)``, the probability of that element.
        skipped: files that could not be read.
    """

    paths: tuple[str, ...]
    features: Float[Tensor, "N F"]
    field: str
    pose: Int[Tensor, " N"] | None = None
    confidence: Float[Tensor, " N"] | None = None
    skipped: tuple[BadFile, ...] = ()

    def save(self, file: str | Path) -> None:
        """Writes them as ``.npz`` (numpy) or ``.safetensors``, by the ending of the name.

        An ``.npz`` has the arrays `paths`, `features` and `field`, and `pose` and `confidence` where they are known;
        the metadata of a ``.safetensors`` has `paths`, a list in JSON, and `field`.

        Args:
            file: its place, in a folder that exists.

        Raises:
            ValueError: if the name has another ending.
            StorageError: if it cannot be written; a file that was there is then what it was.
        """
        check_arguments(Embedding.save, {"file": file})
        place = check_ending(Path(file))
        known = {"features": self.features, "pose": self.pose, "confidence": self.confidence}
        tensors = {name: value.contiguous() for name, value in known.items() if value is not None}
        if place.suffix == ".safetensors":
            notes = {"paths": json.dumps(self.paths), "field": self.field}
            write_atomically(place, safetensors.torch.save(tensors, notes))
            return
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: value.numpy() for name, value in tensors.items()}
        np.savez(content, paths=np.array(self.paths, dtype=np.str_), field=np.array(self.field), **arrays)
        write_atomically(place, content.getvalue())


def check_ending(file: Path) -> Path:
    """The path itself, if features can be written to a file of its ending.

    Raises:
        ValueError: if they cannot.
    """
    if file.suffix not in ENDINGS:
        raise ValueError(f"features are written as {' or '.join(ENDINGS)}; got {file.name}. Name such a file.")
    return file


def embed(
    encoder: StagedNetwork,
    paths: Sequence[str | Path],
    *,
    size: tuple[int, int] | None = None,
    batch_size: int = 64,
    grey: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Embedding:
    """The features of the pictures in some files, as the network pools them.

    Pictures go through ``encoder.transform(size)``, so that a picture that was turned by quarters or mirrored, or that
    lies on its side as a camera noted it, has the features of the upright one, turned: invariant ones to 1e-5. What a
    picture gets does not depend on the others in its batch. Files are opened as `eqmodels.data.open_picture` has it:
    those of many channels must have as many as the network takes.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the files.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time, all that lie in memory at once, together with those that are read ahead.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called with a number of files whenever so many are done.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has a classifier or knows nothing of its images, there are no files, or a picture has
            colours and the network takes none.
        BadFilesError: if files cannot be read; lists all of them, and nothing is embedded.
    """
    if isinstance(paths, str):
        raise TypeError(f"paths must be a list of files; got {shown(paths)}. Pass [path], or the files of a folder.")
    given = {"encoder": encoder, "paths": paths, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(embed, given)
    check_count("batch_size", batch_size)
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("embed needs images; got no file. Name images, or a folder of them.")
    if encoder.num_classes:
        raise ValueError(
            f"embed takes a network without a classifier; this one has {encoder.num_classes} classes. Load it with "
            "num_classes=0."
        )
    encoder.eval()
    opened, made_of = _readers(encoder, size, grey)
    found: list[tuple[Tensor, Tensor | None]] = []
    good: list[str] = []
    bad: list[BadFile] = []
    for batch in _batches(files, read_pictures(files, made_of, opened=opened), batch_size):
        images = [(path, one) for path, one in batch if isinstance(one, Tensor)]
        bad += [one for _, one in batch if isinstance(one, BadFile)]
        # Once a file is bad, the rest is read to list all of them, not to be embedded.
        if images and (skip_bad or not bad):
            good += [str(path) for path, _ in images]
            found.append(_outputs(encoder, torch.stack([one for _, one in images])))
        if progress is not None:
            progress(len(batch))
    if bad and (not skip_bad or not good):
        raise BadFilesError(bad, len(files), "Remove them, or pass skip_bad=True (--skip-bad) to go on without them.")
    logits = [one for _, one in found if one is not None]
    chosen = torch.cat(logits).softmax(1).max(1) if logits else None
    return Embedding(
        tuple(good),
        torch.cat([features for features, _ in found]),
        str(encoder.out_field),
        None if chosen is None else chosen.indices,
        None if chosen is None else chosen.values,
        tuple(bad),
    )


def _readers(
    encoder: StagedNetwork, size: tuple[int, int] | None, grey: bool
) -> tuple[Callable[[Path], Picture], Callable[[Picture], Tensor]]:
    """What opens a file for a network, and what makes its input of the picture; both say why one is bad."""
    transform = encoder.transform(size)
    background = WHITE if encoder.preprocessing is None else encoder.preprocessing.background

    def made_of(picture: Picture) -> Tensor:
        if encoder.in_chans == 1 and not grey and (colours := _colours(picture)):
            raise ValueError(
                f"it has colours ({colours}) and the network takes one channel: load the network with "
                "in_chans=3 (--in-chans 3), or pass grey=True (--grey) to leave the colours out"
            )
        pixels: Tensor = transform(picture)
        return pixels

    return partial(picture_at, channels=encoder.in_chans, background=background, option="in_chans"), made_of


def _colours(picture: Picture) -> str:
    """What shows that a picture has colours; empty if it has none."""
    if isinstance(picture, Tensor):
        return f"{len(picture)} channels" if len(picture) > 1 else ""
    return "" if picture.mode in GREY or picture.mode.startswith("I") else f"mode {picture.mode}"


def _batches(
    files: Sequence[Path], pictures: Iterator[Tensor | BadFile], count: int
) -> Iterator[list[tuple[Path, Tensor | BadFile]]]:
    batch: list[tuple[Path, Tensor | BadFile]] = []
    for path, picture in zip(files, pictures, strict=True):
        batch.append((path, picture))
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch


@torch.inference_mode()
def _outputs(encoder: StagedNetwork, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor | None]:
    """Features, and the logits of the pose where the network's pooling predicts it, on the CPU."""
    reference, pool = next(encoder.parameters()), encoder.global_pool
    maps = encoder.forward_features(images.to(reference.device, reference.dtype))
    features: Tensor = pool(maps).float().cpu()
    return features, pool.pose(maps.mean((-2, -1))).float().cpu() if pool.is_canonical else None
