"""accelerate trains an encoder, and places weights that it loads of a file."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator, init_empty_weights, load_checkpoint_and_dispatch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from eqmodels import create_model

NAMES = {"c4_resnet18s_w4": {"global_pool": "canonical", "pose_hidden": 8}, "c8_resnet18s_w8": {}}


def test_its_loop_trains_and_saves(tmp_path):
    accelerator = Accelerator(cpu=True)
    images = TensorDataset(torch.rand(8, 3, 16, 16), torch.arange(8) % 3)
    network = create_model("c4_resnet18s_w4", num_classes=3)
    before = network.stem.conv.weight.clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    model, optimiser, loader = accelerator.prepare(network, optimiser, DataLoader(images, batch_size=4))
    for batch, labels in loader:
        optimiser.zero_grad()
        accelerator.backward(F.cross_entropy(model(batch), labels))
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    assert not torch.equal(network.stem.conv.weight, before)
    accelerator.save_state(str(tmp_path))
    after = network.stem.conv.weight.detach().clone()
    with torch.no_grad():
        network.stem.conv.weight.zero_()
    accelerator.load_state(str(tmp_path))
    assert torch.equal(network.stem.conv.weight, after)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_built_without_weights_becomes_the_network(name, tmp_path):
    network = create_model(name, num_classes=3, **NAMES[name]).eval()
    Accelerator(cpu=True).save_model(network, str(tmp_path))
    with init_empty_weights():
        empty = create_model(name, num_classes=3, **NAMES[name]).eval()
    loaded = load_checkpoint_and_dispatch(empty, str(tmp_path / "model.safetensors"), device_map={"": "cpu"})
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))
