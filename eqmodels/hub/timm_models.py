"""The networks under their names in timm's registry, so that timm's own functions build, list and load them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels import backbones
from eqmodels.backbones import Backbone
from eqmodels.backbones.describe import preprocessing_from
from eqmodels.backbones.formats import read_network_config
from eqmodels.backbones.loading import encoder_state
from eqmodels.backbones.registry import checked_names
from eqmodels.errors import shown
from eqmodels.hub.names import usual_names, zoo_tags
from eqmodels.hub.timm_configs import CLASSIFIER, default_configs, first_conv_of, pool_size_of
from eqmodels.layers.pool import pool_mode
from eqmodels.remote import locate
from eqmodels.remote.locating import located_here
from eqmodels.storage import CONFIG, WEIGHTS, StorageError

__all__ = ["register_timm"]

ENTRIES = "eqmodels.hub.timm_entries"
"""The module that timm finds the functions in; it is made here."""


def register_timm(names: Iterable[str] = ()) -> list[str]:
    """Makes networks known to timm, as ``import eqmodels.timm`` does with the usual ones.

    ``timm.create_model("c4_resnet18_w32.distil_lite0", pretrained=True)``, ``timm.list_models("*c4_*")`` and whatever
    else of timm takes a name then know them. Weights of the zoo are those of `eqmodels.load`, of which config and
    sha256 are checked; what ``hf-hub:`` and ``local-dir:`` name, timm fetches itself, and tensors are checked against
    the network.

    Args:
        names: of networks to register, with widths, as ``["c4_resnet18s_w24"]``; those of `list_models`, at their
            default width and with ``_w16``, ``_w32`` and ``_w64``, and of the zoo always are, but for ``resnet18``,
            ``resnet34``, ``resnet50`` and ``resnet101``: timm has its own.

    Returns:
        The names that are registered, sorted.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        TypeError: if `names` is one name, or one of them is no string.
        ValueError: if one of them is no architecture, or is a name of timm's own; nothing is registered then.
    """
    names = checked_names(register_timm, names)
    try:
        from timm.models import is_model, model_entrypoint, register_model
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("timm is not installed; run: pip install timm") from error

    def is_theirs(name: str) -> bool:
        return bool(is_model(name)) and model_entrypoint(name).__module__ != ENTRIES

    if theirs := [name for name in names if is_theirs(name)]:
        raise ValueError(
            f"names must be those of networks that timm does not have; got {theirs[0]!r}, which is one of its own. "
            f"Build it with eqmodels.create_model, or register it with a width, such as {f'{theirs[0]}_w64'!r}."
        )
    entries: Any = sys.modules.setdefault(ENTRIES, ModuleType(ENTRIES))
    known = sorted(name for name in {*usual_names(), *names} if not is_theirs(name))
    fresh = [name for name in known if not hasattr(entries, name)]
    entries.default_cfgs = {**getattr(entries, "default_cfgs", {}), **default_configs(fresh)}
    for name in fresh:
        entry = _entry(name)
        setattr(entries, name, entry)
        register_model(entry)
    return known


def _entry(name: str) -> Callable[..., nn.Module]:
    """The function that timm calls for a name."""
    from timm.models import build_model_with_cfg

    def entry(
        pretrained: bool = False,
        pretrained_cfg: Any = None,  # noqa: ANN401 (a tag, or what timm read from a file)
        pretrained_cfg_overlay: Mapping[str, Any] | None = None,
        cache_dir: str | Path | None = None,
        **options: Any,  # noqa: ANN401
    ) -> nn.Module:
        tag = pretrained_cfg if isinstance(pretrained_cfg, str) else ""
        if pretrained and not pretrained_cfg and not pretrained_cfg_overlay:
            tag = _only_tag(name)
        overlay, folder = dict(pretrained_cfg_overlay or {}), None
        if tag and pretrained:
            folder = locate(f"{name}.{tag}", cache_dir=cache_dir).folder
            overlay.setdefault("file", str(folder / WEIGHTS))
        elif tag:
            folder = located_here(f"{name}.{tag}")
        config = None if folder is None else read_network_config(folder / CONFIG)
        if config is not None:
            options = {**config["model_args"], **options}
        size = options.pop("img_size", None)
        if pretrained:
            overlay["first_conv"] = None  # timm would adapt its filters as if they were ordinary ones
        elsewhere: dict[str, Any] = {} if cache_dir is None or tag else {"cache_dir": cache_dir}
        known: Any = tag or pretrained_cfg
        network: nn.Module = build_model_with_cfg(
            lambda **chosen: _built(name, config if pretrained else None, **chosen),
            name,
            pretrained,
            pretrained_cfg=known,
            pretrained_cfg_overlay=overlay,
            pretrained_filter_fn=_checked_state,
            **elsewhere,
            **_translated(options),
        )
        _complete(network, size)
        return network

    entry.__name__ = entry.__qualname__ = name
    entry.__module__ = ENTRIES
    return entry


def _only_tag(name: str) -> str:
    """The tag of the weights of a name, where there is one alone.

    Raises:
        ValueError: if there is none, or several.
    """
    tags = zoo_tags().get(name, [])
    if len(tags) == 1:
        return tags[0]
    known = ", ".join(f"{name}.{tag}" for tag in tags)
    have = f"has several sets of weights: {known}. Name one of them" if tags else "has no weights in the zoo"
    raise ValueError(
        f"{name!r} {have}{'' if tags else '; timm.list_pretrained() gives what has. Use pretrained=False'}."
    )


def _translated(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of timm's in the words of `create_model`; those of `build_model_with_cfg` as they are.

    Raises:
        ValueError: if blocks of pixels are to be dropped.
    """
    given = dict(options)
    if given.pop("drop_block_rate", None):
        raise ValueError(
            "drop_block_rate drops squares of pixels at random places, which does not turn with the image; got "
            f"{shown(options['drop_block_rate'])}. Use drop_rate, whole fields, or drop_path_rate, whole branches."
        )
    if "global_pool" in given:
        given["global_pool"] = pool_mode(given["global_pool"])
    return given


def _built(
    name: str,
    config: Mapping[str, Any] | None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **options: Any,  # noqa: ANN401
) -> Backbone:
    """The network, with random weights, and what its config knows of images and classes, if it is to be filled."""
    with nullcontext() if device is None else torch.device(device):
        network = backbones.create_model(name, **options)
    network.to(dtype=dtype)
    if config is not None and (preprocessing := preprocessing_from(config["preprocessing"])) is not None:
        network.preprocessing = preprocessing.with_channels(network.in_chans)
    if config is not None:
        network.license = config["pretrained_cfg"].get("license")
    return network


def _checked_state(state: Mapping[str, Tensor], network: Backbone) -> dict[str, Tensor]:
    """The tensors of a file that are the network's; timm itself would go on without those that are missing.

    Raises:
        StorageError: if a tensor of another child than the classifier is missing, or of another shape.
    """
    own = network.state_dict()
    found = {key: value for key, value in encoder_state(state, network).items() if not _of_another_pooling(key, own)}
    fixed = {key: value for key, value in own.items() if not key.startswith(f"{CLASSIFIER}.")}
    missing = [key for key, value in fixed.items() if key not in found or found[key].shape != value.shape]
    others = [key for key in found if key not in own and not key.startswith(f"{CLASSIFIER}.")]
    if missing or others:
        raise StorageError(
            f"the file holds the weights of another network: {(missing or others)[0]!r} is "
            f"{'missing or of another shape' if missing else 'unknown here'}. Build the network that it was written "
            "by: the same name and, if a pose is predicted, the same global_pool."
        )
    return found


def _of_another_pooling(key: str, own: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is that of a pose which the network does not ask for."""
    return key.startswith("global_pool.pose.") and key not in own


def _complete(network: nn.Module, size: int | Sequence[int] | None) -> None:
    """Says in timm's config what no file says: the first convolution, another size, and the size of the last map."""
    if not isinstance(network, Backbone):  # of what extracts features, timm asks neither
        return
    network.set_input_size(size)
    known: Any = network.pretrained_cfg
    known["first_conv"] = first_conv_of(network)
    known["pool_size"] = pool_size_of(network.feature_info[-1]["reduction"], tuple(known["input_size"][1:]))
