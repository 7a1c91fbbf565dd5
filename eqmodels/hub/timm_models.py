"""The networks under their names in timm's registry, so that timm's own functions build and load them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from eqmodels import backbones
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.backbones.loading import encoder_state
from eqmodels.backbones.registry import check_name
from eqmodels.remote import read_index

__all__ = ["register_timm"]

ENTRIES = "eqmodels.hub.timm_entries"
"""The module that timm finds the functions in; it is made here."""


def register_timm(names: Iterable[str] = ()) -> list[str]:
    """Makes networks known to timm: ``timm.create_model("hf-hub:organisation/name", pretrained=True)`` then loads them.

    timm reads ``architecture``, ``model_args`` and ``pretrained_cfg`` of the config and fetches the weights itself;
    sha256 and golden features are checked by `eqmodels.load` and `eqmodels.verify` alone.

    Args:
        names: of networks to register, with widths, as ``["c4_resnet18s_w24"]``; those of `list_models` and of the zoo
            always are, but for ``resnet18``, ``resnet34``, ``resnet50`` and ``resnet101``: timm has its own.

    Returns:
        The names that are registered, sorted.

    Raises:
        ModuleNotFoundError: if timm is not installed.
        TypeError: if `names` is one name, or one of them is no string.
        ValueError: if one of them is no architecture, or is a name of timm's own; nothing is registered then.
    """
    if isinstance(names, str):
        raise TypeError(f"names must be several names; got {names!r}. Pass [{names!r}].")
    check_arguments(register_timm, locals())
    names = list(names)
    for name in names:
        check_name(name)
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
    entries = sys.modules.setdefault(ENTRIES, ModuleType(ENTRIES))
    wanted = {*backbones.list_models(), *(name.split(".")[0] for name in read_index()), *names}
    known = sorted(name for name in wanted if not is_theirs(name))
    for name in known:
        if not hasattr(entries, name):
            entry = _entry(name)
            setattr(entries, name, entry)
            register_model(entry)
    return known


def _entry(name: str) -> Callable[..., Backbone]:
    from timm.models import build_model_with_cfg

    def build(**options: Any) -> Backbone:  # noqa: ANN401
        return backbones.create_model(name, **options)

    def entry(pretrained: bool = False, **options: Any) -> Backbone:  # noqa: ANN401
        model: Backbone = build_model_with_cfg(build, name, pretrained, pretrained_filter_fn=encoder_state, **options)
        return model

    entry.__name__ = entry.__qualname__ = name
    entry.__module__ = ENTRIES
    return entry
