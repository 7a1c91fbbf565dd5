"""Options of the package as those of the command line: their flags, and sentences about them in its words."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from eqmodels.errors import like
from eqmodels.options import REQUIRED, Option

__all__ = ["add_flag", "in_flags", "pixels"]

METAVARS: dict[type, str] = {int: "N", float: "X", str: "NAME", tuple: "A,B", dict: "JSON"}
"""What stands for a value in the help."""


def add_flag(
    group: argparse._ArgumentGroup, name: str, option: Option, *, dest: str | None = None, hidden: bool = False
) -> None:
    """Adds an option as a flag; its help is that of the docstring.

    Args:
        group: of the parser, where it goes.
        name: of the option.
        option: its types, default and help; a flag that is not given is None, whatever the default.
        dest: the name of the parsed value; None for that of the option.
        hidden: whether the help leaves it out.
    """
    flag, dest, default = f"--{name.replace('_', '-')}", dest or name, option.default
    text = f"{option.help} One of {', '.join(option.suggestions)}." if option.suggestions else option.help
    shown = "none" if default is None else default
    if isinstance(default, bool):
        shown = "yes" if default else "no"
    elif isinstance(default, tuple):
        shown = ",".join(map(str, default))
    text = text.rstrip(".").replace("%", "%%") + ("" if default is REQUIRED else f" (default: {shown})")
    text = argparse.SUPPRESS if hidden else text
    if option.kinds == (bool,):
        group.add_argument(flag, dest=dest, action=argparse.BooleanOptionalAction, default=None, help=text)
    elif option.choices:
        group.add_argument(flag, dest=dest, type=type(option.choices[0]), choices=option.choices, help=text)
    else:
        kind = option.kinds[0] if len(option.kinds) == 1 and option.kinds[0] in METAVARS else None
        convert: Callable[[str], Any] = kind if kind in (int, float, str) else _values if kind is tuple else _any_value
        group.add_argument(flag, dest=dest, type=convert, metavar=METAVARS[kind or str], help=text)


def _any_value(text: str) -> Any:  # noqa: ANN401
    """A value as JSON has it, or a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _values(text: str) -> Any:  # noqa: ANN401
    """A list as JSON has it, or words and numbers between commas."""
    value = _any_value(text)
    return value if isinstance(value, list) else [_any_value(one.strip()) for one in text.split(",")]


def in_flags(names: Iterable[str], function: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What a function gives; a complaint of it names options as the command line does.

    Raises:
        ValueError: what the function raises of bad values, in the words of the command line.
    """
    try:
        return function()
    except (TypeError, ValueError) as error:
        raise like(ValueError(in_options(str(error), names)), error) from error


def in_options(sentence: str, names: Iterable[str]) -> str:
    """A sentence about arguments as one about options: ``--batch-size 8`` for ``batch_size=8``."""
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))

    def flag(match: re.Match[str]) -> str:
        name, value = match["name"].replace("_", "-"), match["value"].strip("'\"")
        words = {"None": f"no --{name}", "True": f"--{name}", "False": f"--no-{name}"}
        return words.get(value, f"--{name} {value}")

    value = r"(?P<value>'[^']*'|\"[^\"]*\"|[\w+-]+(\.\w+)*)"
    sentence = re.sub(rf"(?<![\w.-])(?P<name>{known})={value}", flag, sentence)
    sentence = re.sub(rf"^({known})\b", lambda match: f"--{match[0].replace('_', '-')}", sentence)
    sentence = re.sub(r"(?<=Use )\(([^()]*)\)", lambda match: re.sub(r"['\" ]|,$", "", match[1]), sentence)
    return re.sub(r"(--[\w-]+) \(\1\)", r"\1", sentence)


def pixels(text: str) -> tuple[int, int]:
    """Height and width of ``32`` or ``28x40``, for argparse.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    match = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"a size is a number of pixels, 32, or height x width, 28x40; got {text!r}")
    return int(match[1]), int(match[2] or match[1])
