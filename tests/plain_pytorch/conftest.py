"""A small model of each family."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import distributed

from eqmodels import Backbone, create_model
from eqmodels.backbones.resnet import RESNET_DEPTHS

FAMILIES = {
    "basic": ("c4_resnet18s_w8", {}),
    "bottleneck": ("d4_resnet50_w8", {}),
    "layer_norm": ("c4_resnet18s_w8", {"norm": "layer", "global_pool": "invariant+regular"}),
    "wide": ("c4_wide_resnet16_8_w8", {"dropout": 0.1}),
    "restricted": ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1")}),
    "canonical": ("d4_resnet18s_w8", {"global_pool": "canonical-soft"}),
    "standard": ("resnet18s_w8", {}),
}


@pytest.fixture
def shallow(monkeypatch) -> None:
    """ResNets of five blocks: what is tested of a block does not need it sixteen times."""
    for name, (block, _) in RESNET_DEPTHS.items():
        monkeypatch.setitem(RESNET_DEPTHS, name, (block, (2, 1, 1, 1)))


@pytest.fixture(params=FAMILIES)
def model(request, randomised, shallow) -> Backbone:
    """The network in train mode, three classes, its statistics randomised."""
    name, options = FAMILIES[request.param]
    return randomised(create_model(name, num_classes=3, **options))


@pytest.fixture
def images() -> torch.Tensor:
    """A batch that every family takes."""
    return torch.randn(4, 3, 16, 20)


@pytest.fixture
def one_process() -> Iterator[None]:
    """A group of this process alone, in which gradients are reduced as in any other."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()
