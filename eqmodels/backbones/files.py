"""An encoder in files: a config that describes it, its weights, and features of one fixed image."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
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
    FORMAT,
    WEIGHTS,
    StorageError,
    check_layout,
    read_layout,
    read_weights,
    write_atomically,
    write_weights,
)
from eqmodels.transforms import Preprocessing

__all__ = [
    "build_encoder",
    "check_golden",
    "describe_encoder",
    "fixed_image",
    "golden_features",
    "load_encoder",
    "preprocessing_from",
    "save_encoder",
]

GOLDEN_SIZE, GOLDEN_TOLERANCE = 64, 1e-4
"""The largest side of the fixed image; how far its features may be from the stored ones, as a part of the largest."""


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
    with torch.device("meta"):
        rebuilt = build_encoder(plain).state_dict() if structure else {}
    shapes = {key: value.shape for key, value in encoder.state_dict().items()}
    if {key: value.shape for key, value in rebuilt.items()} != shapes:
        raise ValueError(
            f"only networks as create_model builds them can be written; this {type(encoder).__name__} has other "
            "layers. Convert a network of escnn with from_escnn, and save exchanged layers with torch.save."
        )
    return plain


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


def save_encoder(encoder: Encoder, folder: str | Path) -> str:
    """Writes ``model.safetensors``, then ``config.json``, and returns the sha256 of the former.

    Raises:
        ValueError: if the encoder is not as `create_model` builds it.
        StorageError: if a file cannot be written, or a weight is no finite number.
    """
    folder = Path(folder)
    description = describe_encoder(encoder)
    golden = golden_features(encoder)
    sha256 = write_weights(folder / WEIGHTS, encoder.state_dict())
    content = {"format": FORMAT, **description, "golden": golden, "sha256": sha256}
    write_atomically(folder / CONFIG, json.dumps(content, indent=2) + "\n")
    return sha256


def load_encoder(folder: Path, config: Mapping[str, Any]) -> Encoder:
    """The encoder that `save_encoder` wrote, in eval mode on the CPU; checked before anything large is built.

    Args:
        folder: that holds it.
        config: of the folder, as `read_config` gives it.

    Raises:
        StorageError: if the config cannot be built, or the weights are not those that it describes.
    """
    file = folder / WEIGHTS
    layout = read_layout(file)
    try:
        with torch.device("meta"):
            expected = build_encoder(config).state_dict()
    except (ValueError, TypeError) as error:
        raise StorageError(f"{folder / CONFIG} describes no network: {error} Nothing was built.") from error
    check_layout(file, layout, expected)
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
def golden_features(encoder: Encoder) -> dict[str, Any]:
    """The regular features of the fixed image, as the encoder sees it in eval mode in float32 on the CPU.

    Raises:
        StorageError: if one is no finite number.
    """
    height, width = encoder.preprocessing.size if encoder.preprocessing else (32, 32)
    size = (min(height, GOLDEN_SIZE), min(width, GOLDEN_SIZE))
    features = _features(copy.deepcopy(encoder).cpu().float().eval(), size)
    if not features.isfinite().all():
        raise StorageError("features of the fixed image are no finite numbers; nothing was written. Train again.")
    return {"size": list(size), "features": features.tolist()}


def check_golden(encoder: Encoder, golden: Mapping[str, Any], name: str) -> None:
    """Refuses an encoder in eval mode whose features of the fixed image are not the stored ones.

    ``max |f - golden| <= 1e-4 max |golden|``.

    Args:
        encoder: in float32 on the CPU.
        golden: as `golden_features` gave it.
        name: of the file of weights, for the sentence.

    Raises:
        StorageError: if they differ.
    """
    stored = torch.tensor(golden["features"], dtype=torch.float32)
    height, width = map(int, golden["size"])
    features = _features(encoder, (height, width))
    if features.shape != stored.shape:
        raise StorageError(
            f"{name} gives {len(features)} features, and {len(stored)} are stored with it. Fetch it again."
        )
    distance, scale = float((features - stored).abs().max()), float(stored.abs().max())
    # Not `distance > ...`: NaN is no match either.
    if not distance <= GOLDEN_TOLERANCE * scale:
        raise StorageError(
            f"{name} gives features that differ from those stored with it by {distance:.2g}, more than "
            f"{GOLDEN_TOLERANCE:g} of their largest, {scale:.2g}: the config was changed, or this version of PyTorch "
            "or this processor computes otherwise. Fetch it again, or try another version of PyTorch."
        )


@torch.no_grad()
def _features(encoder: Encoder, size: tuple[int, int]) -> Float[Tensor, " F"]:
    images = fixed_image(encoder.in_chans, size)
    if encoder.preprocessing is not None:
        images = encoder.preprocessing.normalise(images)
    maps: Tensor = encoder.forward_features(images)
    return maps.mean((-2, -1))[0]


def _timm_config(encoder: Encoder, preprocessing: Preprocessing | None, license_name: str) -> dict[str, Any]:
    """What timm's `PretrainedCfg` knows of an encoder."""
    content: dict[str, Any] = {
        "num_classes": encoder.num_classes,
        "classifier": "fc",
        # Filters of an equivariant stem are no ordinary ones: timm must not adapt them itself.
        "first_conv": None,
        "license": license_name,
    }
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
