"""The ablation changes how a standard network is made smaller, and nothing else."""

from __future__ import annotations

import torch

from benchmarks.essl.pooled import pool_instead_of_striding
from eqmodels.backbones import create_model


def test_pooling_instead_of_striding_keeps_weights_and_sizes_of_maps():
    model = create_model("resnet18s_w8", in_chans=1, num_classes=0).eval()
    images = torch.rand(2, 1, 28, 28)
    before, weights = model.forward_features(images), [parameter.clone() for parameter in model.parameters()]
    pool_instead_of_striding(model)
    after = model.forward_features(images)
    assert after.shape == before.shape
    assert not torch.allclose(after, before)
    assert all(map(torch.equal, weights, model.parameters()))
