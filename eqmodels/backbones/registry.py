"""Every model by its name: ``<group>_<architecture>[_w<width>]``, or ``<architecture>`` for the standard networks."""

from __future__ import annotations

import difflib
import fnmatch
import inspect
import re
from collections.abc import Callable
from typing import Any

from eqmodels.backbones.encoder import Encoder
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.resnet import RESNETS, SteerableResNet
from eqmodels.backbones.standard_resnet import StandardResNet
from eqmodels.backbones.wide_resnet import WIDE_RESNETS, WideSteerableResNet

__all__ = ["check_name", "create_model", "list_models"]

GROUPS = ("c1", "c4", "d4", "c8", "d8")
"""The groups whose models are listed; other groups can be named too, as in ``c6_resnet18s_w96``."""

_NAME = re.compile(
    r"((?P<group>[cd][1-9][0-9]*)_)?"
    rf"(?P<architecture>{'|'.join([*RESNETS, *WIDE_RESNETS])})"
    r"(_w(?P<width>[1-9][0-9]*))?"
)


def list_models(pattern: str = "*") -> list[str]:
    """The names of the registered models that match a shell pattern, sorted.

    Example:
        >>> list_models("*c4*resnet18s")
        ['c4_resnet18s']
    """
    equivariant = [f"{group}_{architecture}" for group in GROUPS for architecture in [*RESNETS, *WIDE_RESNETS]]
    return sorted(fnmatch.filter([*RESNETS, *equivariant], pattern))


def create_model(name: str, **options: Any) -> Encoder:  # noqa: ANN401 (each family checks its own)
    """Builds a network by its name, with random weights.

    Args:
        name: ``<group>_<architecture>[_w<width>]``, for instance ``"c4_resnet18s"`` or
            ``"d4_wide_resnet16_8_w64"``; without a group the standard network (torchvision's). The width counts dense
            channels of the first stage.
        **options: arguments of `SteerableResNet`, `WideSteerableResNet` or `StandardResNet`: `in_chans`, `num_classes`,
            `global_pool`, `basis`, ...; and ``backend="escnn"`` for a ResNet built of escnn's modules.

    Raises:
        ValueError: if the name is unknown (the nearest ones are given) or an option breaks its rule.
        TypeError: if the name is no string, or the network does not have such an option.
        ModuleNotFoundError: if ``backend="escnn"`` and escnn is not installed.

    Example:
        >>> model = create_model("c4_resnet18s_w16", num_classes=0, in_chans=1)
        >>> model.num_features, str(model.group)
        (32, 'C4')
    """
    match = _parsed(name)
    if match["width"] is not None:
        if "width" in options:
            raise ValueError(
                f"the width is given twice, in the name {name!r} and as width={options['width']}; drop one."
            )
        options["width"] = int(match["width"])
    backend = options.pop("backend", "native")
    if backend not in ("native", "escnn"):
        raise ValueError(f"backend must be 'native' or 'escnn'; got {backend!r}. Use 'native'.")
    architecture = match["architecture"]
    arguments: tuple[str, ...] = (architecture,) if match["group"] is None else (architecture, match["group"])
    family = _family(name, match["group"], architecture, backend)
    known = [
        parameter for parameter in inspect.signature(family).parameters if parameter not in ("architecture", "group")
    ]
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(f"{name!r} has no option {unknown[0]!r}; its options are {', '.join(known)}. Drop it.")
    model: Encoder = family(*arguments, **options)
    return model


def check_name(name: str) -> None:
    """Refuses what `create_model` has no network for, without building any.

    Raises:
        ValueError: if the name is unknown; gives the nearest ones.
        TypeError: if it is no string.
    """
    match = _parsed(name)
    _family(name, match["group"], match["architecture"], "native")


def _parsed(name: str) -> re.Match[str]:
    """The parts of a name: group, architecture and width."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a string such as 'c4_resnet18s'; got {name!r}. list_models() gives all names.")
    match = _NAME.fullmatch(name)
    if match is None:
        nearest = difflib.get_close_matches(name, list_models(), n=3, cutoff=0.0)
        raise ValueError(
            f"no model is named {name!r}; the nearest names are {', '.join(nearest)}. "
            "A name is <group>_<architecture>[_w<width>]; list_models() gives all."
        )
    return match


def _family(name: str, group: str | None, architecture: str, backend: str) -> Callable[..., Encoder]:
    """The class that builds the named network."""
    is_resnet = architecture in RESNETS
    if backend == "escnn":
        if group is None or not is_resnet:
            raise ValueError(
                f"backend='escnn' builds the equivariant ResNets only; got {name!r}. Use, for instance, 'c4_resnet18s'."
            )
        return EscnnResNet
    if group is not None:
        return SteerableResNet if is_resnet else WideSteerableResNet
    if not is_resnet:
        raise ValueError(f"the wide ResNets need a group; got {name!r}. Use {f'c1_{name}'!r} for the plain network.")
    return StandardResNet
