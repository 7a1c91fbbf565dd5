"""Features of pictures in files, as a network pools them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.network import StagedNetwork
from eqmodels.data.pictures import BadFile, Picture
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.reading import files_of, input_of_picture, outputs_of_pictures

__all__ = ["check_has_no_classifier", "embed", "embedding_of", "input_of", "outputs_of"]


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
    check_has_no_classifier(encoder)
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
    return embedding_of(encoder, good, found, bad)


def embedding_of(
    encoder: StagedNetwork,
    paths: Sequence[str],
    found: Sequence[tuple[Tensor, Tensor | None]],
    skipped: Sequence[BadFile],
) -> Embedding:
    """The features of pictures, and which way up they are, of what `outputs_of` gave of each batch of them.

    Args:
        encoder: whose outputs they are.
        paths: of the files.
        found: what it gave of each batch, at least one.
        skipped: files that could not be read.
    """
    logits = [one for _, one in found if one is not None]
    chosen = torch.cat(logits).softmax(1).max(1) if logits else None
    return Embedding(
        tuple(paths),
        torch.cat([features for features, _ in found]),
        str(encoder.out_field),
        None if chosen is None else chosen.indices,
        None if chosen is None else chosen.values,
        tuple(skipped),
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
    check_has_no_classifier(encoder)
    return input_of_picture(encoder, size, grey=grey)


def check_has_no_classifier(encoder: StagedNetwork) -> None:
    """Refuses a network with a classifier.

    Raises:
        ValueError: if it has one.
    """
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
