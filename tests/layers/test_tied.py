"""Fields that are tied are what one field of a larger group is, read as fields of a subgroup."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels.backbones import SteerableResNet, to_escnn
from eqmodels.export import to_plain
from eqmodels.groups import PlanarGroup
from eqmodels.layers import FieldBatchNorm2d, GlobalPool, GroupPool, Restrict

PAIRS = [("c8", "c4"), ("d8", "d4"), ("d4", "c2")]
FIELDS = 3

each_pair = pytest.mark.parametrize(("group", "subgroup"), PAIRS)


def ties(group: str, subgroup: str) -> int:
    return PlanarGroup.parse(group).order // PlanarGroup.parse(subgroup).order


@each_pair
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_a_norm_of_tied_fields_is_that_of_the_larger_group(group, subgroup, training, memory):
    tied = ties(group, subgroup)
    whole, parts = FieldBatchNorm2d(group, FIELDS), FieldBatchNorm2d(subgroup, tied * FIELDS, tied=tied)
    nn.init.uniform_(whole.bn.weight, 0.5, 2)
    nn.init.normal_(whole.bn.running_mean)
    parts.load_state_dict(whole.state_dict())
    restrict = Restrict(group, subgroup)
    order = PlanarGroup.parse(group).order
    maps = torch.randn(4, order * FIELDS, 5, 4) * torch.rand(order * FIELDS, 1, 1)
    maps = maps.contiguous(memory_format=memory)
    found = parts.train(training)(restrict(maps))
    torch.testing.assert_close(found, restrict(whole.train(training)(maps)))
    for ours, theirs in zip(parts.buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


@each_pair
@pytest.mark.parametrize("mode", ["max", "mean", "norm"])
def test_tied_fields_are_pooled_together(group, subgroup, mode):
    tied, order = ties(group, subgroup), PlanarGroup.parse(group).order
    features = torch.randn(2, order * FIELDS)
    pool = GroupPool(subgroup, mode, tied=tied)
    torch.testing.assert_close(pool(Restrict(group, subgroup)(features)), GroupPool(group, mode)(features))
    assert GlobalPool(subgroup, tied=tied).num_features(order * FIELDS) == FIELDS
    assert "tied=" in repr(pool)


@pytest.mark.tracing
def test_a_network_of_tied_fields_is_exported_and_says_what_it_cannot_be():
    torch.manual_seed(0)
    network = SteerableResNet("resnet18s", "c4", width=8, num_classes=3, tied=2).eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(to_plain(network)(images), network(images), rtol=1e-4, atol=1e-5)
    network.reset_classifier(0, "invariant+regular")
    assert network(images).shape == (2, network.head_hidden_size) == (2, 8 + 64)
    with pytest.raises(ValueError, match=r"tied must divide the 3 fields; got 2\. Use 1, or 4 fields"):
        SteerableResNet("resnet18s", "c4", width=12, tied=2)
    with pytest.raises(ValueError, match="tied is of batch norms alone"):
        SteerableResNet("resnet18s", "c4", width=8, tied=2, norm="layer")
    harmonic = SteerableResNet("resnet18s", "c4", width=8, tied=2, basis="harmonic")
    with pytest.raises(ValueError, match="escnn's network has no fields that are tied"):
        to_escnn(harmonic)
