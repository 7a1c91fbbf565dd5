"""Where networks of others come from, by a word that a file can hold: ``timm:resnet18``, ``torchvision:resnet18``.

The word names code that builds the network with random weights; the weights come from a file. Nothing is fetched.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import nn

from eqmodels.errors import shown
from eqmodels.registry import Registry
from eqmodels.transforms import Preprocessing

__all__ = ["ORIGINS", "create_original", "images_of", "size_of", "takes_one_size"]

ORIGINS: Registry[Callable[[str, int], nn.Module]] = Registry("origin", option="source")
"""Functions from the name after the colon (empty if there is none) and the channels of the images to a network with
random weights that puts out features. What it knows of its images may stand in its `pretrained_cfg`, as timm has it."""

_WORD = re.compile(r"[A-Za-z0-9_]{1,100}")
_CLASSIFIERS = ("fc", "classifier", "heads", "head")
"""What the classifier of a network of torchvision is called."""


def create_original(source: str, in_chans: int = 3) -> nn.Module:
    """The network that a word names, with random weights.

    Args:
        source: ``timm:<name>`` or ``torchvision:<name>``, or a name that is registered in `ORIGINS`.
        in_chans: channels of the images.

    Raises:
        TypeError: if the source is no string.
        ValueError: if there is no such network, or it takes no images of so many channels.
        ModuleNotFoundError: if the package that has it is not installed.
    """
    if not isinstance(source, str):
        raise TypeError(f"source must be a string such as 'timm:resnet18'; got {shown(source)}. Pass its name.")
    kind, colon, name = source.partition(":")
    if colon and not _WORD.fullmatch(name):
        raise ValueError(
            f"source must be a name of a network after {kind + ':'!r}, of letters, digits and '_'; got "
            f"{shown(source)}. Use, for instance, 'timm:resnet18'."
        )
    return ORIGINS.find(kind, plugins=False)(name, in_chans)


@ORIGINS.register("timm")
def of_timm(name: str, in_chans: int) -> nn.Module:
    """A network of timm that puts out its pooled features.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        ValueError: if timm has no such network.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"source='timm:{name}' is a network of timm, which is not installed; run: pip install timm", name="timm"
        ) from error
    if not timm.is_model(name) or timm.models.model_entrypoint(name).__module__.startswith("eqmodels"):
        raise ValueError(
            f"source must be a network of timm after 'timm:'; got 'timm:{name}'. Choose one of timm.list_models()."
        )
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, in_chans=in_chans)
    return network


@ORIGINS.register("torchvision")
def of_torchvision(name: str, in_chans: int) -> nn.Module:
    """A classifier of torchvision without its last part, which puts out what this was given.

    Raises:
        ValueError: if torchvision has no such classifier, or the images have not three channels.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ValueError(
            f"source must be a classifier of torchvision after 'torchvision:'; got 'torchvision:{name}'. Choose one of "
            "torchvision.models.list_models(module=torchvision.models)."
        )
    if in_chans != 3:
        raise ValueError(
            f"networks of torchvision take images of 3 channels; got in_chans={in_chans}. Use a network of timm, or 3."
        )
    network: nn.Module = models.get_model(name, weights=None)
    last = next((part for part in _CLASSIFIERS if hasattr(network, part)), None)
    if last is None:
        raise ValueError(f"'torchvision:{name}' has no classifier that could be left out. Use a network of timm.")
    setattr(network, last, nn.Identity())
    images = {"input_size": (3, 224, 224), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    vars(network)["pretrained_cfg"] = {**images, "fixed_input_size": name.startswith("vit_")}
    return network


def images_of(network: object, in_chans: int) -> Preprocessing | None:
    """What a network says of its images by its `pretrained_cfg`; None if nothing.

    Args:
        network: of timm, or one that has such an attribute.
        in_chans: channels of the images that it is built for.
    """
    known = _config(network)
    if any(known.get(name) is None for name in ("input_size", "mean", "std")):
        return None
    _, height, width = known["input_size"]
    means, deviations = (tuple(map(float, known[name])) for name in ("mean", "std"))
    return Preprocessing(means, deviations, (int(height), int(width))).with_channels(in_chans)


def size_of(network: object) -> tuple[int, int] | None:
    """Height and width of the images that a network says it was made for; None if it says nothing.

    Args:
        network: whose `pretrained_cfg` says it, as timm's does, or the `image_size` of its `config`, as transformers'.
    """
    if (known := images_of(network, 1)) is not None:
        return known.size
    size = getattr(getattr(network, "config", None), "image_size", None)
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(pair) != 2 or any(type(side) is not int or side < 1 for side in pair):
        return None
    return pair[0], pair[1]


def takes_one_size(network: object) -> bool:
    """Whether a network says that it takes images of one size alone, as most vision transformers do.

    Of timm it does by ``fixed_input_size``. Of transformers it is one with position embeddings that it interpolates if
    it is told to, which nobody does here.
    """
    if _config(network):
        return bool(_config(network).get("fixed_input_size"))
    if not isinstance(network, nn.Module) or size_of(network) is None:
        return False
    positions = any("position_embedding" in name for name, _ in network.named_parameters())
    return positions and "interpolate_pos_encoding" in inspect.signature(network.forward).parameters


def _config(network: object) -> dict[str, Any]:
    known = getattr(network, "pretrained_cfg", None)
    return known if isinstance(known, dict) else {}
