"""Networks of the modules of e2cnn, escnn's predecessor, without it: the networks that escnn's are tested with."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch
from torch import nn

from eqmodels.backbones import from_escnn
from tests.reference.test_escnn import distance, randomise_norms
from tests.reference.test_plain_of_escnn import fields, network, sequential

pytestmark = pytest.mark.escnn


@pytest.fixture(scope="module")
def e2cnn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own escape sequences, where it is compiled
        import e2cnn.nn
    return e2cnn


def build(e2cnn, kind):
    """One of the networks of escnn's tests, with other biases and statistics than those of a fresh network."""
    torch.manual_seed(0)
    if kind == "network":
        theirs = network(e2cnn.nn, e2cnn.gspaces.FlipRot2dOnR2(4))
    else:
        theirs = sequential(e2cnn.nn, e2cnn.gspaces.Rot2dOnR2(3))
    randomise_norms(theirs)
    for layer in theirs.modules():
        if isinstance(layer, e2cnn.nn.R2Conv) and layer.bias is not None:
            nn.init.normal_(layer.bias)
    return theirs


@pytest.mark.parametrize(("kind", "channels", "size"), [("sequential", 3, 17), ("network", 1, 12)])
def test_it_computes_the_same_with_neither_package(e2cnn, monkeypatch, kind, channels, size):
    monkeypatch.setitem(sys.modules, "escnn", None)  # as if it were not installed
    enn, theirs, images = e2cnn.nn, build(e2cnn, kind), torch.randn(2, channels, size, size)
    for mode in ("train", "eval"):
        theirs.train(mode == "train")
        for module in theirs.modules():
            if isinstance(module, enn.FieldDropout | enn.PointwiseDropout):
                module.eval()  # draws are others
        plain = from_escnn(theirs)
        assert not any(type(part).__module__.startswith("e2cnn") for part in plain.modules())
        with torch.no_grad():
            expected = theirs(enn.GeometricTensor(images, theirs.in_type) if kind == "sequential" else images)
            assert distance(plain(images), getattr(expected, "tensor", expected)) < 1e-5


def test_what_is_not_covered_is_named_and_a_mixture_of_both_packages_refused(e2cnn):
    enn, space = e2cnn.nn, e2cnn.gspaces.Rot2dOnR2(4)
    kind = fields(enn, space, 0, 2)
    odd = enn.SequentialModule(enn.R2Conv(kind, kind, 3), enn.NormMaxPool(kind, 2))
    with pytest.raises(ValueError, match=r"PointwiseMaxPool, .*not covered: 1: NormMaxPool\. Convert"):
        from_escnn(odd)
    of_escnn = type("ReLU", (nn.Module,), {"__module__": "escnn.nn.modules.nonlinearities.relu"})
    with pytest.raises(ValueError, match="modules of one package; got some of escnn and some of e2cnn"):
        from_escnn(nn.Sequential(enn.ReLU(kind), of_escnn()))
