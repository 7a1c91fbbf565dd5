"""The pose of canonical pooling in a training loop: hard pooling cannot train it, and nobody waits for its gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from eqmodels import create_model
from eqmodels.layers import pose_predictor
from eqmodels.training import Pretraining
from eqmodels.training.snapshots import snapshot
from tests.training.runs import photos, tiny

LABELS = torch.tensor([0, 1, 2, 0])


def network(mode: str):
    return create_model("c4_resnet18s_w4", num_classes=3, global_pool=mode, pose_hidden=8)


def trainable(pose: nn.Module) -> set[bool]:
    return {parameter.requires_grad for parameter in pose.parameters()}


@pytest.mark.parametrize("mode", ["canonical", "canonical-soft"])
def test_it_trains_under_data_parallelism(mode, one_process, images):
    model = network(mode)
    parallel = DistributedDataParallel(model)
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(parallel.parameters(), lr=1e-2, weight_decay=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(parallel(images), LABELS).backward()
        optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert "stem.conv.weight" in changed
    assert ("global_pool.pose.logits.weight" in changed) is (mode == "canonical-soft")


def test_every_parameter_that_learns_has_a_gradient(images):
    model = network("canonical")
    F.cross_entropy(model(images), LABELS).backward()
    without = {
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    }
    assert without == set()


def test_the_pooling_of_today_says_whether_it_learns():
    model = network("invariant")
    pose = pose_predictor("c4", 8, hidden=8)
    model.reset_classifier(3, "canonical", pose=pose)
    assert trainable(pose) == {False}
    model.reset_classifier(5)
    assert trainable(pose) == {False}
    model.reset_classifier(5, "canonical-soft")
    assert trainable(pose) == {True}
    model.reset_classifier(5, "canonical")
    assert trainable(pose) == {False}
    assert trainable(copy.deepcopy(model).global_pool.pose) == {False}


def test_a_pose_that_is_refused_stays_as_it_was():
    pose = pose_predictor("c4", 8, hidden=8)
    with pytest.raises(ValueError, match="pose is read by a canonical or a weighted pooling"):
        network("invariant").reset_classifier(3, "regular", pose=pose)
    assert trainable(pose) == {True}


def test_the_head_of_a_pretraining_learns_on_beside_the_encoder_made_of_it():
    training = Pretraining(tiny(), photos())
    head = training.model.objective.pose
    encoder = snapshot(training).encoder("canonical")
    before = copy.deepcopy(head.state_dict())
    training.network.train()
    training.step()
    assert trainable(head) == {True}
    assert not torch.equal(head.state_dict()["logits.weight"], before["logits.weight"])
    assert trainable(encoder.global_pool.pose) == {False}
