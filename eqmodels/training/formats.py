"""Configs as files have them: the nested format of today, and the flat one of before, which is read.

Format 1 was flat and had no ``format``: the names of all values side by side, those of the one objective that there was
among them. In it ``resnet18`` (34, 50) meant the network with the small stem, which is called ``resnet18s`` today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eqmodels.backbones.names import current_name
from eqmodels.errors import nearest_names

__all__ = ["FORMAT", "PARTS", "nested", "unknown_key"]

FORMAT = 2
"""Of the configs that are written."""

PARTS = ("model", "data", "objective", "optimisation", "run")
"""Of a config, in the order in which they are written."""

_EXAMPLES = {
    "model": '{"name": "c4_resnet18s_w16"}',
    "data": '{"name": "fashion_mnist_mini"}',
    "objective": '{"name": "prediction"}',
    "optimisation": '{"epochs": 15}',
    "run": '{"seed": 0}',
}
"""What each part may be, for the sentence about one that is no object."""

_OPTIONS: dict[str, tuple[str, ...]] = {
    "model": ("norm",),
    "data": ("size",),
    "objective": (
        "task",
        "preset",
        "head",
        "head_hidden",
        "head_dropout",
        "turn",
        "class_weight",
        "class_hidden",
        "augment",
    ),
}
"""Of format 1, the names that are options of a part today."""

_FIELDS: dict[str, tuple[str, ...]] = {
    "data": ("limit", "coloured", "to_rgb"),
    "optimisation": (
        "epochs",
        "batch_size",
        "accumulate",
        "optimiser",
        "learning_rate",
        "final_learning_rate",
        "schedule",
        "warmup_epochs",
        "weight_decay",
        "clip_norm",
    ),
    "run": ("precision", "channels_last", "compile", "seed"),
}
"""Of format 1, the names that are fields of a part today."""

_OLD_DEFAULTS = {"model": "c4_resnet18_w16", "data": "fashion_mnist_mini"}


def nested(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of a config as a file has it, of either format, as they are given: no value is checked.

    Raises:
        ValueError: if the format is another, or a name is unknown.
        TypeError: if the config, or a part of it, is no object of names and values.
    """
    if not isinstance(content, Mapping):
        raise TypeError(
            f"a pretraining config must be an object of names and values; got {str(content)[:80]!r} "
            f"({type(content).__name__}). Pass what json.loads makes of the file, for instance {{'epochs': 5}}."
        )
    if "format" not in content:
        return _of_flat(content)
    found = content["format"]
    if found != FORMAT or isinstance(found, bool):
        is_number = isinstance(found, int) and not isinstance(found, bool)
        shown = str(found)[:40] if is_number else f"{str(found)[:40]!r} ({type(found).__name__})"
        way_out = "Update eqmodels" if is_number else f"Write the number, {FORMAT}"
        raise ValueError(
            f"a pretraining config is of format 1 (flat) or {FORMAT}; got {shown}. {way_out}, or leave format out of "
            "a flat one."
        )
    if unknown := sorted(set(content) - {"format", *PARTS}, key=str):
        raise ValueError(unknown_key("a pretraining config", unknown[0], PARTS))
    return {part: _part(part, content.get(part, {})) for part in PARTS}


def unknown_key(whole: str, name: object, known: Sequence[str]) -> str:
    """The sentence about a name that a config, or a part of one, does not have."""
    nearest = nearest_names(str(name), known, 1)
    way_out = f"Use {nearest[0]!r}, or drop it." if nearest else "Drop it."
    return f"{whole} has no {str(name)[:60]!r}; it has {', '.join(known)}. {way_out}"


def _part(part: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 (anything may stand in a file)
    """The values of a part, its options among them if it has any."""
    options = value.get("options", {}) if isinstance(value, Mapping) else {}
    example = _EXAMPLES[part]
    for what, values, words in (
        (part, value, f"Write, for instance, {example}."),
        (f"the options of {part}", options, "Leave them out for the defaults."),
    ):
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise TypeError(
                f"{what} of a pretraining config must be an object of names and values; got {str(values)[:80]!r}. "
                f"{words}"
            )
    return dict(value) if part == "run" else {**value, "options": dict(options)}


def _of_flat(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of a config of format 1."""
    known = {"model", "data", *(name for names in (*_OPTIONS.values(), *_FIELDS.values()) for name in names)}
    if unknown := sorted(set(content) - known, key=str):
        raise ValueError(unknown_key("a pretraining config", unknown[0], sorted(known)))
    parts: dict[str, dict[str, Any]] = {part: {"options": {}} if part != "run" else {} for part in PARTS}
    name = content.get("model", _OLD_DEFAULTS["model"])
    parts["model"]["name"] = current_name(name) if isinstance(name, str) else name
    parts["data"]["name"] = content.get("data", _OLD_DEFAULTS["data"])
    for part, names in _FIELDS.items():
        parts[part] |= {name: content[name] for name in names if name in content}
    for part, names in _OPTIONS.items():
        parts[part]["options"] = {name: content[name] for name in names if name in content}
    # What standard networks do not have at all, and what had no meaning where it was None.
    if parts["model"]["options"].get("norm") == "batch":
        del parts["model"]["options"]["norm"]
    if parts["data"]["options"].get("size", 0) is None:
        del parts["data"]["options"]["size"]
    return parts
