"""Twenty steps of six recipes give the weights that they gave before objectives were modules of their own.

On one machine the two were compared bit for bit; what is stored holds on any machine, within rounding that twenty steps
grow: with dropout in heads this small it grew to a tenth from one processor to another, so no recipe has it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from eqmodels.training import PretrainConfig, Pretraining
from tests.training.runs import TINY, photos

STORED = Path(__file__).parent / "stored_weights.json"
RECIPES = {
    "equivariant": {"augment": "simclr"},
    "mlp": {"model": "resnet18s_w8", "head": "mlp", "channels_last": False},
    "class": {"head": "mlp", "class_weight": -9.0, "class_hidden": 8, "clip_norm": 0.5},
    "jigsaw": {"model": "c1_resnet18s_w4", "task": "jigsaw", "head": "mlp", "to_rgb": True},
    "several": {"task": "horizontal_flip+blur", "preset": "paper", "head": "linear", "augment": "none"},
    "dihedral": {
        "model": "d4_resnet18s_w16",
        "task": "dihedral",
        "augment": "none",
        "norm": "layer",
        "optimiser": "adamw",
        "learning_rate": 1e-3,
        "schedule": "multistep",
        "accumulate": 2,
    },
}


def trained(values) -> dict[str, torch.Tensor]:
    """The weights after twenty steps, on one thread."""
    config, threads = PretrainConfig.of(**{**TINY, "epochs": 4, **values}), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = Pretraining(config, photos())
        for _ in range(4):
            run.epoch()
    finally:
        torch.set_num_threads(threads)
    return run.model.state_dict()


def summary(state) -> dict[str, list[float]]:
    """Of every tensor of more than one number: its norm, and its product with numbers that fall from 1 to 0."""
    found = {}
    for name, value in state.items():
        flat = value.double().flatten()
        if len(flat) > 1:
            ramp = torch.linspace(1, 0, len(flat), dtype=torch.float64)
            found[name] = [float(f"{float(number):.6g}") for number in (flat.norm(), flat @ ramp / ramp.norm())]
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_twenty_steps_give_the_stored_weights(name):
    stored, found = json.loads(STORED.read_text())[name], summary(trained(RECIPES[name]))
    assert set(found) == set(stored)
    for tensor, (norm, product) in stored.items():
        # Where a gradient is rounding alone, a step of AdamW is as long as any: short tensors move like long ones.
        assert found[tensor] == pytest.approx([norm, product], abs=2e-3 * max(norm, 0.5)), tensor
