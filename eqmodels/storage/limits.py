"""How large a config may be: counted before it is parsed, and measured before a schema, which is slow, sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from eqmodels.storage.errors import printable

__all__ = ["LARGEST", "LONGEST_LOG", "abridged", "excess", "overlong"]

LARGEST = 2**24
"""Bytes of a config: a log of 10,000 epochs and 450,000 golden features fit."""

LONGEST_LOG = 10_000
"""Rows of the log of a pretraining, one an epoch; the schema has the number too."""

MOST_ENTRIES, MOST_NAMES, MOST_CONTAINERS = 600_000, 200_000, 50_000
"""Of a whole config: entries of objects and lists, names of entries, and objects and lists themselves."""

DEEPEST, LONGEST_LIST, LONGEST_CLASSES, LONGEST_WORD = 50, 1024, 50_000, 20_000
"""Objects and lists inside each other; entries of each; of each in the provenance, which names all classes; letters of
a word."""

_Place = tuple[str | int, ...]

LISTS: dict[_Place, int] = {
    ("log",): LONGEST_LOG,
    ("pretrained_cfg", "label_names"): LONGEST_CLASSES,
    ("golden", "features"): 150_000,
    ("golden", "pooled"): 300_000,
    ("golden", "heads"): 150_000,
}
"""Entries of the lists that may be longer than others, of the heads those of each; the schema has the numbers too."""

_NUMBERS = {int, float}


def excess(text: bytes) -> str:
    """What is too much of a config's text, by counting signs; empty if nothing is. Nothing is parsed for it."""
    if len(text) > LARGEST:
        return f"more than {LARGEST} bytes"
    if text.count(b"[") + text.count(b"{") > MOST_CONTAINERS:
        return f"more than {MOST_CONTAINERS} objects and lists"
    if text.count(b":") > MOST_NAMES:
        return f"more than {MOST_NAMES} names"
    if text.count(b",") > MOST_ENTRIES:
        return f"more than {MOST_ENTRIES} entries"
    return ""


def overlong(content: Mapping[str, Any]) -> str:
    """The first place that is too long or too deep, and the rule; empty if there is none."""
    rest: list[tuple[_Place, Any]] = [((), content)]
    while rest:
        place, value = rest.pop()
        most = LONGEST_CLASSES if place[:1] == ("provenance",) else LONGEST_LIST
        if isinstance(value, list):
            most = LISTS.get(place[:2], most)
        if len(value) > most:
            return _at(place, f"objects and lists must have at most {most} entries here; this one has {len(value)}")
        if len(place) > DEEPEST:
            return _at(place[:3], "it is nested too deeply")
        if isinstance(value, list) and (set(map(type, value)) <= _NUMBERS or _are_rows(value)):
            continue
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(entry, dict | list):
                rest.append(((*place, key), entry))
            elif _is_long(key) or _is_long(entry):
                return _at(place, f"words must have at most {LONGEST_WORD} letters")
    return ""


def abridged(content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A config whose long lists of numbers are shortened, for a schema; and the rule that one of them breaks.

    Args:
        content: that is not `overlong`.

    Returns:
        The config, in which the lists hold no more than their first entry; and place and rule, empty if none is broken.
    """
    short, golden = dict(content), content.get("golden")
    if isinstance(log := content.get("log"), list):
        short["log"] = log[:1]
        for number, row in enumerate(() if _are_rows(log) else log):
            if not isinstance(row, dict):
                return short, _at(("log", number), f"{printable(repr(row))} is not of type 'object'")
            if rule := next(_no_numbers(("log", number), row.items()), ""):
                return short, rule
    if isinstance(golden, dict):
        short["golden"], rule = _abridged_lists(("golden",), golden)
        if not rule and isinstance(heads := golden.get("heads"), dict):
            short["golden"]["heads"], rule = _abridged_lists(("golden", "heads"), heads)
        return short, rule
    return short, ""


def _abridged_lists(place: _Place, content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The entries that are long lists shortened; and the rule that one of them breaks by holding more than numbers."""
    short = dict(content)
    for name, values in content.items():
        if (*place, name)[:2] in LISTS and isinstance(values, list):
            short[name] = values[:1]
            if not set(map(type, values)) <= _NUMBERS:
                return short, next(_no_numbers((*place, name), enumerate(values)))
    return short, ""


def _no_numbers(place: _Place, entries: Any) -> Iterator[str]:  # noqa: ANN401 (pairs of whatever a file holds)
    for key, value in entries:
        if type(value) not in _NUMBERS:
            yield _at((*place, key), f"{printable(repr(value))} is not of type 'number'")


def _are_rows(entries: list[Any]) -> bool:
    """Whether a list holds objects of numbers alone, none too long and no name of one too long: in few passes in C."""
    return (
        set(map(type, entries)) == {dict}
        and max(map(len, entries)) <= LONGEST_LIST
        and set(map(type, chain.from_iterable(map(dict.values, entries)))) <= _NUMBERS
        and max(map(len, chain.from_iterable(entries)), default=0) <= LONGEST_WORD
    )


def _is_long(value: object) -> bool:
    return type(value) is str and len(value) > LONGEST_WORD


def _at(place: _Place, rule: str) -> str:
    where = "".join(f"[{part!r}]" for part in place) or "its top level"
    return f"at {printable(where)}: {rule}"
