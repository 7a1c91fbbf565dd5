"""Every function and class that the package exports and that computes something of its arguments."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable
from typing import Any

import eqmodels

__all__ = ["public_callables"]


def public_callables() -> list[tuple[set[str], Callable[..., Any]]]:
    """Each with all the names under which packages export it, such as ``data.subset``."""
    found: dict[int, tuple[set[str], Callable[..., Any]]] = {}
    packages = ["eqmodels", *(f"eqmodels.{one.name}" for one in pkgutil.iter_modules(eqmodels.__path__) if one.ispkg)]
    for package in packages:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if _computes(value):
                names, _ = found.setdefault(id(value), (set(), value))
                names.add(f"{package.removeprefix('eqmodels.')}.{name}")
    return list(found.values())


def _computes(value: object) -> bool:
    """Whether it is a function, or a class that is built by users and asks something of its arguments."""
    if not inspect.isclass(value):
        return inspect.isfunction(value)
    hidden = (Exception, enum.Enum)
    if issubclass(value, hidden) or inspect.isabstract(value) or typing.is_typeddict(value):
        return False
    if getattr(value, "_is_protocol", False) or hasattr(value, "_fields"):
        return False
    # A record holds what it is given: a dataclass that neither writes `__init__` nor looks at its fields.
    is_record = dataclasses.is_dataclass(value) and value.__dataclass_params__.init
    return not (is_record and not hasattr(value, "__post_init__"))
