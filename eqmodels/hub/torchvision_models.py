"""The networks under their names in torchvision's registry, so that ``torchvision.models.get_model`` builds them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from eqmodels import backbones
from eqmodels.backbones import Backbone
from eqmodels.backbones.registry import checked_names
from eqmodels.errors import is_one_of, shown
from eqmodels.hub.loading import load
from eqmodels.hub.names import takes_images, usual_names
from eqmodels.remote import is_pretrained, read_index

__all__ = ["register_torchvision"]

ENTRIES = "eqmodels.hub.torchvision_entries"
"""The module that torchvision finds the functions in; it is made here."""


def register_torchvision(names: Iterable[str] = ()) -> list[str]:
    """Makes networks known to torchvision: ``torchvision.models.get_model("c4_resnet18", num_classes=10)``.

    The names of the zoo are among them: ``get_model("c4_resnet18_w32.distil_lite0", weights="DEFAULT")`` is the
    pretrained network, as `eqmodels.load` gives it; with ``weights=None`` its weights are random.

    Args:
        names: of networks to register, with widths, as ``["c4_resnet18s_w24"]``; those of `list_models`, at their
            default width and with ``_w16``, ``_w32`` and ``_w64``, and of the zoo always are, but for ``resnet18``,
            ``resnet34``, ``resnet50`` and ``resnet101``: torchvision has its own.

    Returns:
        The names that are registered, sorted.

    Raises:
        TypeError: if `names` is one name, or one of them is no string.
        ValueError: if one of them is no architecture, or is a name of torchvision's own; nothing is registered then.
    """
    names = checked_names(register_torchvision, names)
    from torchvision.models import get_model_builder, list_models
    from torchvision.models._api import register_model

    theirs = {name for name in list_models() if get_model_builder(name).__module__ != ENTRIES}
    if taken := [name for name in names if name in theirs]:
        raise ValueError(
            f"names must be those of networks that torchvision does not have; got {taken[0]!r}, which is one of its "
            f"own. Build it with eqmodels.create_model, or register it with a width, such as {f'{taken[0]}_w64'!r}."
        )
    entries = sys.modules.setdefault(ENTRIES, ModuleType(ENTRIES))
    known = sorted({*usual_names(), *filter(takes_images, read_index()), *names} - theirs)
    for name in known:
        if not hasattr(entries, name):
            entry = _entry(name)
            setattr(entries, name, entry)
            register_model(name)(entry)
    return known


def _entry(name: str) -> Callable[..., Backbone]:
    def entry(*, weights: str | None = None, **options: Any) -> Backbone:  # noqa: ANN401
        if weights is None:
            return backbones.create_model(name.partition(".")[0], **options)
        if not is_one_of(weights, ("DEFAULT",)) or not is_pretrained(name):
            way_out = "'DEFAULT' or None" if is_pretrained(name) else "None, as nothing is pretrained under this name"
            raise ValueError(f"weights of {name!r} must be {way_out}; got {shown(weights)}. See list_pretrained().")
        return load(name, **options)

    entry.__name__ = entry.__qualname__ = name
    entry.__module__ = ENTRIES
    return entry
