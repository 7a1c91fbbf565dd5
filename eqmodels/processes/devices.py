"""Where and in which numbers is computed."""

from __future__ import annotations

import torch

from eqmodels.arguments import check_arguments
from eqmodels.storage import printable

__all__ = ["usable_device", "usable_precision"]


def usable_device(device: str | torch.device | None = None) -> torch.device:
    """The device, once a tensor has been put there.

    Args:
        device: None for a GPU if there is one, else the CPU.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no such device.
    """
    check_arguments(usable_device, locals())
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = printable(str(error).split("\n", maxsplit=1)[0])
        raise ValueError(
            f"device must be one that PyTorch can use here; got {printable(str(device))} ({reason}). Use 'cpu'."
        ) from error


def usable_precision(precision: str, device: torch.device) -> str:
    """``"bfloat16"`` or ``"float32"``: what is meant by a precision on a device.

    A GPU is asked, and so is a processor (AVX512-BF16 or AMX; without, a step of ``c4_resnet18s_w16`` took ten times as
    long as in float32). Other devices compute in float32.

    Args:
        precision: these two words mean themselves, and ``"auto"`` what the device multiplies natively.
        device: to compute on.
    """
    if precision != "auto":
        return precision
    native = False
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        # Private, and so possibly absent: then the slower answer is the safe one.
        asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        native = any(ask() for ask in asked if ask is not None)
    return "bfloat16" if native else "float32"
