"""Where weights come from."""

from __future__ import annotations

import platform
from typing import Any

import torch

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.data.source import skipped_of
from eqmodels.experiments import processor

__all__ = ["provenance"]


def provenance(data: Source, seconds: float, processes: int, precision: str) -> dict[str, Any]:
    """Where weights come from: data, versions, machine, duration, and what it was computed in.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(provenance, locals())
    of_data: dict[str, Any] = {
        "name": data.name,
        "images": len(data),
        "channels": data.channels,
        "classes": list(data.classes),
    }
    if skipped := skipped_of(data):
        of_data["skipped"] = len(skipped)
    return {
        "data": of_data,
        "seconds": round(seconds, 1),
        "processes": processes,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "machine": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
