"""The folder of a network: weights and the config that belongs to them, written together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.storage.config import CONFIG, FORMAT, MODEL_TYPE, broken_rule
from eqmodels.storage.errors import StorageError, reason_of
from eqmodels.storage.files import prepare_folder, write_together
from eqmodels.storage.limits import excess
from eqmodels.storage.weights import WEIGHTS

__all__ = ["fault_of", "write_network"]


def write_network(
    folder: Path, weights: bytes, content: Mapping[str, Any], texts: Mapping[str, str] | None = None
) -> str:
    """Writes ``model.safetensors``, ``config.json`` and other texts, all or none; returns the sha256 of the first.

    What could not be read again is not written.

    Args:
        folder: is made if need be.
        weights: as `pack_weights` gives them.
        content: of the config, but for its format and the sha256.
        texts: of more files, by their names.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if the config breaks a rule, or a file cannot be written; the folder is then as it was.
    """
    check_arguments(write_network, locals())
    sha256 = hashlib.sha256(weights).hexdigest()
    text, fault = _config_text(content, sha256)
    if fault:
        raise StorageError(
            f"{folder / CONFIG} {fault}. Nothing was written, as nobody could load it; build a network within the rule."
        )
    prepare_folder(folder)
    contents: dict[str, bytes | str] = {WEIGHTS: weights, **(texts or {}), CONFIG: text}
    write_together({folder / name: words for name, words in contents.items()})
    return sha256


def fault_of(content: Mapping[str, Any]) -> str:
    """What is wrong with a config that `write_network` would refuse, for a sentence about it; empty if nothing is.

    Args:
        content: of the config, but for its format and the sha256.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(fault_of, locals())
    return _config_text(content, hashlib.sha256().hexdigest())[1]


def _config_text(content: Mapping[str, Any], sha256: str) -> tuple[str, str]:
    """The text of a config, and what is wrong with it."""
    config = {"format": FORMAT, "model_type": MODEL_TYPE, **content, "sha256": sha256}
    try:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        return "", f"cannot hold this ({reason_of(error)})"
    rule = f"by {too_much}" if (too_much := excess(text.encode())) else broken_rule(json.loads(text))
    return text, f"would break a rule {rule}" if rule else ""
