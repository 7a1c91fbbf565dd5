"""Results that were written before they had a format: read as what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from eqmodels.backbones.names import current_name
from eqmodels.evaluation.orbits import Motion, View

__all__ = ["FORMAT", "modern_content"]

FORMAT = 2
"""The number of the format that results are written in."""

_ELEMENT = re.compile(r"(?P<flip>flip, then )?(?P<degrees>[0-9.]+)°")
_GROUP = re.compile(r"([cd]\d+)_")


def modern_content(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Results in the format of today, whichever they were written in.

    Those without a format call networks by their names of before, and views without saying which are seen through a
    circle: elements that do not permute pixels, and all angles. Their group is that of the test, which is C4 for a
    network without one.

    Raises:
        ValueError: if the format is unknown.
        KeyError: if something is missing.
    """
    if (number := content.get("format", 1)) == FORMAT:
        return content
    if number != 1:
        raise ValueError(
            f"results of format {number!r} are of a later version of eqmodels, which reads up to {FORMAT}. Update it."
        )
    modern = {name: value for name, value in content.items() if name not in ("format", "features")}
    modern |= {
        "format": FORMAT,
        "model": current_name(content["model"]),
        "group": match[1].upper() if (match := _GROUP.match(content["model"])) else "C1",
        "kinds": [_kind(entry) for entry in content["features"]],
        "equivariance_error": _by_view(content["equivariance_error"]),
        "circular_probes": False,
    }
    if isinstance(config := content.get("config"), Mapping) and isinstance(config.get("model"), str):
        modern["config"] = {**config, "model": current_name(config["model"])}
    return modern


def _kind(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One kind of features, with the views of its accuracies."""
    rest = {name: value for name, value in entry.items() if name != "features"}
    angles = {
        str(View(Motion.by_degrees(int(degrees)), circular=True)): value for degrees, value in entry["angles"].items()
    }
    return {"kind": entry["features"], **rest, "elements": _by_view(entry["elements"]), "angles": angles}


def _by_view(values: Mapping[str, float]) -> dict[str, float]:
    """Values by view that were by element: those that do not permute pixels were seen through a circle."""
    found = {}
    for element, value in values.items():
        if (match := _ELEMENT.fullmatch(element)) is None:
            raise ValueError(f"an element is written as '90°' or 'flip, then 90°'; got {element!r}. Measure anew.")
        found[element if float(match["degrees"]) % 90 == 0 else f"{element} in a circle"] = value
    return found
