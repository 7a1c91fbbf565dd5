"""The grammar of names: ``<group>_<architecture>[_<parts>][_w<width>]``, read and written.

A name alone builds the network. Its parts stand for options, and are there where these differ from the default:

=============  =====================  =======================================
part           option                 value
=============  =====================  =======================================
``strided``    ``downsampling``       ``"stride"``: strides where the default pools
``k5``         ``kernel_size``        5, or another number
``harmonic``   ``basis``              ``"harmonic"``
``pixel``      ``basis``              ``"pixel"``
``ln``         ``norm``               ``"layer"``: layer norm
``imagenet``   ``stem``               ``"imagenet"``: of wide ResNets
``w64``        ``width``              64 dense channels of the first stage
=============  =====================  =======================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ModelName", "current_name", "is_architecture", "parse_name"]

WORDS: dict[str, tuple[str, Any]] = {
    "strided": ("downsampling", "stride"),
    "harmonic": ("basis", "harmonic"),
    "pixel": ("basis", "pixel"),
    "ln": ("norm", "layer"),
    "imagenet": ("stem", "imagenet"),
}
"""Parts that are words: the option and its value."""

NUMBERS: dict[str, str] = {"k": "kernel_size", "w": "width"}
"""Parts that are a letter and a number: the option."""

_ARCHITECTURE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_GROUP = re.compile(r"[cd][1-9][0-9]*|so3|o3")
_NUMBER = re.compile(r"([a-z])([1-9][0-9]{0,8})")
_OLD_RESNET = re.compile(r"(?P<before>([cd][1-9][0-9]*_)?resnet(18|34|50))(?P<after>_.*)?")


@dataclass(frozen=True)
class ModelName:
    """A name taken apart.

    Attributes:
        architecture: as it is registered.
        group: its name; None for a network without one.
        options: that the parts stand for, the width among them.
    """

    architecture: str
    group: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = {pair: word for word, pair in WORDS.items()}
        letters = {option: letter for letter, option in NUMBERS.items()}
        parts = [
            words[option, value] if (option, value) in words else f"{letters[option]}{value}"
            for option, value in self.options.items()
            if option != "width"
        ]
        width = [f"w{self.options['width']}"] if "width" in self.options else []
        return "_".join([*([self.group] if self.group else []), self.architecture, *sorted(parts), *width])

    @staticmethod
    def can_say(option: str, value: object) -> bool:
        """Whether a part of a name stands for this value of an option."""
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return (option in NUMBERS.values() and is_count) or (option, value) in WORDS.values()


def is_architecture(name: str) -> bool:
    """Whether a word can be that of an architecture: nothing in it would be read as a group in front, or as a part."""
    words = name.split("_") if _ARCHITECTURE.fullmatch(name) else [""]
    parts = [word for word in words[1:] if word in WORDS or ((m := _NUMBER.fullmatch(word)) and m[1] in NUMBERS)]
    return bool(words[0]) and not _GROUP.fullmatch(words[0]) and not parts


def parse_name(name: str, architectures: Collection[str]) -> ModelName | None:
    """The parts of a name; None if it is not of the grammar, or its architecture is none of these.

    Of two architectures that a name begins with, the longer counts. Parts may stand in any order, each at most once;
    the width is the last.

    Example:
        >>> parse_name("c4_resnet18_strided_k5_w32", ["resnet18"]).options
        {'downsampling': 'stride', 'kernel_size': 5, 'width': 32}
    """
    group, underscore, rest = name.partition("_")
    if not (underscore and _GROUP.fullmatch(group)):
        group, rest = "", name
    found = [known for known in architectures if rest == known or rest.startswith(f"{known}_")]
    if not found:
        return None
    architecture = max(found, key=len)
    options: dict[str, Any] = {}
    for part in rest[len(architecture) + 1 :].split("_") if rest != architecture else []:
        match = _NUMBER.fullmatch(part)
        if part in WORDS:
            option, value = WORDS[part]
        elif match and match[1] in NUMBERS:
            option, value = NUMBERS[match[1]], int(match[2])
        else:
            return None
        if option in options or "width" in options:
            return None
        options[option] = value
    return ModelName(architecture, group or None, options)


def current_name(name: str, *, stem: str | None = None) -> str:
    """The name of today of a network in a file of format 2 or a flat recipe, in which ``resnet18`` had the small stem.

    Args:
        name: as the file has it.
        stem: as the file has it beside the name; None if it says nothing.

    Example:
        >>> current_name("c4_resnet18_w16"), current_name("resnet50", stem="imagenet"), current_name("c4_resnet18s")
        ('c4_resnet18s_w16', 'resnet50', 'c4_resnet18s')
    """
    match = _OLD_RESNET.fullmatch(name)
    if match is None or stem == "imagenet":
        return name
    return f"{match['before']}s{match['after'] or ''}"
