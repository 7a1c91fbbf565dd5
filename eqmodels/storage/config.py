"""The file ``config.json`` beside weights, and the schema that it must fit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.storage.errors import StorageError, printable, reason_of
from eqmodels.storage.limits import LARGEST, abridged, excess, overlong
from eqmodels.storage.regular import read_regular

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "FORMAT",
    "FORMATS",
    "GOLDEN_SIDE",
    "LARGEST_NUMBER",
    "MODEL_TYPE",
    "PREVIOUS_CHECKPOINT",
    "broken_rule",
    "check_config",
    "read_config",
]

CONFIG = "config.json"
"""The name of the file in a folder of weights."""

CHECKPOINT = "checkpoint.pt"
"""The name of the file in the folder of a run that is not done."""

PREVIOUS_CHECKPOINT = "checkpoint.previous.pt"
"""The name of the checkpoint before the last one, beside it."""

FORMAT = 3
"""The version of the schema that this version of the package writes."""

MODEL_TYPE = "eqmodels"
"""What transformers knows our files by; a file that does not say it is as good."""

FORMATS = (2, 3)
"""The versions that it reads."""

LARGEST_FLOAT32 = 3.4e38
LONGEST_WORD, LARGEST_NUMBER, LARGEST_OPTION, DEEPEST, LONGEST_LIST = 200, 2**32, 1_000_000, 5, 1000
"""Of the options of a network and of a pretraining: letters of a word, numbers of a pretraining, numbers among the
options of a network, objects and lists inside each other, and entries of each."""

GOLDEN_SIDE = 64
"""The largest side of the image whose features are stored, so that nobody has to compute those of a huge one."""


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((files("eqmodels.storage") / "config.schema.json").read_text("utf-8")))


def read_config(file: Path) -> dict[str, Any]:
    """The content of a config that fits the schema.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if the file cannot be read, is no JSON, is of another format or breaks a rule; names the rule.
    """
    check_arguments(read_config, locals())
    try:
        text = read_regular(file, LARGEST)
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    return parse_config(text, file)


def parse_config(text: bytes, file: Path) -> dict[str, Any]:
    """The content of a config that fits the schema, from its bytes.

    Args:
        text: of the file.
        file: its path, for the sentence.

    Raises:
        StorageError: if it is no JSON, is of another format or breaks a rule; names the rule.
    """
    try:
        if too_much := excess(text):
            raise ValueError(too_much)
        content = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Fetch it again.") from error
    return check_config(content, str(file))


def check_config(content: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 (anything may stand in a file)
    """The content itself, if it fits the schema.

    Args:
        content: what was read.
        name: of the file, for the sentence.

    Raises:
        TypeError: if the name is no string.
        StorageError: if it does not; names the place and the rule.
    """
    check_arguments(check_config, {"name": name})
    if not isinstance(content, dict):
        raise StorageError(f"{name} holds no object but a {type(content).__name__}. Fetch it again.")
    if "format" not in content:
        raise StorageError(f"{name} is no config of eqmodels, which has a format{_of_another_library(content)}.")
    if type(content["format"]) is not int or content["format"] not in FORMATS:
        written = shown(content["format"])[:40]
        raise StorageError(
            f"{name} is of format {written}, and this version of eqmodels reads the formats "
            f"{' and '.join(map(str, FORMATS))}. Update eqmodels, or fetch the weights again."
        )
    if rule := broken_rule(content):
        raise StorageError(f"{name} breaks a rule {rule}. Nothing was built; fetch it again.")
    return content


def broken_rule(content: Mapping[str, Any]) -> str:
    """The place in a config and the rule that it breaks there; empty if it breaks none.

    What is long is measured before the schema is asked, which would look at every entry.
    """
    if rule := overlong(content):
        return rule
    short, rule = abridged(content)
    if rule:
        return rule
    try:
        fault = best_match(_validator().iter_errors(short))
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
    numbers = {name: golden[name] for name in ("features", "pooled", "pose") if name in golden} | golden.get(
        "heads", {}
    )
    for name, values in numbers.items():
        # A few passes in C; a NaN, which no comparison finds, makes the sum one.
        if not (min(values) >= -LARGEST_FLOAT32 and max(values) <= LARGEST_FLOAT32) or math.isnan(sum(values)):
            yield "golden", f"{name} must be finite in float32"
    sides = [min(side, GOLDEN_SIDE) for side in (preprocessing or {"size": [32, 32]})["size"]]
    if any(found > side for found, side in zip(golden["size"], sides, strict=True)):
        yield "golden", f"the size must be at most {sides}, that of the preprocessing; got {golden['size']}"
    for place, largest in (("model_args", LARGEST_OPTION), ("pretraining", LARGEST_NUMBER)):
        if rule := _beyond(content.get(place, {}), largest, DEEPEST):
            yield place, rule


def _beyond(value: Any, largest: int, depth: int) -> str:  # noqa: ANN401
    """The rule that a value of JSON breaks, if it is larger than any option needs to be; empty if it breaks none."""
    if isinstance(value, dict | list):
        if depth == 0:
            return f"objects and lists must lie at most {DEEPEST} deep in each other"
        if len(value) > LONGEST_LIST:
            return f"objects and lists must have at most {LONGEST_LIST} entries; one has {len(value)}"
        entries = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, (_beyond(entry, largest, depth - 1) for entry in entries)), "")
    if isinstance(value, str) and len(value) > LONGEST_WORD:
        return f"words must have at most {LONGEST_WORD} letters; {printable(repr(value))} has more"
    if isinstance(value, int | float) and not abs(value) <= largest:
        return f"numbers must be at most {largest}; {printable(repr(value))} is larger"
    return ""


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
