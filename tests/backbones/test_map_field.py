"""A backbone whose last map is of a field of its own: pooled as that field says, or refused in a sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels.backbones import Backbone
from eqmodels.evaluation import assert_equivariant
from eqmodels.fields import Regular, Scalars
from eqmodels.layers import GroupPool, SteerableConv2d


class FibresAndScalars(nn.Module):
    """Regular maps of a group, and after them the pooled maps of another lifting layer."""

    def __init__(self, group, fields, scalars):
        super().__init__()
        self.fibres = SteerableConv2d(group, 3, fields, 3, lifting=True)
        self.scalars = nn.Sequential(SteerableConv2d(group, 3, scalars, 3, lifting=True), GroupPool(group))

    def forward(self, images):
        return torch.cat([self.fibres(images), self.scalars(images)], 1)


class Mixed(Backbone):
    """One stage of fibres and scalars."""

    def __init__(self, group="c4", *, fields=3, scalars=4, pool="invariant", in_chans=3, num_classes=0):
        super().__init__(group, in_chans, num_classes)
        self.own = Regular(group, fields) + Scalars(scalars)
        self.add_stage("stem", FibresAndScalars(group, fields, scalars), self.own.channels, 1)
        self.finish(pool)

    @property
    def map_field(self):
        return self.own


class OfField(Backbone):
    """One stage of a stock convolution, and whatever field it is said to be of."""

    def __init__(self, group, field, channels, *, pool="invariant", in_chans=3, num_classes=0):
        super().__init__(group, in_chans, num_classes)
        self.own = field
        self.add_stage("stem", nn.Conv2d(3, channels, 1), channels, 1)
        self.finish(pool)

    @property
    def map_field(self):
        return super().map_field if self.own is None else self.own


@pytest.mark.parametrize("pool", ["invariant", "invariant+regular", "canonical", "canonical-soft"])
@pytest.mark.parametrize("group", ["c4", "d1", "d2", "c3", "c6", "d4", "d6"])
def test_fibres_beside_scalars_are_not_pooled_as_if_all_were_fibres(group, pool):
    with pytest.raises(ValueError, match="takes regular fields of the whole group") as caught:
        Mixed(group, fields=3, scalars=Regular(group, 1).order, pool=pool)
    assert str(caught.value).startswith(f"global_pool='{pool}' takes")
    assert "call finish('regular')" in str(caught.value)


def test_fibres_beside_scalars_can_be_kept_as_they_are():
    model = Mixed(pool="regular")
    assert str(model.out_field) == "3 x regular(c4) + 4 x scalar"
    assert_equivariant(model, size=9)
    with pytest.raises(ValueError, match=r"^global_pool='invariant' takes regular fields"):
        model.reset_classifier(0, "invariant")
    assert model.global_pool.mode == "regular"


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ("c4", Regular("c4", 2) + Regular("c4", 2)),
        ("d4", Regular("d4", 4, (0, 1, 2, 3))),
        ("c4", Regular("d4", 4, (0, 1, 2, 3))),
        ("c2", Regular("c4", 4)),
        ("c4", Scalars(16)),
    ],
)
def test_other_fields_than_regular_ones_of_the_whole_group_are_not_pooled(group, field):
    with pytest.raises(ValueError, match=r"^global_pool='invariant' takes regular fields of the whole group"):
        OfField(group, field, 16)


@pytest.mark.parametrize(("field", "channels"), [(Regular("c4", 3), 16), (None, 14)])
def test_a_field_of_another_number_of_channels_than_the_map_is_refused(field, channels):
    with pytest.raises(ValueError, match=rf"got {channels} channels and the field 3 x regular\(c4\) of 12\. Give it"):
        OfField("c4", field, channels)


def test_of_the_trivial_group_nothing_is_claimed_whatever_the_field():
    assert OfField("c1", Scalars(6), 6).out_field == Regular("c1", 6)
