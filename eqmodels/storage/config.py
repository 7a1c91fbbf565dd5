"""The file ``config.json`` beside weights, and the schema that it must fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from eqmodels.storage.errors import StorageError, printable, reason_of

__all__ = [
    "CONFIG",
    "FORMAT",
    "GOLDEN_SIDE",
    "LARGEST_NUMBER",
    "LONGEST_LOG",
    "broken_rule",
    "check_config",
    "read_config",
]

CONFIG = "config.json"
"""The name of the file in a folder of weights."""

FORMAT = 2
"""The version of the schema that this version of the package reads and writes."""

LARGEST = 2**26
"""Bytes of a config: a log of 100,000 epochs and a million golden features fit."""

LARGEST_FLOAT32 = 3.4e38
LONGEST_WORD, LARGEST_NUMBER, DEEPEST, MOST_ARGUMENTS = 200, 2**32, 6, 1000
"""Of the arguments of a pretraining."""

LONGEST_LOG = 100_000
"""Rows of the log of a pretraining, one an epoch; the schema has the number too."""

GOLDEN_SIDE = 64
"""The largest side of the image whose features are stored, so that nobody has to compute those of a huge one."""


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((files("eqmodels.storage") / "config.schema.json").read_text("utf-8")))


def read_config(file: Path) -> dict[str, Any]:
    """The content of a config that fits the schema.

    Raises:
        StorageError: if the file cannot be read, is no JSON, is of another format or breaks a rule; names the rule.
    """
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        content = json.loads(file.read_text("utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    return check_config(content, str(file))


def check_config(content: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 (anything may stand in a file)
    """The content itself, if it fits the schema.

    Args:
        content: what was read.
        name: of the file, for the sentence.

    Raises:
        StorageError: if it does not; names the place and the rule.
    """
    if not isinstance(content, dict):
        raise StorageError(f"{name} holds no object but a {type(content).__name__}. Fetch it again.")
    if "format" not in content:
        raise StorageError(f"{name} is no config of eqmodels, which has a format{_of_another_library(content)}.")
    if content["format"] != FORMAT or isinstance(content["format"], bool):
        written = repr(content["format"])[:40]
        raise StorageError(
            f"{name} is of format {written}, and this version of eqmodels reads format {FORMAT}. Update eqmodels, or "
            "fetch the weights again."
        )
    if rule := broken_rule(content):
        raise StorageError(f"{name} breaks a rule {rule}. Nothing was built; fetch it again.")
    return content


def broken_rule(content: Mapping[str, Any]) -> str:
    """The place in a config and the rule that it breaks there; empty if it breaks none."""
    try:
        fault = best_match(_validator().iter_errors(content))
        place = "" if fault is None else "".join(f"[{part!r}]" for part in fault.absolute_path) or "its top level"
    except RecursionError:  # a value to be quoted is a list in a list in a list ...
        return "by its depth: it is nested too deeply"
    if fault is not None:
        return f"at {printable(place)}: {printable(' '.join(fault.message.split()))}"
    return next((f"at [{place!r}]: {rule}" for place, rule in _broken_rules(content)), "")


def _of_another_library(content: Mapping[str, Any]) -> str:
    """What to say of a config without a format."""
    for library, keys in {"timm": {"pretrained_cfg"}, "transformers": {"model_type", "transformers_version"}}.items():
        if keys & content.keys() and "golden" not in content:
            return f", but one of {library}. Load it with {library}, or name a network that eqmodels wrote"
    return ". Name a network that eqmodels wrote, or fetch it again"


def _broken_rules(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Place and rule of what a schema cannot say: how parts depend on each other, and what is too large for a float."""
    golden, preprocessing = content["golden"], content["preprocessing"]
    for name in ("features", "pooled"):
        if not all(abs(value) <= LARGEST_FLOAT32 for value in golden.get(name, ())):
            yield "golden", f"{name} must be finite in float32"
    sides = [min(side, GOLDEN_SIDE) for side in (preprocessing or {"size": [32, 32]})["size"]]
    if golden["size"] != sides:
        yield "golden", f"the size must be {sides}, which follows from the preprocessing; got {golden['size']}"
    pretraining = content.get("pretraining", {})
    for rule in _broken_arguments(pretraining, DEEPEST):
        yield "pretraining", rule
    if "format" in pretraining:
        return
    for name in ("model", "task", "data"):
        if not isinstance(pretraining.get(name, ""), str):
            yield "pretraining", f"{name} must be a name; got {pretraining[name]!r}"


def _broken_arguments(values: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 (anything may stand in a file)
    """The rules of size that the arguments of a pretraining break; which arguments there are, the training knows."""
    if isinstance(values, dict | list):
        if not depth or len(values) > MOST_ARGUMENTS:
            yield f"it must be nested at most {DEEPEST} deep, with at most {MOST_ARGUMENTS} values side by side"
            return
        if isinstance(values, dict):
            for name in values:
                if len(name) > LONGEST_WORD:
                    yield f"names must have at most {LONGEST_WORD} letters; {printable(repr(name))} has more"
        for value in values.values() if isinstance(values, dict) else values:
            yield from _broken_arguments(value, depth - 1)
    elif isinstance(values, str) and len(values) > LONGEST_WORD:
        yield f"words must have at most {LONGEST_WORD} letters; {printable(repr(values))} has more"
    elif isinstance(values, int | float) and not abs(values) <= LARGEST_NUMBER:
        yield f"numbers must be at most 2**32; {printable(repr(values))} is larger"


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
