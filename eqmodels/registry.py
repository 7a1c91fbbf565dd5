"""Things that a word chooses: registered beside their code, in this package, in a user's file or in a distribution.

One `Registry` a kind: backbones, tasks, heads, augmentations, data sources, objectives, optimisers. What another
distribution has is declared by an entry point, ``puzzle = "their_package.puzzle"`` under
``[project.entry-points."eqmodels.tasks"]``; its module is imported when somebody asks for that name, and never because
a file does.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from eqmodels.errors import UnknownNameError, nearest_names, shown

__all__ = ["Registry", "UnknownNameError", "check_free", "could_be_registered", "without_imports"]

T = TypeVar("T", bound=Callable[..., Any])
R = TypeVar("R", bound=Callable[..., Any])


_TYPED: ContextVar[tuple[str, ...] | None] = ContextVar("typed", default=None)
"""The words whose names may cause an import; None for all names."""


@contextmanager
def without_imports(*typed: str) -> Iterator[None]:
    """A context in which no name causes an import, whatever it is looked up for: for all names that stand in a file.

    Args:
        *typed: words that a person passed beside the file. What they name may be imported: ``"c4_puzzle_w8"`` names
            ``puzzle``, and ``"rotation+puzzle"`` too.
    """
    token = _TYPED.set(typed)
    try:
        yield
    finally:
        _TYPED.reset(token)


def _may_import(name: str) -> bool:
    """Whether a module may be imported for a name here."""
    typed, whole = _TYPED.get(), re.compile(rf"(?:.*[_+])?{re.escape(name)}(?:[_+0-9].*)?")
    return typed is None or any(whole.fullmatch(word) for word in typed)


def could_be_registered(name: object) -> bool:
    """Whether a registry takes the name: a lower-case word."""
    # A plus joins names, a dot separates a network's tag, and a slash is a folder.
    return isinstance(name, str) and name != "" and not set(name) & set("+./\\ ,:=") and name == name.lower()


def check_free(kind: str, name: str, there: object | None, target: object) -> None:
    """Refuses a name that something else has; a module that is imported anew replaces its own.

    Args:
        kind: what the name names.
        name: that is to be registered.
        there: what has it; None for nothing.
        target: what is to have it.

    Raises:
        ValueError: if another class or function has it.
    """
    if there is not None and _origin(there) != _origin(target):
        raise ValueError(
            f"the {kind} {name!r} is registered already, by {_origin(there)}; got another of {_origin(target)}. Choose "
            "another name."
        )


class Registry(Generic[T]):
    """What is registered of one kind, by name.

    Args:
        kind: what a name names, for sentences and for the group of entry points: ``"task"`` and ``eqmodels.tasks``.
        plural: of the kind.
        option: the word by which arguments, configs and the command line ask for one, for the sentences about what was
            passed for it; None for the kind.

    Example:
        >>> LOSSES = Registry[Callable[..., float]]("loss", "losses")
        >>> @LOSSES.register("square")
        ... def square(error: float) -> float:
        ...     return error**2
        >>> LOSSES.find("square")(3.0), LOSSES.names()
        (9.0, ['square'])
    """

    def __init__(self, kind: str, plural: str | None = None, *, option: str | None = None) -> None:
        self.kind, self.plural, self.option = kind, plural or f"{kind}s", option or kind
        self._found: dict[str, T] = {}

    def register(self, *names: str) -> Callable[[R], R]:
        """Registers a class or a function under one name or several, as a decorator that gives it back unchanged.

        Importing a module anew replaces what it registered before.

        Args:
            *names: lower-case words, as a command line and a file have them.

        Raises:
            ValueError: if a name is none, or something else has it.
        """
        for name in names:
            if not could_be_registered(name):
                raise ValueError(
                    f"a {self.kind} is registered under lower-case letters, digits, '_' and '-'; got {name!r}. Use, "
                    f"for instance, 'my_{self.kind}'."
                )

        def add(target: R) -> R:
            for name in names:
                check_free(self.kind, name, self._found.get(name), target)
            self._found.update(dict.fromkeys(names, target))  # type: ignore[arg-type]
            return target

        return add

    def names(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, sorted: those registered, and those that distributions announce."""
        return sorted(fnmatch.filter({*self._found, *self._plugins()}, pattern))

    def find(self, name: str, *, plugins: bool = True) -> T:
        """What is registered under a name.

        Args:
            name: as it was registered.
            plugins: whether the module of another distribution may be imported for it; not for a name that stands in
                a file (see `without_imports` too).

        Raises:
            TypeError: if the name is no string.
            UnknownNameError: if nothing has the name: gives the nearest ones, or names the distribution that has it.
        """
        if not isinstance(name, str):
            raise TypeError(f"{self.option} must be a name, such as {self._example()!r}; got {shown(name)}.")
        if name not in self._found and (plugin := self._plugins().get(name)) is not None:
            if not (plugins and _may_import(name)):
                raise UnknownNameError(
                    f"the {self.kind} {name!r} is of the distribution {_distribution(plugin)}, and no file of weights "
                    f"or config causes an import. Import {plugin.module} first (--import {plugin.module})."
                )
            plugin.load()
            if name not in self._found:
                raise UnknownNameError(
                    f"the distribution {_distribution(plugin)} announces the {self.kind} {name!r}, and its module "
                    f"{plugin.module} registers none of this name. Update it, or use {self._example()!r}."
                )
        if name not in self._found:
            raise UnknownNameError(self.unknown(name))
        return self._found[name]

    def unknown(self, name: str) -> str:
        """The sentence about a name that nothing has."""
        return (
            f"{self.option} must be one of {', '.join(self.names())}; got {_shown(name)}. Use "
            f"{' or '.join(map(repr, self.nearest(name)))}, or import the file that registers it (--import FILE)."
        )

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """The names that begin with a word or are spelled most like it, see `nearest_names`; else the first name."""
        return nearest_names(name, self.names(), count) or self.names()[:1]

    def __contains__(self, name: object) -> bool:
        return name in self._found or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _example(self) -> str:
        return next(iter(self._found), "")

    def _plugins(self) -> dict[str, EntryPoint]:
        return _entry_points(f"eqmodels.{self.plural}")


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """What installed distributions announce, without importing any of it."""
    return {found.name: found for found in entry_points(group=group)}


def _distribution(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist is not None else plugin.module


def _origin(target: object) -> str:
    return f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', repr(target))}"


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
