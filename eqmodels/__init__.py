"""Exactly group-equivariant image encoders for PyTorch, with pretrained weights, behind the interface of a ResNet.

Importing this package imports nothing that takes time: its names and modules are loaded when they are first used (PEP
562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from eqmodels.lazy import names_from

if TYPE_CHECKING:
    from eqmodels import adapt as adapt
    from eqmodels import backbones as backbones
    from eqmodels import data as data
    from eqmodels import evaluation as evaluation
    from eqmodels import export as export
    from eqmodels import fields as fields
    from eqmodels import finetuning as finetuning
    from eqmodels import groups as groups
    from eqmodels import heads as heads
    from eqmodels import hub as hub
    from eqmodels import layers as layers
    from eqmodels import measures as measures
    from eqmodels import objectives as objectives
    from eqmodels import storage as storage
    from eqmodels import studies as studies
    from eqmodels import tasks as tasks
    from eqmodels import training as training
    from eqmodels import transforms as transforms
    from eqmodels.backbones import Backbone, Encoder
    from eqmodels.errors import EqmodelsError
    from eqmodels.groups import PlanarGroup
    from eqmodels.hub import create_model, list_models, load

__all__ = ["Backbone", "Encoder", "EqmodelsError", "PlanarGroup", "create_model", "list_models", "load"]
__version__ = "0.2.0"

_HOMES = {
    "Backbone": "eqmodels.backbones",
    "Encoder": "eqmodels.backbones",
    "EqmodelsError": "eqmodels.errors",
    "PlanarGroup": "eqmodels.groups",
    "create_model": "eqmodels.hub",
    "list_models": "eqmodels.hub",
    "load": "eqmodels.hub",
}
"""The module of every public name, as the type checker reads it above."""


_named = names_from(__name__, _HOMES)


def __getattr__(name: str) -> object:
    """A public name or a module of the package, loaded now and kept.

    Raises:
        AttributeError: if there is no such name.
    """
    if name in _HOMES:
        return _named(name)
    module = f"{__name__}.{name}"
    if not name.startswith("_"):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:  # it is there, and needs something that is not
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and the modules, loaded or not."""
    import pkgutil

    return sorted({*globals(), *__all__, *(module.name for module in pkgutil.iter_modules(__path__))})
