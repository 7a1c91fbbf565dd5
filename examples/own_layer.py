"""A layer of your own that declares its field, and is checked: ``python examples/own_layer.py``.

Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507) for regular fields: each field is scaled by a gate that reads
what no element changes, so that the scaled fields permute as before.
"""

import torch
from torch import Tensor, nn

from eqmodels.evaluation import assert_equivariant
from eqmodels.fields import Regular
from eqmodels.layers import GlobalPool, SteerableConv2d


class FieldGate(nn.Module):
    """``(B, |G| fields, H, W)`` in and out, regular fields."""

    def __init__(self, group: str, fields: int) -> None:
        super().__init__()
        self.in_field = self.out_field = Regular(group, fields)
        self.gate = nn.Sequential(GlobalPool(group), nn.Linear(fields, fields), nn.Sigmoid())

    def forward(self, maps: Tensor) -> Tensor:
        """Every field times its gate, the same for all elements."""
        gates = self.gate(maps).repeat(1, self.out_field.order)
        return maps * gates[:, :, None, None]


class ChannelGate(FieldGate):
    """The mistake: the gates of a field's elements differ, by which of them comes first."""

    def forward(self, maps: Tensor) -> Tensor:
        """Every channel times a gate of its own."""
        gates = self.gate(maps).repeat_interleave(self.out_field.order, 1)
        return maps * gates[:, :, None, None]


def network(gate: nn.Module) -> nn.Sequential:
    """A lifting convolution, the layer, and features that do not change when the image turns or is flipped."""
    return nn.Sequential(SteerableConv2d("d4", 3, 8, 3, lifting=True), gate, nn.ReLU(), GlobalPool("d4"))


if __name__ == "__main__":
    torch.manual_seed(0)
    assert_equivariant(network(FieldGate("d4", 8)), size=16)
    print("FieldGate keeps regular fields of D4: it turns and flips with the image.")
    try:
        assert_equivariant(network(ChannelGate("d4", 8)), size=16)
    except AssertionError as error:
        print(f"ChannelGate does not: {error}")
