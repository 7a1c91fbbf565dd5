"""An encoder in files: a config that describes it, its weights, and features of one fixed image."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones.encoder import LICENSE, Encoder
from eqmodels.backbones.registry import create_model
from eqmodels.storage import (
    CONFIG,
    GOLDEN_SIDE,
    WEIGHTS,
    StorageError,
    check_layout,
    pack_weights,
    printable,
    read_layout,
    read_weights,
    write_network,
)
from eqmodels.transforms import Preprocessing

__all__ = [
    "build_encoder",
    "check_description",
    "check_golden",
    "describe_encoder",
    "fixed_image",
    "golden_features",
    "load_encoder",
    "preprocessing_from",
    "save_encoder",
]

GOLDEN_TOLERANCE, POOLED_TOLERANCE = 1e-4, 1e-3
"""How far features of the fixed image may be from the stored ones, as a part of the largest; and so the pooled ones, in
which a norm or the weights of poses magnify rounding errors."""

_NOTHING = "nothing"
"""In the place of what a config does not have."""

DECIDED = 1e-3
"""By how much the largest logit of the fixed image's pose must exceed the others, as a part of the largest."""


def describe_encoder(encoder: Encoder, *, license_name: str = LICENSE) -> dict[str, Any]:
    """The part of a config that says how to build an encoder and what its images go through.

    The keys are timm's (``architecture``, ``num_classes``, ``num_features``, ``model_args``, ``pretrained_cfg``) and
    our ``preprocessing``.

    Args:
        encoder: of a family of the registry.
        license_name: of the weights, an SPDX identifier in lower case.

    Raises:
        ValueError: if the encoder is not as `create_model` builds it: of escnn's modules, or with children exchanged.
    """
    plain = _description(encoder, license_name)
    with torch.device("meta"):
        rebuilt = build_encoder(plain).state_dict() if encoder.structure else {}
    shapes = {key: value.shape for key, value in encoder.state_dict().items()}
    if {key: value.shape for key, value in rebuilt.items()} != shapes:
        raise ValueError(
            f"only networks as create_model builds them can be written; this {type(encoder).__name__} has other "
            "layers. Convert a network of escnn with from_escnn, and save exchanged layers with torch.save."
        )
    return plain


def _description(encoder: Encoder, license_name: str | None) -> dict[str, Any]:
    """What `describe_encoder` gives, of an encoder as `create_model` builds it, also on the meta device."""
    structure = dict(encoder.structure)
    name = structure.pop("architecture", type(encoder).__name__)
    group, width = structure.pop("group", None), structure.pop("width", None)
    pool = encoder.global_pool
    arguments = structure | {
        "in_chans": encoder.in_chans,
        "num_classes": encoder.num_classes,
        "global_pool": pool.mode,
    }
    if group is not None:
        arguments["group_pool"] = pool.fibre.mode
        if pool.is_canonical:
            arguments["pose_hidden"] = int(pool.pose.get_submodule("hidden").out_fields) * encoder.group.order  # type: ignore[arg-type]
    preprocessing = encoder.preprocessing
    description = {
        "architecture": f"{'' if group is None else f'{group}_'}{name}_w{width}",
        "num_classes": encoder.num_classes,
        "num_features": encoder.num_features,
        "model_args": arguments,
        "pretrained_cfg": _timm_config(encoder, preprocessing, license_name),
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
    }
    # As it is read again: lists for tuples.
    plain: dict[str, Any] = json.loads(json.dumps(description))
    return plain


def check_description(description: Mapping[str, Any], config: Mapping[str, Any], file: Path) -> None:
    """Refuses a config that says something else of an encoder, to timm or to the Hub, than what is built of it.

    Args:
        description: of the encoder that is built, as `describe_encoder` gives it.
        config: as it was read.
        file: the config's, for the sentence.

    Raises:
        StorageError: if they differ; names the place.
    """
    for name, value in description.items():
        place, here, there = f"[{name!r}]", value, config[name]
        while here != there and isinstance(here, dict) and isinstance(there, dict):
            key = next(key for key in {**here, **there} if here.get(key, _NOTHING) != there.get(key, _NOTHING))
            place, here, there = f"{place}[{key!r}]", here.get(key, _NOTHING), there.get(key, _NOTHING)
        if here != there:
            raise StorageError(
                f"{file} contradicts itself at {printable(place)}: the network that it describes has "
                f"{printable(repr(here))}, and it says {printable(repr(there))}. Fetch it again."
            )


def build_encoder(description: Mapping[str, Any]) -> Encoder:
    """An encoder with random weights as `describe_encoder` describes it.

    Raises:
        ValueError: if the description breaks a rule of the network.
        TypeError: if the network has no such argument.
    """
    encoder = create_model(description["architecture"], **description["model_args"])
    encoder.preprocessing = preprocessing_from(description["preprocessing"])
    return encoder


def preprocessing_from(content: Mapping[str, Any] | None) -> Preprocessing | None:
    """What a config says of the images; None if it says nothing.

    Raises:
        ValueError: if there are not as many means as deviations.
    """
    if content is None:
        return None
    mean, deviation = (tuple(map(float, content[key])) for key in ("mean", "deviation"))
    if len(mean) != len(deviation):
        raise ValueError(f"preprocessing must have as many means as deviations; got {len(mean)} and {len(deviation)}.")
    height, width = content["size"]
    return Preprocessing(mean, deviation, (int(height), int(width)))


def save_encoder(encoder: Encoder, folder: str | Path, texts: Mapping[str, str] | None = None) -> str:
    """Writes ``model.safetensors`` in float32, ``config.json`` and other texts; returns the sha256 of the first.

    Args:
        encoder: of any floating-point type, on any device.
        folder: is made if need be.
        texts: of more files, by their names.

    Raises:
        ValueError: if the encoder is not as `create_model` builds it.
        StorageError: if a weight or a feature is no finite number, or a file cannot be written; the folder is then as
            it was.
    """
    description = describe_encoder(encoder)
    weights = pack_weights(encoder.state_dict())
    golden = golden_features(encoder, pooled=True)
    return write_network(Path(folder), weights, {**description, "golden": golden}, texts)


def load_encoder(folder: Path, config: Mapping[str, Any]) -> Encoder:
    """The encoder that `save_encoder` wrote, in eval mode on the CPU; checked before anything large is built.

    Args:
        folder: that holds it.
        config: of the folder, as `read_config` gives it.

    Raises:
        StorageError: if the config cannot be built or contradicts itself, or the weights are not those that it
            describes.
    """
    file = folder / WEIGHTS
    layout = read_layout(file)
    try:
        with torch.device("meta"):
            expected = build_encoder(config)
    except (ValueError, TypeError) as error:
        raise StorageError(f"{folder / CONFIG} describes no network: {error} Nothing was built.") from error
    check_description(_description(expected, config["pretrained_cfg"].get("license")), config, folder / CONFIG)
    check_layout(file, layout, expected.state_dict())
    state = read_weights(file, config["sha256"])
    encoder = build_encoder(config)
    encoder.load_state_dict(state)
    encoder.eval()
    check_golden(encoder, config["golden"], str(file))
    return encoder


def fixed_image(channels: int, size: tuple[int, int]) -> Float[Tensor, "1 C H W"]:
    """An image without any symmetry, by a formula, so that it is the same everywhere; values in [0, 1]."""
    c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (channels, *size)), indexing="ij")
    waves = torch.sin(0.9 * y + 0.05 * y * x + c) + torch.cos(0.6 * x - 0.02 * x * x + 0.3 * y + 2 * c)
    return (0.5 + 0.25 * waves).to(torch.float32)[None]


@torch.no_grad()
def golden_features(encoder: Encoder, *, pooled: bool = False) -> dict[str, Any]:
    """The regular features of the fixed image, as the encoder sees it in eval mode in float32 on the CPU.

    Args:
        encoder: of any floating-point type, on any device, in any mode; it is left as it is.
        pooled: whether to add what the encoder's poolings make of them. What `fc` does is fixed by its weights alone.

    Raises:
        StorageError: if one is no finite number.
    """
    height, width = encoder.preprocessing.size if encoder.preprocessing else (32, 32)
    size = (min(height, GOLDEN_SIDE), min(width, GOLDEN_SIDE))
    plain = copy.deepcopy(encoder).cpu().float().eval()
    found = {"features": _features(plain, size)}
    if pooled and _is_decided(plain, found["features"]):
        found["pooled"] = _pooled(plain, found["features"])
    if not all(values.isfinite().all() for values in found.values()):
        raise StorageError("features of the fixed image are no finite numbers; nothing was written. Train again.")
    return {"size": list(size), **{name: values.tolist() for name, values in found.items()}}


@torch.no_grad()
def check_golden(encoder: Encoder, golden: Mapping[str, Any], name: str) -> None:
    """Refuses an encoder in eval mode whose features of the fixed image are not the stored ones.

    ``max |f - golden| <= 1e-4 max |golden|``; for the pooled ones, if they are stored, 1e-3.

    Args:
        encoder: in float32 on the CPU.
        golden: as `golden_features` gave it.
        name: of the file of weights, for the sentence.

    Raises:
        StorageError: if they differ.
    """
    height, width = map(int, golden["size"])
    features = _features(encoder, (height, width))
    _compare(features, golden["features"], GOLDEN_TOLERANCE, f"{name} gives features")
    if "pooled" in golden:
        _compare(_pooled(encoder, features), golden["pooled"], POOLED_TOLERANCE, f"{name} gives pooled features")


def _compare(found: Float[Tensor, " F"], golden: Sequence[float], tolerance: float, subject: str) -> None:
    stored = torch.tensor(golden, dtype=torch.float32)
    if found.shape != stored.shape:
        raise StorageError(f"{subject} of length {len(found)}, and {len(stored)} are stored with it. Fetch it again.")
    distance, scale = float((found - stored).abs().max()), float(stored.abs().max())
    # Not `distance > ...`: NaN is no match either.
    if not distance <= tolerance * scale:
        raise StorageError(
            f"{subject} that differ from those stored with it by {distance:.2g}, more than {tolerance:g} of their "
            f"largest, {scale:.2g}: the config was changed, or this version of PyTorch or this processor computes "
            "otherwise. Fetch it again, or try another version of PyTorch."
        )


def _features(encoder: Encoder, size: tuple[int, int]) -> Float[Tensor, " F"]:
    images = fixed_image(encoder.in_chans, size)
    if encoder.preprocessing is not None:
        images = encoder.preprocessing.normalise(images)
    maps: Tensor = encoder.forward_features(images)
    return maps.mean((-2, -1))[0]


def _pooled(encoder: Encoder, features: Float[Tensor, " F"]) -> Float[Tensor, " P"]:
    """What `global_pool` makes of features, and then what `group_pool` does, which stands behind some of its modes."""
    maps = features[None, :, None, None]
    return torch.cat([encoder.global_pool(maps), encoder.global_pool.fibre(features[None])], dim=1)[0]


def _is_decided(encoder: Encoder, features: Float[Tensor, " F"]) -> bool:
    """Whether another processor finds the same pose of the fixed image too: its logits are no tie."""
    pool = encoder.global_pool
    if pool.mode != "canonical" or pool.group.order == 1:
        return True
    logits: Tensor = pool.pose(features[None])[0]
    first, second = logits.topk(2).values
    return bool(first - second > DECIDED * logits.abs().max())


def _timm_config(encoder: Encoder, preprocessing: Preprocessing | None, license_name: str | None) -> dict[str, Any]:
    """What timm's `PretrainedCfg` knows of an encoder."""
    content: dict[str, Any] = {
        "num_classes": encoder.num_classes,
        "classifier": "fc",
        # Filters of an equivariant stem are no ordinary ones: timm must not adapt them itself.
        "first_conv": None,
    }
    if license_name is not None:
        content["license"] = license_name
    if preprocessing is not None:
        content |= {
            "input_size": [encoder.in_chans, *preprocessing.size],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.deviation),
        }
    return content
