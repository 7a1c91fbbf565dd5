"""Images per second of networks side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments

__all__ = ["images_per_second"]


@torch.no_grad()
def images_per_second(
    networks: Mapping[str, nn.Module], images: Float[Tensor, "B C H W"], *, rounds: int = 7
) -> dict[str, float]:
    """Inference speed of several networks, interleaved so that all share whatever else the machine does.

    Args:
        networks: by name; put into eval mode.
        images: one batch.
        rounds: of one batch each; the median counts, after one round to warm up.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(images_per_second, locals())
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for network in networks.values():
        network.eval()
        network(images)
    for _ in range(rounds):
        for name, network in networks.items():
            started = time.perf_counter()
            network(images)
            seconds[name].append(time.perf_counter() - started)
    return {name: len(images) / median(values) for name, values in seconds.items()}
