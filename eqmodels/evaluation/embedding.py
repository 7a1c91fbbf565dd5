"""Features of pictures in files: from paths to one table that other programs read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
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
from eqmodels.data.pictures import BadFile, Picture
from eqmodels.evaluation.reading import files_of, input_of_picture, outputs_of_pictures
from eqmodels.storage import write_atomically

__all__ = ["Embedding", "check_ending", "embed", "input_of", "outputs_of"]

ENDINGS = (".npz", ".parquet", ".safetensors")
"""Of the names of files of features."""


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
        """Writes them as ``.npz`` (numpy), ``.parquet`` or ``.safetensors``, by the ending of the name.

        An ``.npz`` has the arrays `paths`, `features` and `field`, and `pose` and `confidence` where they are known; a
        ``.parquet`` has a row a picture and columns of these names (`features` are lists of one length), and `field`
        in its metadata; the metadata of a ``.safetensors`` has `paths`, a list in JSON, and `field`.

        Args:
            file: its place, in a folder that exists.

        Raises:
            ValueError: if the name has another ending.
            StorageError: if it cannot be written; a file that was there is then what it was.
            ModuleNotFoundError: if it is to be of Parquet, and pyarrow is not installed.
        """
        check_arguments(Embedding.save, {"file": file})
        place = check_ending(Path(file))
        if place.suffix == ".parquet":
            write_atomically(place, self._as_parquet())
            return
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

    def _as_parquet(self) -> bytes:
        """A table of Arrow, as the content of a file.

        Raises:
            ModuleNotFoundError: if pyarrow is not installed.
        """
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "features are written as .parquet by pyarrow, which is not installed; run: pip install pyarrow, or "
                "name a file of another ending.",
                name="pyarrow",
            ) from error
        features = self.features.numpy()
        columns: dict[str, Any] = {
            "paths": pa.array(self.paths, pa.string()),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1]),
        }
        known = {"pose": self.pose, "confidence": self.confidence}
        columns |= {name: pa.array(value.numpy()) for name, value in known.items() if value is not None}
        content = io.BytesIO()
        parquet.write_table(pa.table(columns).replace_schema_metadata({"field": self.field}), content)
        return content.getvalue()


def check_ending(file: Path) -> Path:
    """The path itself, if features can be written to a file of its ending.

    Raises:
        ValueError: if they cannot.
    """
    if file.suffix not in ENDINGS:
        raise ValueError(
            f"features are written as {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; got {file.name}. Name such a file."
        )
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
    files = files_of(paths)
    given = {"encoder": encoder, "paths": paths, "size": size, "grey": grey, "skip_bad": skip_bad}
    check_arguments(embed, given)
    _check_has_no_classifier(encoder)
    good, found, bad = outputs_of_pictures(
        encoder,
        files,
        partial(outputs_of, encoder),
        caller="embed",
        size=size,
        batch_size=batch_size,
        grey=grey,
        skip_bad=skip_bad,
        progress=progress,
    )
    logits = [one for _, one in found if one is not None]
    chosen = torch.cat(logits).softmax(1).max(1) if logits else None
    return Embedding(
        good,
        torch.cat([features for features, _ in found]),
        str(encoder.out_field),
        None if chosen is None else chosen.indices,
        None if chosen is None else chosen.values,
        bad,
    )


def input_of(
    encoder: StagedNetwork, size: tuple[int, int] | None = None, *, grey: bool = False
) -> Callable[[Picture], Tensor]:
    """The way from a picture to the input ``(C, H, W)`` of a network, which is put into eval mode.

    Args:
        encoder: without a classifier.
        size: height and width of the input; None for the size of its training images.
        grey: whether a network of one channel is given pictures that have colours without these.

    Raises:
        ValueError: if the network has a classifier or knows nothing of its images; when it is called, if a picture has
            colours and the network takes none.
    """
    _check_has_no_classifier(encoder)
    return input_of_picture(encoder, size, grey=grey)


def _check_has_no_classifier(encoder: StagedNetwork) -> None:
    if encoder.num_classes:
        raise ValueError(
            f"embed takes a network without a classifier; this one has {encoder.num_classes} classes. Load it with "
            "num_classes=0."
        )


@torch.inference_mode()
def outputs_of(encoder: StagedNetwork, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor | None]:
    """Features, and the logits of the pose where the network's pooling predicts it, on the CPU."""
    reference, pool = next(encoder.parameters(), torch.empty(0)), encoder.global_pool
    maps = encoder.forward_features(images.to(reference.device, reference.dtype))
    features: Tensor = pool(maps).float().cpu()
    return features, pool.pose(maps.mean((-2, -1))).float().cpu() if pool.is_canonical else None
