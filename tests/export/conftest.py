from __future__ import annotations

import pytest

from eqmodels.backbones.resnet import RESNET_DEPTHS


@pytest.fixture
def shallow(monkeypatch):
    """ResNets of five blocks, which are exported in less time."""
    for name, (block, _) in RESNET_DEPTHS.items():
        monkeypatch.setitem(RESNET_DEPTHS, name, (block, (2, 1, 1, 1)))
