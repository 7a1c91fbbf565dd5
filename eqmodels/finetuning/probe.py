"""A classifier on frozen features: where fine-tuning begins.

A linear classifier that fits the features keeps the first steps of all layers from spoiling them.

Source: Kumar et al. 2022, arXiv 2202.10054 (linear probing, then fine-tuning).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.backbones.network import StagedNetwork
from eqmodels.measures.linear_probe import LinearProbe, fit_linear_probe

__all__ = ["fitted_classifier"]

UNSEEN = 10.0
"""By how many nats the score of a class without any training image lies below the lowest bias."""


def fitted_classifier(
    network: StagedNetwork, features: Float[Tensor, "N F"], labels: Int[Tensor, " N"], num_classes: int
) -> LinearProbe:
    """Puts the linear probe of features into the network, as its `fc`, and returns it.

    Args:
        network: whose pooled features they are; gets a new `fc`.
        features: of the training images.
        labels: their classes, at least two different ones.
        num_classes: outputs of `fc`; those of classes without training images stay below the others.
    """
    present, renumbered = labels.unique(return_inverse=True)
    probe = fit_linear_probe(features, renumbered, num_classes=len(present), validation_fraction=0.2)
    # scores = ((x - mean) / scale) W' + b = x (W / scale)' + (b - (mean / scale) W')
    weight = probe.weight.double() / probe.scale
    bias = probe.bias.double() - weight @ probe.mean
    network.reset_classifier(num_classes)
    fc = network.fc
    assert isinstance(fc, nn.Linear)
    with torch.no_grad():
        fc.weight.zero_()
        fc.bias.fill_(float(bias.min()) - UNSEEN)
        fc.weight[present] = weight.to(fc.weight)
        fc.bias[present] = bias.to(fc.bias)
    return probe
