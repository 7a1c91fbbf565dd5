"""The networks that are compared, of equal FLOPs: two U-Nets of this package, and one of others around a ResNet-18.

Their encoders are of one width and were pretrained alike: by distillation of one teacher, on the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.segmentation.scenes import CLASSES, SIDE
from eqmodels import create_model

__all__ = ["NETWORKS", "OUTPUTS", "cost"]

OUTPUTS = len(CLASSES) + 1


def _ours(encoder: str) -> nn.Module:
    return create_model("unet", encoder=encoder, width=8, num_classes=OUTPUTS)


def _theirs() -> nn.Module:
    """The U-Net of segmentation_models_pytorch around the standard twin, its decoder narrow enough to cost as ours."""
    import segmentation_models_pytorch as smp

    import eqmodels.timm  # noqa: F401 (its names are timm's from here on)

    network: nn.Module = smp.Unet(
        "tu-resnet18_w32.distil_lite0",
        encoder_weights="imagenet",
        classes=OUTPUTS,
        decoder_channels=(136, 68, 34, 17, 8),
    )
    return network


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], bool]] = {
    "C4 U-Net": (lambda: _ours("c4_resnet18_w32.distil_lite0"), False),
    "D4 U-Net": (lambda: _ours("d4_resnet18_w32.distil_lite0"), False),
    "smp U-Net": (_theirs, False),
    "smp U-Net, turned in training": (_theirs, True),
}
"""What builds each, and whether it is trained on pictures turned by quarters and mirrored."""


def cost(network: nn.Module) -> dict[str, float]:
    """Multiplications and additions for one picture, in millions, and parameters, in millions."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, SIDE, SIDE))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"MFLOPs": counter.get_total_flops() / 1e6, "parameters": parameters / 1e6}
