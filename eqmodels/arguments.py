"""Arguments of public functions that are not of the types that their hints say: one sentence, before anything is done.

A hint is what a reader and a type checker go by, so it is what is asked at run time too: nothing is said twice. What no
hint says (shapes, ranges, what belongs together) is the function's own to check. Layers and networks, which are called
at every step and are traced, have `eqmodels.checks` instead.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from torch import Tensor

from eqmodels.checks import tensor_fault
from eqmodels.errors import shown

__all__ = ["check_arguments"]


@dataclass(frozen=True)
class _Rule:
    """What a hint allows.

    Attributes:
        words: for it, as in "must be a list of numbers".
        takes: whether a value is of it.
    """

    words: str
    takes: Callable[[Any], bool]


def check_arguments(target: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Refuses the first argument that is not of the type that its hint says.

    Args:
        target: a function or a class, whose `__init__` counts, of a dataclass its fields.
        values: of its arguments, by name: ``locals()`` at the start of a function, or ``vars(self)`` of a dataclass.

    Raises:
        TypeError: if there is one.
    """
    for name, rule in _rules(target).items():
        if name in values and not rule.takes(value := values[name]):
            raise TypeError(f"{name} must be {rule.words}; {_fault(value, rule, target)}")


def _fault(value: Any, rule: _Rule, target: Callable[..., Any]) -> str:  # noqa: ANN401
    way_out = f"Pass {rule.words}, see help({target.__module__}.{target.__qualname__})."
    if "tensor" in rule.words:
        if isinstance(value, Tensor) and value.is_meta:
            return "got one on the device 'meta', without values. Fill it first."
        if isinstance(value, Tensor) or hasattr(value, "__array__") or isinstance(value, list | tuple):
            return tensor_fault(value) or f"got {shown(value)}. {way_out}"
    return f"got {shown(value)}. {way_out}"


@cache
def _rules(target: Callable[..., Any]) -> dict[str, _Rule]:
    """The rule of every argument whose hint has one."""
    source = target
    if inspect.isclass(target) and not hasattr(target, "__dataclass_fields__"):
        source = target.__init__
    try:
        hints = get_type_hints(source, include_extras=True)
    except (NameError, TypeError):  # names that exist for the type checker alone
        return {}
    parameters = inspect.signature(target).parameters.values()
    rules = {
        one.name: _collection(tuple, (hints[one.name], ...))
        if one.kind is one.VAR_POSITIONAL
        else _rule_of(hints[one.name])
        for one in parameters
        if one.name in hints and one.kind is not one.VAR_KEYWORD
    }
    return {name: rule for name, rule in rules.items() if rule is not None}


def _rule_of(hint: Any) -> _Rule | None:  # noqa: ANN401
    """What a hint allows; None for anything."""
    if getattr(hint, "array_type", hint) is Tensor:  # also with a shape, of jaxtyping
        return _Rule("a dense tensor", _is_dense)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _rule_of(parts[0])
    if origin in (Union, types.UnionType):
        return _any_of([_rule_of(part) for part in parts])
    if origin is Literal:
        # Which of them, the function says itself.
        kinds = tuple({type(part) for part in parts})
        return _Rule(f"one of {', '.join(map(repr, parts))}", lambda value: isinstance(value, kinds))
    return _collection(origin, parts) if inspect.isclass(origin) else _of_class(hint)


def _of_class(hint: Any) -> _Rule | None:  # noqa: ANN401
    """What a class allows, or a variable for one; None for anything."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, TypeVar):
        return None if hint.__bound__ is None else _rule_of(hint.__bound__)
    if is_typeddict(hint):
        return _Rule("a mapping", lambda value: isinstance(value, Mapping))
    asked = inspect.isclass(hint) and hint not in (object, Any)  # a class too, since Python 3.11
    if not asked or (getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)):
        return None
    return _Rule(f"a {hint.__name__}", lambda value: isinstance(value, hint))


def _is_dense(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_meta and tensor_fault(value) is None


def _is_number(value: object) -> bool:
    # Larger integers do not fit what they are for, and Python refuses to write them into a sentence.
    return not isinstance(value, bool) and (not isinstance(value, Integral) or abs(int(value)) < 2**64)


def _any_of(rules: list[_Rule | None]) -> _Rule | None:
    known = [rule for rule in rules if rule is not None]
    if len(known) < len(rules):
        return None
    words = " or ".join(dict.fromkeys(rule.words for rule in known))
    return _Rule(words, lambda value: any(rule.takes(value) for rule in known))


def _collection(origin: type, parts: tuple[Any, ...]) -> _Rule:
    """Of a list, a tuple, a mapping, an iterable or a function."""
    if issubclass(origin, Mapping):
        keys, values = (_rule_of(part) for part in parts) if len(parts) == 2 else (None, None)
        return _Rule(
            f"a mapping{_of_words(values)}",
            lambda value: isinstance(value, Mapping) and _all(keys, value.keys()) and _all(values, value.values()),
        )
    if issubclass(origin, Sequence | Set):
        kinds = (list, tuple) if issubclass(origin, list | tuple) else (origin,)
        if issubclass(origin, tuple) and parts and parts[-1] is not Ellipsis:
            return _fixed([_rule_of(part) for part in parts])
        single = len(parts) == 1 or (len(parts) == 2 and parts[1] is Ellipsis)
        inner = _rule_of(parts[0]) if single else None
        # A word is a sequence of letters, and never what is meant by a list of words.
        return _Rule(
            f"a list{_of_words(inner)}",
            lambda value: isinstance(value, kinds) and not isinstance(value, str | bytes) and _all(inner, value),
        )
    if issubclass(origin, Iterable) and origin.__module__ == "collections.abc":
        return _Rule("an iterable", lambda value: isinstance(value, origin) and not isinstance(value, str | bytes))
    words = "a function" if origin.__name__ == "Callable" else f"a {origin.__name__}"
    return _Rule(words, lambda value: isinstance(value, origin))


def _fixed(rules: list[_Rule | None]) -> _Rule:
    """Of a tuple of so many values, each of its own hint."""
    words = {"anything" if rule is None else rule.words for rule in rules}
    each = f"that are each {words.pop()}" if len(words) == 1 else "in their order"
    return _Rule(
        f"a list of {len(rules)} values {each}",
        lambda value: (
            isinstance(value, list | tuple)
            and len(value) == len(rules)
            and all(rule is None or rule.takes(part) for rule, part in zip(rules, value, strict=True))
        ),
    )


def _of_words(inner: _Rule | None) -> str:
    return "" if inner is None else f" of values that are each {inner.words}"


def _all(rule: _Rule | None, values: Iterable[Any]) -> bool:
    return rule is None or all(rule.takes(value) for value in values)


_PLAIN: dict[Any, _Rule] = {
    bool: _Rule("True or False", lambda value: isinstance(value, bool)),
    int: _Rule("an integer of 64 bits", lambda value: isinstance(value, Integral) and _is_number(value)),
    float: _Rule("a number", lambda value: isinstance(value, Real) and _is_number(value)),
    str: _Rule("a string", lambda value: isinstance(value, str)),
    type(None): _Rule("None", lambda value: value is None),
}
