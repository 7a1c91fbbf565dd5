"""Layers of exported networks: those of the program that runs, and a fault of one is seen."""

from __future__ import annotations

import pytest
import torch

import eqmodels
from eqmodels.bench.engines import running
from eqmodels.bench.inside import INSIDE, layers_inside
from eqmodels.bench.symmetry import SQUARE
from eqmodels.groups import PlanarGroup

MIRRORED = tuple(SQUARE.describe(g) for g in SQUARE.elements if g >= 4)


@pytest.fixture(scope="module")
def network():
    return eqmodels.create_model("c4_resnet18s_w4", in_chans=1, num_classes=0, global_pool="regular").eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", INSIDE)
def test_what_shows_its_layers_computes_the_same(form, network, images):
    """Of a graph that puts out more, less is fused: what it computes must stay, in 8 bits to their rounding."""
    outputs = INSIDE[form](network, images)(images)
    expected = running(form, network, images)(images)
    # Of 8 bits it is the same but for the oldest ONNX Runtime, which rounds fused operations otherwise.
    rounding = 0.1 if form == "int8" else 1e-5
    assert float((outputs["output"] - expected).norm() / expected.norm()) < rounding
    with torch.no_grad():
        stem = network.stem(images)
    error = float((outputs["stem"] - stem).norm() / stem.norm())
    assert error < (0.1 if form == "int8" else 1e-5)
    # Rounded to 8 bits it has at most so many values.
    assert (len(outputs["stem"].unique()) <= 256) == (form == "int8")


def test_moves_that_are_not_its_own_are_errors_of_all_layers_with_a_fibre(network, images):
    found = layers_inside("exported", network, images, SQUARE, MIRRORED)
    assert min(error for error, _ in found.values()) > 1e-2
    assert {move for _, move in found.values()} <= set(MIRRORED)


def test_a_fault_is_seen_in_its_layer_and_behind_it(network, images, monkeypatch):
    exported = INSIDE["exported"](network, images)

    def faulty(given):
        found = dict(exported(given))
        for name in ("layer4", "output"):
            found[name] = found[name] + torch.arange(found[name].shape[-1])
        return found

    monkeypatch.setitem(INSIDE, "exported", lambda *_: faulty)
    group = PlanarGroup(4)
    found = layers_inside("exported", network, images, group, [group.describe(1)])
    wrong = {name for name, (error, _) in found.items() if error > 1e-3}
    assert wrong == {"layer4", "output"}
