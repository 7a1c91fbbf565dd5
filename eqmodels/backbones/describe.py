"""A network in words that a file holds: its name, its options, its fields, its images; all by its class alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from eqmodels.backbones.named import NamedNetwork, group_named
from eqmodels.backbones.names import ModelName
from eqmodels.backbones.network import built, later_options
from eqmodels.groups import PlanarGroup
from eqmodels.options import options_of
from eqmodels.storage import StorageError, printable
from eqmodels.transforms import Preprocessing

__all__ = [
    "check_description",
    "describe_network",
    "description_of",
    "name_of",
    "preprocessing_from",
    "rebuilt",
]

LARGEST_GROUP, LARGEST_IMAGE, WIDEST, WIDEST_ELSEWHERE = 128, 1024, 9999, 1024
"""Elements of a group, channels of the images and of the first stage that a file may ask for, the last also of another
backend: tables grow with the square of the first, also on the device `meta`, and escnn lists every field."""

N = TypeVar("N", bound=NamedNetwork)

_NOTHING = "nothing"
"""In the place of what a config does not have."""

_OF_FORMAT_2 = ("architecture", "group", "map_field", "out_field", "model_args")
"""What is said otherwise in format 2, or not at all: the network itself was built of what it says."""


def describe_network(network: NamedNetwork, *, license_name: str | None = None) -> dict[str, Any]:
    """The part of a config that says how to build a network, what its channels mean, and what its images go through.

    The keys are timm's (``architecture``, ``num_classes``, ``num_features``, ``model_args``, ``pretrained_cfg``) and
    ours: ``group``, ``map_field``, ``out_field`` and ``preprocessing``.

    Args:
        network: of a registered class.
        license_name: of the weights, an SPDX identifier in lower case; None for what the network says.

    Raises:
        ValueError: if the network is not as its class builds it, children were exchanged for instance, or its class is
            not registered.
        StorageError: if it is too large for a file, see `check_bounds`.
    """
    with torch.device("meta"):
        state = rebuilt(network).state_dict() if type(network).__dict__.get("architectures") else {}
    if {key: value.shape for key, value in state.items()} != {k: v.shape for k, v in network.state_dict().items()}:
        raise ValueError(
            f"only networks as create_model builds them can be written; this {type(network).__name__} has other "
            "layers, or its class is not registered. Register the class with @register_backbone, and save exchanged "
            "layers with torch.save."
        )
    description = description_of(network, license_name or network.license)
    try:
        check_bounds(name_of(network), description["model_args"])
    except ValueError as error:
        raise StorageError(f"{error} Nothing was written; build a network within the rule.") from error
    return description


def check_bounds(name: ModelName, arguments: Mapping[str, Any]) -> None:
    """Refuses what would take much time or memory before the sizes of tensors are known.

    Args:
        name: of a network.
        arguments: that its file has beside the name.

    Raises:
        ValueError: if the group has more than 128 elements, images more than 1024 channels, or the first stage more
            than 9999 channels (1024 with another backend than our own).
    """
    widest = WIDEST_ELSEWHERE if "backend" in arguments else WIDEST
    group = group_named(name.group or "c1")
    found = {
        "elements of the group": (group.order if isinstance(group, PlanarGroup) else 1, LARGEST_GROUP),
        "channels of the images": (arguments.get("in_chans", 1), LARGEST_IMAGE),
        "channels of the first stage": (name.options.get("width", arguments.get("width", 1)), widest),
    }
    for words, (count, largest) in found.items():
        if isinstance(count, int) and count > largest:
            raise ValueError(f"a file may describe networks of at most {largest} {words}; got {count}.")


def description_of(network: NamedNetwork, license_name: str | None) -> dict[str, Any]:
    """What `describe_network` gives, of a network as its class builds it, also on the meta device."""
    name, structure = name_of(network), network.structure
    out_field = network.out_field
    backend = {} if network.backend == "native" else {"backend": network.backend}
    rest = {k: v for k, v in structure.items() if k not in ("architecture", "group", *name.options)}
    description = {
        "architecture": str(name),
        "group": network.group.name,
        "map_field": str(network.map_field),
        "out_field": None if out_field is None else str(out_field),
        "num_classes": network.num_classes,
        "num_features": network.num_features,
        "model_args": {**backend, **rest, **_current(network)},
        "pretrained_cfg": _timm_config(network, license_name),
        "preprocessing": None if network.preprocessing is None else network.preprocessing.to_json(),
    }
    # As it is read again: lists for tuples.
    plain: dict[str, Any] = json.loads(json.dumps(description))
    return plain


def name_of(network: NamedNetwork) -> ModelName:
    """The name that alone builds the network's layers, but for options that names have no part for.

    Raises:
        ValueError: if its class is not registered.
    """
    own = type(network).__dict__.get("architectures", ())
    structure = network.structure
    architecture = structure.get("architecture", own[0] if own else None)
    if architecture is None:
        raise ValueError(
            f"a network has a name if its class is registered; {type(network).__name__} is not. Put "
            "@register_backbone('...') in front of the class."
        )
    known = options_of(type(network))
    options = {
        option: value
        for option, value in structure.items()
        if ModelName.can_say(option, value)
        and (option == "width" or value != network.usual.get(option, known[option].default))
    }
    return ModelName(architecture, structure.get("group"), options)


def rebuilt(network: N, **changed: Any) -> N:  # noqa: ANN401
    """The same network once more, with random weights and perhaps other options; nothing is known of its images.

    Args:
        network: of any class.
        **changed: options of the class that are to be others.

    Raises:
        ValueError: if an option breaks its rule.
    """
    return built(type(network), {**network.structure, **_current(network), **changed})


def _current(network: NamedNetwork) -> dict[str, Any]:
    """Of the arguments, those that may have changed since the network was built: images, classes and pooling."""
    current = {"in_chans": network.in_chans, "num_classes": network.num_classes, **network.pool_settings()}
    known, pooling = options_of(type(network)), later_options(type(network))
    # What the class does not take is set afterwards, and said where it is not the default.
    return {name: value for name, value in current.items() if name in known or value != pooling[name].default}


def check_description(
    description: Mapping[str, Any], config: Mapping[str, Any], file: Path, *, pooled: int | None = None
) -> None:
    """Refuses a config that says something else of a network, to timm or to the Hub, than what is built of it.

    Args:
        description: of the network that is built, as `describe_network` gives it.
        config: as it was read.
        file: the config's, for the sentence.
        pooled: the length of the network's pooled features, which is what older files call `num_features`.

    Raises:
        StorageError: if they differ; names the place.
    """
    skipped = _OF_FORMAT_2 if config["format"] == 2 else ()
    for name, value in description.items():
        if name in skipped or (name == "num_features" and config[name] == pooled):
            continue
        place, here, there = f"[{name!r}]", value, config[name]
        if name == "model_args" and config["format"] == 2:  # of an option that came later it has the default
            there = {**here, **there}
        while here != there and isinstance(here, dict) and isinstance(there, dict):
            key = next(key for key in {**here, **there} if here.get(key, _NOTHING) != there.get(key, _NOTHING))
            place, here, there = f"{place}[{key!r}]", here.get(key, _NOTHING), there.get(key, _NOTHING)
        if here != there:
            raise StorageError(
                f"{file} contradicts itself at {printable(place)}: the network that it describes has "
                f"{printable(repr(here))}, and it says {printable(repr(there))}. Fetch it again."
            )


def preprocessing_from(content: Mapping[str, Any] | None) -> Preprocessing | None:
    """What a config says of the images; None if it says nothing.

    Raises:
        ValueError: if there are not as many means as deviations, or the rule of resizing is unknown.
    """
    return None if content is None else Preprocessing.from_json(content)


def _timm_config(network: NamedNetwork, license_name: str | None) -> dict[str, Any]:
    """What timm's `PretrainedCfg` knows of a network."""
    preprocessing = network.preprocessing
    content: dict[str, Any] = {
        "num_classes": network.num_classes,
        "classifier": "fc",
        # Filters of an equivariant stem are no ordinary ones: timm must not adapt them itself.
        "first_conv": None,
    }
    if license_name is not None:
        content["license"] = license_name
    if network.classes:
        content["label_names"] = list(network.classes)
    if preprocessing is not None:
        content |= {
            "input_size": [network.in_chans, *preprocessing.size],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 0.875 if preprocessing.resize == "crop_7_8" else 1.0,
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.deviation),
        }
        if preprocessing.resize == "squash":
            content["crop_mode"] = "squash"
    return content
