"""The options of a class or a function: names, types, defaults, choices and help, read off its signature and docstring.

What configs, command lines and sentences know of an option stands in one place, where the class documents its
arguments (``Args:`` of its docstring).
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints, runtime_checkable

from eqmodels.errors import UnknownNameError, is_one_of, nearest_names, shown

__all__ = ["REQUIRED", "Option", "Suggested", "check_options", "documented", "options_of"]


@dataclass(frozen=True)
class Suggested:
    """In a hint, ``Annotated[str, Suggested(TASKS)]``: names of a registry are shown, and other words are values too.

    Attributes:
        names_of: the registry.
    """

    names_of: _Named


@runtime_checkable
class _Named(Protocol):
    """A registry: what has names to choose from. ``Annotated[str, TASKS]`` is the hint of an argument that is one."""

    def names(self) -> list[str]:
        """The names to choose from."""

    def find(self, name: str) -> Any:  # noqa: ANN401 (each registry has its own)
        """What has a name; raises an `UnknownNameError` if nothing has it here."""


class _Required:
    """The default of what has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()
"""The default of an option that must be given."""

_ARGUMENT = re.compile(r"^    (?P<name>\*{0,2}\w+)(?: \([^)]*\))?: *(?P<text>.*)$")


@dataclass(frozen=True)
class Option:
    """One argument of a class or a function.

    Attributes:
        name: of the argument.
        kinds: the types that a value may have: of `bool`, `int`, `float`, `str`, `tuple` and `dict`; empty if anything
            may be given.
        default: its value where it is left out; `REQUIRED` if it must be given.
        choices: the words, or other values, that it is one of; empty if it is free.
        optional: whether None is a value.
        help: what its docstring says, without markup, in one line.
        suggestions: words that it may be, beside others.
        registry: what the choices are registered in, which an import can add to; None for other choices.
    """

    name: str
    kinds: tuple[type, ...]
    default: Any
    choices: tuple[Any, ...]
    optional: bool
    help: str
    suggestions: tuple[str, ...] = ()
    registry: _Named | None = None

    def check(self, value: Any) -> None:  # noqa: ANN401 (anything may be given)
        """Refuses a value of another type, or that is none of the choices.

        Raises:
            TypeError: if the type is another.
            ValueError: if there are choices, and it is none of them; `UnknownNameError` if they are a registry's, or
                another distribution has the name and may not be imported here.
        """
        if value is None and self.optional:
            return
        way_out = "" if self.default is REQUIRED else f" Use {self.default!r}."
        if self.choices and self.registry and not is_one_of(value, self.choices):
            nearest = nearest_names(value, self.choices, 1) if isinstance(value, str) else []
            nearest = nearest or [self.default]
            way_out = f" Use {nearest[0]!r}, or import the file that registers it (--import FILE)."
        if self.choices and not is_one_of(value, self.choices):
            kind = UnknownNameError if self.registry and isinstance(value, str) else ValueError
            words = ", ".join(str(choice) or "''" for choice in self.choices)
            raise kind(f"{self.name} must be one of {words}; got {shown(value)}.{way_out}")
        if self.registry:
            self.registry.find(value)  # now, while it is known whether the name stands in a file
        if self.kinds and not _is_of(value, self.kinds):
            words = " or ".join(_WORDS[kind] for kind in self.kinds)
            raise TypeError(f"{self.name} must be {words}; got {shown(value)}.{way_out}")


_WORDS: dict[type, str] = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "a word",
    tuple: "a list of values",
    dict: "an object of names and values",
}


def options_of(target: Callable[..., Any], *, without: Collection[str] = ()) -> dict[str, Option]:
    """The options of a class or a function, in the order of its signature.

    Args:
        target: a class, whose `__init__` counts, or a function.
        without: names to leave out.
    """
    return {name: read() for name, read in _read_off(target).items() if name not in without}


@cache
def _read_off(target: Callable[..., Any]) -> dict[str, Callable[[], Option]]:
    """What gives each option, out of signature, type hints and docstring: building a network asks many times.

    What a hint says without a registry is read once, and what a registry knows whenever it is asked.
    """
    source = target.__init__ if inspect.isclass(target) else target
    try:
        hints = get_type_hints(source, include_extras=True)
    except (NameError, TypeError):  # names that exist for the type checker alone
        hints = {}
    texts = documented(target)
    found: dict[str, Callable[[], Option]] = {}
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        hint = hints.get(parameter.name, Any if default in (REQUIRED, None) else type(default))
        read = partial(_option, parameter.name, default, hint, texts.get(parameter.name, ""))
        found[parameter.name] = read if _is_annotated(hint) else cache(read)
    return found


def _option(name: str, default: Any, hint: Any, text: str) -> Option:  # noqa: ANN401
    kinds, choices, optional = _read(hint)
    registry = next((note for note in _notes(hint) if isinstance(note, _Named)), None)
    optional = optional or default is None
    return Option(name, kinds, default, choices, optional, text, _suggestions(hint), registry=registry)


def _is_annotated(hint: Any) -> bool:  # noqa: ANN401
    """Whether something stands beside a type anywhere in a hint."""
    return get_origin(hint) is Annotated or any(map(_is_annotated, get_args(hint)))


def check_options(
    target: Callable[..., Any] | Mapping[str, Option],
    values: Mapping[str, Any],
    *,
    subject: str,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """The values themselves, if the class or function has such options and they are of their types.

    Args:
        target: a class or a function, or its options if they are at hand.
        values: of its options, by name.
        subject: what the sentence calls it, such as ``"task 'jigsaw'"``.
        without: options that it has, and that are not to be given here.

    Raises:
        TypeError: if there is no such option (gives the nearest), one is missing, or a value is of another type.
        ValueError: if a value is none of the choices.
    """
    known = target if isinstance(target, Mapping) else options_of(target, without=without)
    for name, value in values.items():
        if name not in known:
            nearest = difflib.get_close_matches(str(name)[:200], known, n=1)
            way_out = f"Use {nearest[0]!r}, or drop it." if nearest else "Drop it."
            raise TypeError(
                f"{subject} has no option {name!r}; its options are {', '.join(known) or 'none'}. {way_out}"
            )
        known[name].check(value)
    if missing := [name for name, option in known.items() if option.default is REQUIRED and name not in values]:
        raise TypeError(f"{subject} needs the option {missing[0]!r}; got {shown(dict(values))}. Give it a value.")
    return dict(values)


def documented(target: Callable[..., Any]) -> dict[str, str]:
    """What the section ``Args:`` of a docstring says of each argument, in one line, without markup."""
    lines = inspect.cleandoc(target.__doc__ or "").splitlines()
    texts: dict[str, list[str]] = {}
    inside, name = False, ""
    for line in lines:
        if line and not line.startswith(" "):
            inside = line == "Args:"
        elif inside and (match := _ARGUMENT.match(line)):
            name = match["name"].lstrip("*")
            texts[name] = [match["text"]]
        elif inside and name and line.strip():
            texts[name].append(line.strip())
    return {name: _plain(" ".join(parts)) for name, parts in texts.items()}


def _plain(text: str) -> str:
    """Words without the marks of code, as a terminal shows them."""
    return re.sub(r"``\"?([^`\"]*)\"?``|`([^`]*)`", lambda match: match[1] or match[2] or "", text).strip()


def _read(hint: Any) -> tuple[tuple[type, ...], tuple[Any, ...], bool]:  # noqa: ANN401
    """Kinds, choices and whether None is allowed, of a type hint."""
    if get_origin(hint) is Annotated:
        plain, *notes = get_args(hint)
        kinds, choices, optional = _read(plain)
        named = tuple(name for note in notes if isinstance(note, _Named) for name in note.names())
        return () if named else kinds, named or choices, optional
    if get_origin(hint) is Literal:
        values = get_args(hint)
        return (), tuple(value for value in values if value is not None), None in values
    if get_origin(hint) in (Union, types.UnionType):
        parts = [_read(part) for part in get_args(hint) if part is not type(None)]
        kinds = tuple(dict.fromkeys(kind for part in parts for kind in part[0]))
        free = any(not part[0] and not part[1] for part in parts)
        choices = tuple(choice for part in parts for choice in part[1])
        return () if free or choices else kinds, choices, type(None) in get_args(hint)
    plain = get_origin(hint) or hint
    if plain in _WORDS or not inspect.isclass(plain):
        return ((plain,) if plain in _WORDS else ()), (), False
    kind = next((kind for base, kind in ((Mapping, dict), (Sequence, tuple)) if issubclass(plain, base)), None)
    return (() if kind is None else (kind,)), (), False


def _suggestions(hint: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The words that a hint suggests."""
    return tuple(name for note in _notes(hint) if isinstance(note, Suggested) for name in note.names_of.names())


def _notes(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """What stands beside the type in an annotated hint."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _is_of(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int) and float in kinds:
        return True
    return isinstance(value, (*kinds, *([list] if tuple in kinds else []), *([Mapping] if dict in kinds else [])))
