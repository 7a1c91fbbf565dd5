"""What train mode does beside the layers: dropout, stochastic depth, and how norms follow their batches."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.layers.dropout import check_probability

__all__ = ["ResidualBlock", "set_norms", "set_rates"]


class ResidualBlock(nn.Module):
    """A block whose residual branch may be left out, image by image.

    Attributes:
        drop_path: what leaves it out; None for never.
    """

    def __init__(self) -> None:
        super().__init__()
        self.drop_path: nn.Module | None = None

    def kept(self, residual: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The residual branch, in train mode zero for some images and scaled for the others (Huang et al. 2016)."""
        kept: Tensor = residual if self.drop_path is None else self.drop_path(residual)
        return kept


def set_rates(network: nn.Module, drop_rate: float, drop_path_rate: float) -> tuple[float, float]:
    """Sets dropout of pooled features and of residual branches; returns both rates.

    A mask is drawn for an image, or for a field of one, and so is the same at every pixel and in every channel that an
    element of the group moves: with the masks fixed, the network is as equivariant as without.

    Args:
        network: with a `global_pool`.
        drop_rate: probability of zeroing a feature.
        drop_path_rate: probability of leaving out the last branch; of block i of n it is ``i / (n - 1)`` times as much.

    Raises:
        ValueError: if one is no probability, or there is no block.
    """
    check_probability("drop_path_rate", drop_path_rate)
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    if drop_path_rate and not blocks:
        raise ValueError(
            f"drop_path_rate leaves out residual branches, and this {type(network).__name__} has no block that knows "
            f"how; got {shown(drop_path_rate)}. Use 0, or derive blocks from ResidualBlock."
        )
    pool: Any = network.get_submodule("global_pool")
    pool.set_drop_rate(drop_rate)
    for index, block in enumerate(blocks):
        rate = drop_path_rate * index / max(len(blocks) - 1, 1)
        block.drop_path = StochasticDepth(rate, "row").train(block.training) if rate else None
    return drop_rate, drop_path_rate


def set_norms(network: nn.Module, momentum: float | None, eps: float | None) -> None:
    """Sets how batch norms follow their batches; None leaves as it is what they have.

    Raises:
        ValueError: if the momentum is no probability, or `eps` is not positive.
    """
    if momentum is not None:
        check_probability("bn_momentum", momentum)
    if eps is not None and (isinstance(eps, bool) or not isinstance(eps, int | float) or not eps > 0):
        raise ValueError(f"bn_eps must be a positive number; got {shown(eps)}. Use 1e-5.")
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = norm.momentum if momentum is None else momentum
            norm.eps = norm.eps if eps is None else eps
