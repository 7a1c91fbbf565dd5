"""The config of a network's folder, of whatever format it is, in the words of today.

Format 2 named networks otherwise: ``resnet18`` had the small stem, which stood beside the name; its group is the first
part of the name. Format 3 says name, group and fields itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eqmodels.backbones.names import current_name
from eqmodels.storage import NetworkFolder, read_config

__all__ = ["LEFT_OUT", "command_to_complete", "left_out_of", "network_config", "read_network_config"]

LEFT_OUT = "left_out"
"""Where the config of an adapted network says how the names of others' tensors begin, if its file lacks these."""


def read_network_config(file: Path) -> dict[str, Any]:
    """The content of a ``config.json``, checked, with the names of today.

    Of format 2 the name and the group are translated; ``map_field`` and ``out_field`` are missing, since that format
    did not say what channels mean.

    Args:
        file: of format 2 or 3.

    Raises:
        StorageError: if the file cannot be read, is of another format or breaks a rule; names the rule.
    """
    return _of_today(read_config(file))


def network_config(folder: NetworkFolder) -> dict[str, Any]:
    """The same of a folder that is held, read once.

    Raises:
        StorageError: as `read_network_config`.
    """
    return folder.once("config of today", lambda: _of_today(folder.config()))


def left_out_of(arguments: Mapping[str, Any]) -> dict[str, str] | None:
    """What a config notes of weights of others that are not in the file; None if all are.

    Args:
        arguments: its ``model_args``.
    """
    noted = arguments.get("original")
    return dict(noted) if isinstance(noted, Mapping) and LEFT_OUT in noted else None


def command_to_complete(noted: Mapping[str, str], folder: object, out: str) -> str:
    """The command that puts such weights in: of a file, or of a network that nobody fetches, it names the file.

    Args:
        noted: as `left_out_of` gives it.
        folder: that lacks them.
        out: where to.
    """
    file = "file_sha256" in noted or not str(noted.get("source")).startswith("timm:")
    return f"eqmodels adapt {folder} --method complete{' --weights FILE' if file else ''} --out {out}"


def _of_today(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the names of today."""
    if content["format"] != 2:
        return content
    arguments = dict(content["model_args"])
    stem = arguments.pop("stem", None) if "wide_" not in content["architecture"] else None
    name = current_name(content["architecture"], stem=stem)
    first = name.partition("_")[0]
    group = first if first[:1] in ("c", "d") and first[1:].isdecimal() else "c1"
    return {**content, "architecture": name, "group": group, "model_args": arguments}
