"""The file ``config.json`` beside weights, and the schema that it must fit."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from eqmodels.storage.errors import StorageError

__all__ = ["CONFIG", "FORMAT", "check_config", "read_config"]

CONFIG = "config.json"
"""The name of the file in a folder of weights."""

FORMAT = 2
"""The version of the schema that this version of the package reads and writes."""

LARGEST = 2**26
"""Bytes of a config: a log of 100,000 epochs and a million golden features fit."""


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
        reason = str(error).replace("\n", " ")[:200]
        raise StorageError(f"{file} cannot be read ({reason}). Fetch it again.") from error
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
    if content.get("format") != FORMAT or isinstance(content["format"], bool):
        written = repr(content.get("format"))[:40]
        raise StorageError(
            f"{name} is of format {written}, and this version of eqmodels reads format {FORMAT}. Update eqmodels, or "
            "fetch the weights again."
        )
    if fault := best_match(_validator().iter_errors(content)):
        place = "".join(f"[{part!r}]" for part in fault.absolute_path) or "its top level"
        rule = fault.message.replace("\n", " ")
        if len(rule) > 200:
            rule = f"{rule[:100]} ... {rule[-90:]}"
        raise StorageError(f"{name} breaks a rule at {place}: {rule}. Nothing was built; fetch it again.")
    if not all(map(math.isfinite, content["golden"]["features"])):
        raise StorageError(f"{name} breaks a rule at ['golden']: features must be finite. Fetch it again.")
    return content


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
