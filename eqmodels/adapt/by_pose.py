"""Any network made equivariant by turning its images upright first, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor, nn

from eqmodels.adapt.described import described, resolved
from eqmodels.adapt.maps import CanonicalisedMaps
from eqmodels.adapt.weights import PRETRAINED, Original
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, Canonicalised, create_model
from eqmodels.backbones.adapted import ENERGY, CanonicalMode
from eqmodels.backbones.registry import resolve
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup
from eqmodels.hub.loading import load_for_images as load
from eqmodels.hub.names import takes_images
from eqmodels.remote import HUB, is_pretrained, list_pretrained

__all__ = ["POSES", "canonicalise", "is_model", "posing"]

POSES = {group: f"{group}_resnet18_w32.distil_lite0" for group in ("c4", "d4")}
"""The networks of the zoo that know how photographs lie, by group."""


def canonicalise(
    network: Callable[[Tensor], object] | str | Original,
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
            source, such as ``"timm:resnet18"``, or what `original` gave. A module is held as it is, not copied, see
            `symmetrise`.
        by: what predicts the pose: a pretrained encoder whose head does, by a name of the zoo, a folder or a
            repository of the Hub; an encoder with a canonical pooling, such as one that `fit_pose` trained; a module or
            a function from the same images to logits ``(B, |G|)`` that permute as a regular field; or ``"energy"``, for
            a network whose outputs are class scores: the pose in which it is surest, for ``|G|`` passes. A module is
            copied, and so left as it is: in ``"hard"`` mode the pose is frozen, in the others it learns.
        mode: ``"hard"``, ``"straight-through"``, ``"soft"`` or ``"frames"``.
        output: ``"features"``, vectors of an encoder like all others; or ``"maps"``, for segmentation, which turn with
            the image.
        group: needed of a `by` that is a function or ``"energy"``; else that of the encoder, or None.
        source: of a module, the word by which files name it, see `symmetrise`.
        weights: of a network that is named, see `original`.
        in_chans: channels of the images; None for what the network says.
        size: pixels of the images, one number or (height, width); None for what the network says.
        mean: of each channel, of pixels in [0, 1]; None for what the network says.
        std: standard deviation of each channel.
        at_a_time: copies of each image in one batch where there are several; None for what `Orbit` chooses.

    Raises:
        TypeError: if network or `by` can neither be called nor are names, or another argument is of another type.
        ValueError: if an argument breaks its rule, `by` predicts no pose or is the name of a model with random weights,
            or the network does not run on its images.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if weights cannot be had, or are not the network's.

    Example:
        >>> import torch
        >>> pool = torch.nn.AdaptiveAvgPool2d(2)
        >>> encoder = canonicalise(lambda images: pool(images).flatten(1), posing("c4_resnet18s_w4"), in_chans=3)
        >>> images = torch.rand(2, 3, 8, 8)
        >>> torch.allclose(encoder(images.rot90(1, (-2, -1))), encoder(images), atol=1e-6)
        True
    """
    check_arguments(
        canonicalise, {name: value for name, value in locals().items() if name not in ("network", "by", "group")}
    )
    if not is_one_of(output, get_args(Literal["features", "maps"])):
        raise ValueError(f"output must be 'features' or 'maps'; got {shown(output)}. Use 'features'.")
    known = resolved(network, source, weights, in_chans)
    channels, images = described(known.network, in_chans=in_chans, size=size, mean=mean, std=std)
    predicted = _predictor(by)
    chosen = group if group is not None else predicted.group if isinstance(predicted, Backbone) else None
    if chosen is None:
        raise ValueError(f"group must be given, as by={shown(by)} says of none. Pass, say, group='c4'.")
    options: dict[str, Any] = {"in_chans": channels, "mode": mode, "at_a_time": at_a_time}
    options["size"] = (size, size) if isinstance(size, int) else size
    built = Canonicalised(chosen, source=known.network, by=predicted, **options)
    known.note_in(built, images)
    built.eval()
    return built if output == "features" else CanonicalisedMaps(built)


def _predictor(by: object) -> Any:  # noqa: ANN401 (an encoder, a function or a word)
    """What predicts the pose, that of the caller left as it is.

    Raises:
        TypeError: if it can neither be called nor is a name.
        ValueError: if it is the name of a model with random weights.
        StorageError: if its files cannot be had.
    """
    if isinstance(by, str | Path) and by != ENERGY:
        if is_model(by):
            resolve(str(by))  # a name that nothing has is told first
            known = [name for name in list_pretrained(f"{by}.*") if takes_images(name)]
            others = f"Name a pretrained one, such as {known[0] if known else POSES['c4']!r}"
            raise ValueError(
                f"by must know the pose; {str(by)!r} names a model with random weights. {others}; or pass a module: "
                f"by = posing({str(by)!r}), which fit_pose(by, images) trains."
            )
        return posing(by)
    if by != ENERGY and not callable(by):
        raise TypeError(
            f"by must be a name, an encoder, or a function from images to logits; got {shown(by)}. Pass one."
        )
    return deepcopy(by) if isinstance(by, nn.Module) else by


def posing(name: str | Path, **options: Any) -> Backbone:  # noqa: ANN401 (of the model)
    """The encoder of a name that predicts the pose, in eval mode.

    Args:
        name: a pretrained one, of the zoo, of a folder or of the Hub; else a model, built with random weights and a
            canonical pooling, as ``create_model(name, num_classes=0, global_pool="canonical")`` does, for `fit_pose`.
        **options: of a model with random weights, see `create_model`.

    Raises:
        TypeError: if it is no name and no path.
        ValueError: if there is none of this name, or it predicts no pose.
        StorageError: if its files cannot be had.
    """
    if not is_model(name):
        return load(name, num_classes=0)
    return create_model(str(name), **{"num_classes": 0, "global_pool": "canonical", **options}).eval()


def is_model(name: str | Path) -> bool:
    """Whether a name is that of a model with random weights, and of nothing that is pretrained.

    Args:
        name: of a model, of the zoo or of the Hub, or a folder.

    Raises:
        TypeError: if it is no name and no path.
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"name must be a name or the path of a folder; got {shown(name)}. Use 'c4_resnet18s_w16'.")
    return not (isinstance(name, Path) or is_pretrained(name) or name.startswith(HUB) or os.path.isdir(name))
