"""What a network costs, counted and not timed: the same figures on every machine."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Counted", "count_cost"]

ACTIVATIONS = ("convolution", "addmm", "mm", "bmm", "baddbmm")
"""The operations whose outputs are counted as activations, as fvcore and timm do: convolutions and products."""
LARGE = 64
"""Images of the pass whose memory is counted."""


@dataclass(frozen=True)
class Counted:
    """What one network costs.

    Attributes:
        size: height and width of the images in pixels.
        parameters: of the encoder.
        gmacs: multiply-adds of one image, in thousands of millions.
        gmacs_a_call: of one call, whatever the number of images, as the expansion of filters; none once exported.
        macts: activations of one image, in millions: the outputs of convolutions and products.
        megabytes: of weights and statistics.
        peak_megabytes: of 64 images, the most bytes of tensors that are there at once in a forward pass, the weights
            among them; what kernels need besides is not counted.
    """

    size: tuple[int, int]
    parameters: int
    gmacs: float
    gmacs_a_call: float
    macts: float
    megabytes: float
    peak_megabytes: float


class _Counter(TorchDispatchMode):
    """Counts activations, and the bytes of tensors that are alive."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.activations = 0
        self.known: set[int] = set()
        self.alive = self.peak = 0
        for tensor in (*network.parameters(), *network.buffers()):
            self._see(tensor)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (PyTorch calls it)
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Calls the operation, and looks at what it gives."""
        out = func(*args, **(kwargs or {}))
        outputs = [one for one in tree_leaves(out) if isinstance(one, Tensor)]
        if func._schema.name.removeprefix("aten::") in ACTIVATIONS and outputs:
            self.activations += outputs[0].numel()
        for one in outputs:
            self._see(one)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size


@torch.no_grad()
def count_cost(network: nn.Module, channels: int, size: tuple[int, int]) -> Counted:
    """Parameters, multiply-adds, activations and memory of an encoder as it is.

    Per image is what two images take more than one: so what a call does once is not put down to an image.

    Args:
        network: a module of images, in eval mode.
        channels: of the images.
        size: height and width of the images in pixels.
    """
    # What counts multiply-adds looks for gradients of whatever a module is given, which there are none of here.
    network = copy.deepcopy(network).requires_grad_(False)
    reference = next(network.parameters(), torch.empty(0))

    def images(count: int) -> Tensor:
        made = torch.zeros(count, channels, *size).to(reference)
        return made.contiguous(memory_format=torch.channels_last)

    flops, activations = [], []
    for count in (1, 2):
        given, counter = images(count), _Counter(network)
        with FlopCounterMode(display=False) as flop_counter:
            network(given)
        with counter:
            network(given)
        flops.append(flop_counter.get_total_flops())
        activations.append(counter.activations)
    large = images(LARGE)
    counter = _Counter(network)
    counter._see(large)
    with counter:
        network(large)
    own = {id(one): one for one in (*network.parameters(), *network.buffers())}.values()
    return Counted(
        size=size,
        parameters=sum(one.numel() for one in network.parameters()),
        # A multiplication and an addition are two operations.
        gmacs=(flops[1] - flops[0]) / 2e9,
        gmacs_a_call=(2 * flops[0] - flops[1]) / 2e9,
        macts=(activations[1] - activations[0]) / 1e6,
        megabytes=sum(one.numel() * one.element_size() for one in own) / 1e6,
        peak_megabytes=counter.peak / 1e6,
    )
