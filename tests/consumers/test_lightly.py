"""lightly's examples, as it prints them but for the encoder: two steps each."""

from __future__ import annotations

import copy

import pytest
import torch
from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant

CHANNELS = 32


@pytest.fixture
def encoder():
    return create_model("c4_resnet18s_w4", num_classes=0, global_pool="regular")


class OneHead(nn.Module):
    """SimCLR, Barlow Twins and VICReg: a backbone and a projection."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone = backbone
        self.projection_head = head

    def forward(self, x):
        return self.projection_head(self.backbone(x).flatten(start_dim=1))


class Byol(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.projection_head = heads.BYOLProjectionHead(CHANNELS, 16, 8)
        self.prediction_head = heads.BYOLPredictionHead(8, 16, 8)
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.projection_head_momentum = copy.deepcopy(self.projection_head)
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.projection_head_momentum)

    def forward(self, x):
        return self.prediction_head(self.projection_head(self.backbone(x).flatten(start_dim=1)))

    def forward_momentum(self, x):
        return self.projection_head_momentum(self.backbone_momentum(x).flatten(start_dim=1)).detach()


ONE_HEAD = {
    "SimCLR": (lambda: heads.SimCLRProjectionHead(CHANNELS, 16, 8), NTXentLoss),
    "Barlow Twins": (lambda: heads.BarlowTwinsProjectionHead(CHANNELS, 16, 8), BarlowTwinsLoss),
    "VICReg": (lambda: heads.VICRegProjectionHead(CHANNELS, 16, 8, num_layers=2), VICRegLoss),
}


def trained(model, loss_of):
    """Two steps of SGD; the losses."""
    optimiser, losses = torch.optim.SGD(model.parameters(), lr=0.06), []
    for _ in range(2):
        loss = loss_of(torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    return torch.tensor(losses)


@pytest.mark.parametrize("name", ONE_HEAD)
def test_an_example_with_one_head(name, encoder):
    before = copy.deepcopy(encoder)
    head, criterion = (part() for part in ONE_HEAD[name])
    model = OneHead(nn.Sequential(*list(encoder.children())[:-1]), head)
    losses = trained(model, lambda x0, x1: criterion(model(x0), model(x1)))
    assert losses.isfinite().all()
    assert not torch.equal(encoder.stem.conv.weight, before.stem.conv.weight)
    assert_equivariant(encoder, size=12)


def test_the_example_of_byol_whose_teacher_follows(encoder):
    model, criterion = Byol(nn.Sequential(*list(encoder.children())[:-1])), NegativeCosineSimilarity()
    start = copy.deepcopy(model.backbone_momentum)

    def loss(x0, x1):
        momentum = cosine_schedule(0, 10, 0.9, 1)
        update_momentum(model.backbone, model.backbone_momentum, m=momentum)
        update_momentum(model.projection_head, model.projection_head_momentum, m=momentum)
        return 0.5 * (
            criterion(model(x0), model.forward_momentum(x1)) + criterion(model(x1), model.forward_momentum(x0))
        )

    assert trained(model, loss).isfinite().all()
    assert not torch.equal(model.backbone_momentum[0].conv.weight, start[0].conv.weight)
    assert_equivariant(encoder, size=12)
