"""Batch statistics of several processes: those of one that computes the whole batch, on CPUs too.

PyTorch's `SyncBatchNorm` does the same on GPUs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from eqmodels.processes.world import World

__all__ = ["SharedBatchNorm", "shared_statistics"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def shared_statistics(model: nn.Module, world: World) -> Iterator[None]:
    """A context in which batch norms of a model take their statistics from the images of all processes.

    Their parameters and running statistics are the same tensors in the context and outside it. Norms that are not
    PyTorch's own, such as escnn's, keep the statistics of each process.

    Args:
        model: whose children are put back in the end.
        world: the processes; if it is one, nothing is changed.
    """
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm) and type(child) in NORMS and world.size > 1
    ]
    for parent, name, norm in places:
        setattr(parent, name, SharedBatchNorm(norm))
    try:
        yield
    finally:
        for parent, name, norm in places:
            norm.train(getattr(parent, name).training)
            setattr(parent, name, norm)


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation of channels ``(B, C, ...)`` whose batch is that of all processes; each may have another part.

    Args:
        norm: whose parameters and running statistics these are, the same tensors.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self._parameters.update(norm._parameters)
        self._buffers.update(norm._buffers)
        self.training = norm.training

    def _check_input_dim(self, _input: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised by the statistics of the batch of all processes (train mode) or the running ones (eval mode)."""
        if not self.training:
            return super().forward(input)
        others = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        own = input.mean(others)
        squares = (input - own.view(shape)).square().sum(others).double()
        number = squares.new_full((1,), input.numel() / input.shape[1])
        # One sum a layer, in which nothing is lost: squares are of distances from this process's own mean, and those of
        # the means are taken in float64. sum (x - mean)^2 = sum (x - own)^2 + number own^2 - number mean^2, summed.
        own = own.double()
        sums = _Sum.apply(torch.cat([number * own, squares + number * own.square(), number]))
        total, squared, count = sums.split([len(own), len(own), 1])
        count = count.detach()
        mean = total / count
        variance = (squared / count - mean.square()).clamp_min(0)
        self._follow(mean.detach(), variance.detach() * (count / (count - 1).clamp_min(1)))
        scale = torch.rsqrt(variance + self.eps)
        scaled: Tensor = (input - mean.to(input).view(shape)) * scale.to(input).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(variance.to(self.running_var), momentum)


class _Sum(torch.autograd.Function):
    """The sum over all processes: each of them follows from all, and so does each gradient."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:  # noqa: ANN401 (PyTorch's)
        return _summed(values)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 (PyTorch's)
        return _summed(gradient)


def _summed(values: Tensor) -> Tensor:
    values = values.contiguous().clone()
    distributed.all_reduce(values)
    return values
