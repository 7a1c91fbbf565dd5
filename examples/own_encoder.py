"""A function, or somebody else's network, as an encoder: ``eqmodels.evaluation.evaluate`` takes it as it takes ours."""

import torch
import torchvision
from torch import Tensor

from eqmodels import Encoder
from eqmodels.backbones import as_encoder


def brightest_of_turns(images: Tensor) -> Tensor:
    """The brightest value that the four quarter turns bring to each place of a grid of 4 x 4: no turn changes it."""
    turns = torch.stack([images.rot90(k, (-2, -1)) for k in range(4)])
    return torch.nn.functional.adaptive_avg_pool2d(turns.amax(0), 4).flatten(1)


def own_function(channels: int = 1, size: int = 28) -> Encoder:
    """The function as an encoder, of whose features the field says that they do not change."""
    field = f"{16 * channels} x scalar"
    return as_encoder(
        brightest_of_turns, in_chans=channels, size=size, mean=[0.5] * channels, std=[0.5] * channels, out_field=field
    )


def torchvision_resnet18(weights: str | None = None) -> Encoder:
    """A ResNet-18 of torchvision without its classifier, with the normalisation that its weights were trained with."""
    network = torchvision.models.resnet18(weights=weights)
    network.fc = torch.nn.Identity()
    return as_encoder(network, in_chans=3, size=224, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
