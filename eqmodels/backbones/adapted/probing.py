"""What a network of others puts out, found by asking it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from eqmodels.backbones.adapted.outputs import maps_of

__all__ = ["answer_of"]


@torch.no_grad()
def answer_of(network: Callable[[Tensor], object], in_chans: int, size: tuple[int, int]) -> tuple[int, int]:
    """The number of a network's features, and how many times its maps are smaller than its images.

    Args:
        network: a module, which is asked in eval mode and left as it is, or a function.
        in_chans: channels of the images.
        size: height and width of the images.

    Raises:
        TypeError: if it returns no tensor.
        ValueError: if it does not run on such images, or returns another shape than that of vectors or maps.
    """
    tensors = [*network.parameters(), *network.buffers()] if isinstance(network, nn.Module) else []
    first = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
    images = torch.zeros(2, in_chans, *size, dtype=first.dtype, device=first.device)
    with _evaluated(network):
        try:
            output = network(images)
        except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ValueError(
                f"network must run on images of the shape {tuple(images.shape)}; it failed ({reason}). Pass size= and "
                "in_chans= of the images that it takes."
            ) from error
    maps = maps_of(output, len(images))
    return maps.shape[1], max(round(size[0] / maps.shape[-2]), 1)


@contextmanager
def _evaluated(network: object) -> Iterator[None]:
    """A context in which all modules of a network are in eval mode."""
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
