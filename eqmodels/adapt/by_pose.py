"""Any network made equivariant by turning its images upright first, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from eqmodels.adapt.described import described, resolved
from eqmodels.adapt.maps import CanonicalisedMaps
from eqmodels.adapt.weights import PRETRAINED
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, Canonicalised, create_model
from eqmodels.backbones.adapted import ENERGY, CanonicalMode
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup
from eqmodels.hub.loading import load_for_images as load
from eqmodels.remote import HUB, is_pretrained

__all__ = ["canonicalise", "is_model", "posing"]


def canonicalise(
    network: Callable[[Tensor], object] | str,
    by: Backbone | Callable[[Tensor], Tensor] | str | Path,
    *,
    mode: CanonicalMode = "hard",
    output: Literal["features", "maps"] = "features",
    group: PlanarGroup | str | None = None,
    source: str | None = None,
    weights: str | Path = PRETRAINED,
    in_chans: int | None = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    at_a_time: int | None = None,
) -> Canonicalised | CanonicalisedMaps:
    """A network of others, as it is, that sees every image turned upright by a pose that is predicted: one pass of it.

    The pose is predicted by a small equivariant network, so what the network sees is the same however the image was
    turned, and so is what it says; maps are turned back. See `Canonical` for the modes.

    Args:
        network: a module or a function from normalised images ``(B, in_chans, H, W)`` to vectors or maps; or its
            source, such as ``"timm:resnet18"``.
        by: what predicts the pose: a pretrained encoder whose head does, by a name of the zoo, a folder or a
            repository of the Hub; the name of a model, such as ``"c4_resnet18s_w16"``, with random weights, which
            `fit_pose` trains; an encoder with a canonical pooling; or a module or a function from the same images to
            logits ``(B, |G|)`` that permute as a regular field; or ``"energy"``, for a network whose outputs are class
            scores: the pose in which it is surest, for ``|G|`` passes.
        mode: ``"hard"``, ``"straight-through"``, ``"soft"`` or ``"frames"``.
        output: ``"features"``, vectors of an encoder like all others; or ``"maps"``, for segmentation, which turn with
            the image.
        group: of a `by` that is a function or ``"energy"``; None for that of the encoder.
        source: of a module, the word by which files name it, see `symmetrise`.
        weights: of a network that is named, see `original`.
        in_chans: channels of the images; None for what the network says.
        size: pixels of the images, one number or (height, width); None for what the network says.
        mean: of each channel, of pixels in [0, 1]; None for what the network says.
        std: standard deviation of each channel.
        at_a_time: copies of the images in one batch where there are several; None for all.

    Raises:
        TypeError: if network or `by` can neither be called nor are names, or another argument is of another type.
        ValueError: if an argument breaks its rule, `by` predicts no pose, or the network does not run on its images.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if weights cannot be had, or are not the network's.

    Example:
        >>> import torch
        >>> pool = torch.nn.AdaptiveAvgPool2d(2)
        >>> encoder = canonicalise(lambda images: pool(images).flatten(1), "c4_resnet18s_w4", in_chans=3)
        >>> images = torch.rand(2, 3, 8, 8)
        >>> torch.allclose(encoder(images.rot90(1, (-2, -1))), encoder(images), atol=1e-6)
        True
    """
    check_arguments(
        canonicalise, {name: value for name, value in locals().items() if name not in ("network", "by", "group")}
    )
    if not is_one_of(output, get_args(Literal["features", "maps"])):
        raise ValueError(f"output must be 'features' or 'maps'; got {shown(output)}. Use 'features'.")
    network, source, license_name = resolved(network, source, weights, in_chans)
    channels, images = described(network, in_chans=in_chans, size=size, mean=mean, std=std)
    predicted = posing(by) if isinstance(by, str | Path) and by != ENERGY else by
    if predicted != ENERGY and not callable(predicted):
        raise TypeError(
            f"by must be a name, an encoder, or a function from images to logits; got {shown(by)}. Pass one."
        )
    chosen = group if group is not None else predicted.group if isinstance(predicted, Backbone) else None
    if chosen is None:
        raise ValueError(f"group must be given, as by={shown(by)} says of none. Pass, say, group='c4'.")
    options: dict[str, Any] = {"in_chans": channels, "mode": mode, "at_a_time": at_a_time}
    options["size"] = (size, size) if isinstance(size, int) else size
    built = Canonicalised(chosen, source=network, by=predicted, **options)
    built.structure["source"] = source
    built.preprocessing, built.license = images, license_name
    built.eval()
    return built if output == "features" else CanonicalisedMaps(built)


def posing(name: str | Path, **options: Any) -> Backbone:  # noqa: ANN401 (of the model)
    """The encoder of a name that predicts the pose.

    Args:
        name: a pretrained one, of the zoo, of a folder or of the Hub; else a model, built with random weights.
        **options: of a model with random weights.

    Raises:
        ValueError: if there is none of this name, or it predicts no pose.
        StorageError: if its files cannot be had.
    """
    if not is_model(name):
        return load(name, num_classes=0)
    return create_model(str(name), **{"num_classes": 0, "global_pool": "canonical", **options}).eval()


def is_model(name: str | Path) -> bool:
    """Whether a name is that of a model with random weights, and of nothing that is pretrained."""
    return not (isinstance(name, Path) or is_pretrained(name) or name.startswith(HUB) or os.path.isdir(name))
