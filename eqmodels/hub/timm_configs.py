"""What timm knows of each network before it is built: images, statistics, first convolution, classifier and weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch

from eqmodels.backbones.formats import read_network_config
from eqmodels.backbones.names import ModelName
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import BACKBONES, resolve
from eqmodels.errors import UnknownNameError
from eqmodels.hub.names import zoo_tags
from eqmodels.remote import read_index
from eqmodels.remote.locating import located_here
from eqmodels.storage import CONFIG, WEIGHTS

__all__ = ["CLASSIFIER", "default_configs", "first_conv_of", "pool_size_of"]

CLASSIFIER = "fc"

LARGE, SMALL = 224, 32
"""Pixels of the images of a network that begins by halving them twice, and of one that does not."""


def default_configs(names: Iterable[str]) -> dict[str, Any]:
    """What timm has as `DefaultCfg` of each name: one without weights, for the name alone, then that of each tag."""
    from timm.models import DefaultCfg, PretrainedCfg

    tags = zoo_tags()
    found = {}
    for name in names:
        configs = {"": PretrainedCfg(**_config(name))}
        for tag in tags.get(name, ()):
            configs[tag] = PretrainedCfg(**{**_config(name), **_of_zoo(f"{name}.{tag}")})
        found[name] = DefaultCfg(deque(configs), configs, any(config.has_weights for config in configs.values()))
    return found


def first_conv_of(network: torch.nn.Module) -> str | None:
    """The name of the convolution that takes images; None if it is not where it is in every network of ours."""
    return "stem.conv" if "stem.conv.weight" in dict(network.named_parameters()) else None


def pool_size_of(reduction: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the last map: every halving rounds up."""
    return -(-size[0] // reduction), -(-size[1] // reduction)


def _config(name: str) -> dict[str, Any]:
    """Of random weights, for images of three channels as photographs have them on average."""
    try:
        parsed, _ = resolve(name, plugins=False)
        reduction, conv, strided = _shape(parsed.architecture, parsed.group is not None, _parts(parsed))
    except UnknownNameError:
        return {"classifier": CLASSIFIER, "architecture": name}
    side = (LARGE if reduction[0] > 1 else SMALL) + strided
    smallest = {"min_input_size": (3, 2 * SMALL + 1, 2 * SMALL + 1)} if strided and side > LARGE else {}
    return {
        "architecture": name,
        "input_size": (3, side, side),
        "pool_size": pool_size_of(reduction[1], (side, side)),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "first_conv": conv,
        "classifier": CLASSIFIER,
        **smallest,
    }


def _parts(parsed: ModelName) -> tuple[tuple[str, Any], ...]:
    return tuple((option, parsed.options[option]) for option in ("downsampling", "stem") if option in parsed.options)


@cache
def _shape(
    architecture: str, with_group: bool, parts: tuple[tuple[str, Any], ...]
) -> tuple[tuple[int, int], str | None, bool]:
    """The first and the last reduction, the first convolution, and whether strides fix the size of images.

    They are those of every group and width, so that one network, without weights, says them.
    """
    built = BACKBONES.find(architecture, plugins=False)
    with torch.device("meta"):
        network = built("c1" if with_group else None, **dict(parts))
    assert isinstance(network, StagedNetwork)  # only names of networks of images come here
    info = network.feature_info
    strided = dict(parts).get("downsampling") == "stride"
    return (info[0]["reduction"], info[-1]["reduction"]), first_conv_of(network), strided


def _of_zoo(name: str) -> dict[str, Any]:
    """Of a network of the zoo: what its config says, and where its weights are, if they can be had."""
    architecture, _, tag = name.partition(".")
    entry, folder = read_index().get(name), located_here(name)
    known: dict[str, Any] = {"tag": tag}
    if entry is not None:
        known["license"] = entry.license
        if entry.commit is not None:
            known["hf_hub_id"] = f"{entry.repository}@{entry.commit}"
    if folder is None:
        return known
    config = read_network_config(folder / CONFIG)
    known |= {**config["pretrained_cfg"], "file": str(folder / WEIGHTS)}
    parsed, _ = resolve(architecture, plugins=False)
    reduction, known["first_conv"], _ = _shape(parsed.architecture, parsed.group is not None, _parts(parsed))
    known["pool_size"] = pool_size_of(reduction[1], tuple(known["input_size"][1:]))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
