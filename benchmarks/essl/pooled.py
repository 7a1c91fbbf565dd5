"""An ablation: torchvision's ResNet with the downsampling of the equivariant ones."""

from __future__ import annotations

from torch import nn

from eqmodels.backbones import Backbone
from eqmodels.layers import ExactDownsample2d

__all__ = ["pool_instead_of_striding"]


def pool_instead_of_striding(network: Backbone) -> None:
    """Pools before every block of a standard ResNet-18 that halves the map, and lets its convolutions have stride 1.

    In place; weights, parameters and FLOPs stay as they are.
    """
    for name in ("layer2", "layer3", "layer4"):
        stage = network.get_submodule(name)
        block = stage.get_submodule("0")
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
        stage.add_module("0", nn.Sequential(ExactDownsample2d(), block))
