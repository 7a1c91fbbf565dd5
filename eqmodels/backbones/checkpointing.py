"""Stages that are recomputed in the backward pass, without counting their statistics twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eqmodels._shapes import Float

__all__ = ["recomputed"]


def recomputed(stage: nn.Module, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
    """What the stage makes of the maps, keeping nothing for the backward pass but the maps themselves.

    Outputs, gradients and running statistics are those of the stage alone, bit for bit; the stage runs twice.
    A compiler takes no such context, and would count statistics twice: under `torch.compile` the stage runs as it is,
    and what is kept and what is computed again is the compiler's choice.
    """
    if torch.compiler.is_compiling():
        kept: Tensor = stage(maps)
        return kept
    result: Tensor = checkpoint(stage, maps, use_reentrant=False, context_fn=partial(_recomputation, stage))
    return result


def _recomputation(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of the first forward pass and of the recomputation, which must not update statistics once more."""
    return nullcontext(), _statistics_held(stage)


@contextmanager
def _statistics_held(stage: nn.Module) -> Iterator[None]:
    norms = [module for module in stage.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    counts = [count for norm in norms if (count := norm.num_batches_tracked) is not None]
    # A momentum of zero leaves the statistics as they are, bit for bit; without them the recomputation would save other
    # tensors than the first pass did, which `checkpoint` refuses. It may end early: the count is put back, not lowered.
    momenta, tracked = [norm.momentum for norm in norms], [count.clone() for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for count, before in zip(counts, tracked, strict=True):
            count.copy_(before)
