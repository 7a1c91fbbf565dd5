"""Files of weights from elsewhere: safetensors, or what ``torch.save`` wrote, of which tensors alone are read."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.storage import StorageError, open_regular, printable, read_regular, reason_of

__all__ = ["read_state"]

INSIDE = ("state_dict", "model_state_dict", "model", "model_ema")
"""Under which names checkpoints keep the state dict beside what else a training needs."""


def read_state(file: str | Path) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU; of a checkpoint of a training, the part of it that is one. No code is run.

    Args:
        file: of safetensors, by its ending, or of ``torch.save``.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if it cannot be read, holds more than tensors and numbers, or no state dict.
    """
    check_arguments(read_state, locals())
    try:
        content = _content(Path(file))
    except Exception as error:  # damaged files make the unpickler stumble in many ways
        # PyTorch's own words are a paragraph that advises to open the file all the same.
        is_foreign = isinstance(error, pickle.UnpicklingError) and "Weights only" in str(error)
        reason = "it holds more than tensors and numbers, and could run any code" if is_foreign else reason_of(error)
        way_out = "Save its state dict alone, as safetensors." if is_foreign else "Fetch it again."
        raise StorageError(f"{printable(str(file))} cannot be read ({reason}). {way_out}") from error
    for name in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    tensors = isinstance(content, Mapping) and all(isinstance(value, Tensor) for value in content.values())
    if not tensors or not content or not all(isinstance(name, str) for name in content):
        raise StorageError(
            f"{printable(str(file))} holds no state dict, a mapping from names to tensors, also not under "
            f"{', '.join(map(repr, INSIDE))}. Save one: torch.save(model.state_dict(), file)."
        )
    return dict(content)


def _content(file: Path) -> Any:  # noqa: ANN401
    if file.suffix == ".safetensors":
        return safetensors.torch.load(read_regular(file))
    with open_regular(file) as stream:
        return torch.load(stream, map_location="cpu", weights_only=True)
