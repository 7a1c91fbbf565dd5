"""What an adapted network notes of the one that it was made of, and tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eqmodels.errors import shown
from eqmodels.storage import for_markdown

__all__ = ["WITHOUT_IMAGES", "made_of", "note_original"]

WITHOUT_IMAGES = "Pass the size=, mean= and std= of its training when you adapt it, or set its attribute preprocessing."
"""The way out where a network of others does not say what its images go through."""

_SHA256 = re.compile("[0-9a-f]{64}")


def note_original(structure: dict[str, Any], original: Mapping[str, str] | None) -> None:
    """Notes where a network's weights are from; a structure in which nobody has said it has no such entry.

    Raises:
        TypeError: if it is no object of words.
        ValueError: if it does not say the weights and their sha256, or a word of it cannot be printed.
    """
    structure.pop("original", None)
    if original is None:
        return
    if not isinstance(original, Mapping) or not all(isinstance(word, str) for word in original.values()):
        raise TypeError(f"original must be words by name; got {shown(original)}. Pass what Original.record says.")
    if odd := [word for word in original.values() if not word.isprintable()]:
        raise ValueError(f"original must be of printable words; got {shown(odd[0])}. Pass what Original.record says.")
    if not {"weights", "sha256"} <= original.keys() or not _SHA256.fullmatch(original["sha256"]):
        raise ValueError(
            f"original must say the weights and their sha256, 64 hexadecimal digits; got {shown(dict(original))}. Pass "
            "what Original.record says."
        )
    structure["original"] = dict(original)


def made_of(structure: Mapping[str, Any], named: str = "source") -> str:
    """What a network was made of, in words: its name, and its weights where that is known.

    Args:
        structure: of the network.
        named: the argument that holds the name.
    """
    name = structure[named] or "A network of one's own"
    known = structure.get("original")
    return f"{name} (weights: {for_markdown(known['weights'])}, sha256 {known['sha256'][:12]})" if known else str(name)
