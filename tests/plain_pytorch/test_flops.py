"""Counters of operations see what is computed: in train and in eval mode, as it is and as stock layers."""

from __future__ import annotations

import pytest
import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from eqmodels import create_model
from eqmodels.export import to_plain

SHAPE = (2, 3, 12, 20)


def counted(network, mode):
    network.train(mode == "train")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.randn(SHAPE))
    return counter.get_total_flops()


def multiply_adds(plain):
    """Of dense convolutions and linear layers, by their shapes: ``B H' W' out in k k`` each."""
    found = []

    def note(layer, inputs, output):
        found.append(output.shape[0] * output[0, 0].numel() * layer.weight.numel())

    layers = [layer for layer in plain.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        plain(torch.randn(SHAPE))
    for handle in handles:
        handle.remove()
    return sum(found)


@pytest.mark.parametrize(
    "name", ["c4_resnet18s_w8", pytest.param("d4_resnet50_w8", marks=pytest.mark.slow), "resnet18s_w8"]
)
def test_torch_counts_the_dense_convolutions_in_both_modes(name, shallow):
    model = create_model(name, num_classes=3).eval()
    expected = 2 * multiply_adds(to_plain(model, size=SHAPE[2:]))
    assert counted(to_plain(model, size=SHAPE[2:]), "eval") == expected
    assert counted(model, "eval") == counted(model, "train") == expected


def test_what_the_harmonic_basis_contracts_is_counted_too(shallow):
    """Filters are expanded at every call, nothing is kept: a product of basis functions and weights a layer."""
    model = create_model("c8_resnet18s_w8", num_classes=3).eval()
    expansions = sum(
        2 * layer.group.order * layer.kernel_size**2 * layer.weight.numel()
        for layer in model.modules()
        if getattr(layer, "_functions", None) is not None
    )
    assert expansions > 0
    expected = 2 * multiply_adds(to_plain(model, size=SHAPE[2:])) + expansions
    assert counted(model, "eval") == counted(model, "train") == expected


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_torchinfo_counts_what_is_exported(mode, shallow):
    """It multiplies a layer's own parameters by its pixels, and a steerable layer has |G| times fewer of them."""
    model = create_model("c4_resnet18s_w8", num_classes=3).eval()
    plain = to_plain(model, size=SHAPE[2:])

    def total(network):
        return torchinfo.summary(network, input_size=SHAPE, mode=mode, verbose=0).total_mult_adds

    norms = sum(layer.weight.numel() + layer.bias.numel() for layer in plain.modules() if hasattr(layer, "running_var"))
    biases = sum(len(layer.bias) for layer in plain.modules() if isinstance(layer, nn.Linear))
    assert total(plain) == multiply_adds(plain) + SHAPE[0] * (norms + biases)
    assert total(model) < total(plain) / 3, "if torchinfo sees it by itself, say so in the docs"
