"""The images that a command reads: flags for the options of their source, else those that a run was trained with."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from typing import Any

from eqmodels.cli.flags import add_flag, in_flags
from eqmodels.data import SOURCES, Source, Split, load_data
from eqmodels.errors import UnknownNameError
from eqmodels.options import REQUIRED, Option, options_of
from eqmodels.training import PretrainConfig

__all__ = ["add_data_flags", "chosen_data", "flags_given", "loaded"]

PREFIX = "option_of_data_"
"""Of parsed values, so that no option of somebody's source takes the place of one of the command."""


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the source that ``--data`` names, of every source if it names none; after all others.

    One that the command has a flag of its own for is left out. Those of other sources than the one that is named are
    understood and not shown: `load_data` says whose they are.

    Args:
        parser: may say in `typed` what was typed.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--data")
    named: str | None = None
    with suppress(argparse.ArgumentError):  # the parser proper says what is wrong
        named = first.parse_known_args(list(getattr(parser, "typed", [])))[0].data
    group = parser.add_argument_group("options of the images")
    known = named is not None and named in SOURCES
    own = _options(named) if named is not None and known else {}
    for name, option in (own | {name: option for name, option in _options_of_all().items() if name not in own}).items():
        with suppress(argparse.ArgumentError):
            add_flag(group, name, option, dest=f"{PREFIX}{name}", hidden=known and name not in own)


def _options(source: str, *, plugins: bool = True) -> dict[str, Option]:
    return options_of(SOURCES.find(source, plugins=plugins), without=("split", "root"))


def _options_of_all() -> dict[str, Option]:
    """Those of every source that is there without an import; what may differ between two of them is left open."""
    having: dict[str, list[str]] = {}
    found: dict[str, Option] = {}
    for source in SOURCES.names():
        with suppress(UnknownNameError):
            for name, option in _options(source, plugins=False).items():
                having.setdefault(name, []).append(source)
                alike = name not in found or (found[name].kinds, found[name].choices) == (option.kinds, option.choices)
                found[name] = option if alike else Option(name, (), option.default, (), True, option.help)
    return {
        name: replace(option, default=REQUIRED, help=f"of {', '.join(having[name])}: {option.help}")
        for name, option in found.items()
    }


def flags_given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of the source that were given, by name."""
    values = {name.removeprefix(PREFIX): value for name, value in vars(arguments).items() if name.startswith(PREFIX)}
    return {name: value for name, value in values.items() if value is not None}


def chosen_data(arguments: argparse.Namespace, trained: PretrainConfig | None) -> tuple[str, dict[str, Any]]:
    """The name of the images and the options of their source.

    Args:
        arguments: with `data`, a name or None, and what `add_data_flags` added.
        trained: the config of a run: its images, if no others are named, and their options, if they are its own; None
            where images must be named.
    """
    if trained is None or arguments.data not in (None, trained.data.name):
        return arguments.data, flags_given(arguments)
    return trained.data.name, {**trained.data.options, **flags_given(arguments)}


def loaded(name: str, split: Split, options: dict[str, Any], *, root: str | None) -> Source:
    """The images, see `load_data`.

    Raises:
        ValueError: if an option breaks its rule or would be of no effect, in the words of the command line.
        FileNotFoundError: if files are nowhere, and could not be downloaded.
    """
    source: Source = in_flags(("data", *options), lambda: load_data(name, split, root=root, **options))
    return source
