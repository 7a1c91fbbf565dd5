"""The folder of a network: weights and the config that belongs to them, written together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eqmodels.storage.config import CONFIG, FORMAT, broken_rule
from eqmodels.storage.errors import StorageError, reason_of
from eqmodels.storage.files import prepare_folder, write_together
from eqmodels.storage.weights import WEIGHTS

__all__ = ["write_network"]


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
        StorageError: if the config breaks a rule, or a file cannot be written; the folder is then as it was.
    """
    sha256 = hashlib.sha256(weights).hexdigest()
    config = {"format": FORMAT, **content, "sha256": sha256}
    try:
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise StorageError(f"{folder / CONFIG} cannot hold this ({reason_of(error)}). Nothing was written.") from error
    if rule := broken_rule(json.loads(text)):
        raise StorageError(
            f"{folder / CONFIG} would break a rule {rule}. Nothing was written, as nobody could load it; build a "
            "network within the rule."
        )
    prepare_folder(folder)
    contents: dict[str, bytes | str] = {WEIGHTS: weights, **(texts or {}), CONFIG: text}
    write_together({folder / name: words for name, words in contents.items()})
    return sha256
