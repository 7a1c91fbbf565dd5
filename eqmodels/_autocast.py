"""Whether autocast is on where a tensor is, and in which type it computes."""

from __future__ import annotations

import torch

__all__ = ["autocast_dtype"]


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The type in which autocast multiplies on a device; None where it is off."""
    # The device "meta", on which shapes are worked out without data, knows no autocast.
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)
