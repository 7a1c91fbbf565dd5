"""escnn's own layers as the parts of a ResNet, behind stages that take and return plain group-major tensors.

Nothing here subclasses escnn, which is imported when the first such network is built and not before. Inside a stage the
features are escnn's `GeometricTensor` s, field-major; only the two ends of a stage permute channels.

Source: Cesa, Lang and Weiler, *A Program to Build E(N)-Equivariant Steerable CNNs*, ICLR 2022.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import ExactDownsample2d

__all__ = ["EscnnBasicBlock", "EscnnBottleneck", "EscnnConv2d", "EscnnStage", "OnTensor", "field_norm", "import_escnn"]

# escnn is untyped; the aliases say what an argument is.
GSpace: TypeAlias = Any
FieldType: TypeAlias = Any
GeometricTensor: TypeAlias = Any

INSTALL = (
    "`pip install --no-deps escnn==1.0.11`, then "
    '`pip install autograd joblib lie_learn pymanopt scipy "numpy<2"` (no compiler needed)'
)


class Escnn(NamedTuple):
    """The two modules of escnn that are used: `nn` and `gspaces`."""

    nn: ModuleType
    gspaces: ModuleType

    def space(self, group: PlanarGroup) -> GSpace:
        """The plane with the group acting on it, its elements in the order of `PlanarGroup.elements`."""
        n = group.rotations
        if not group.reflections:
            return self.gspaces.rot2dOnR2(n) if n > 1 else self.gspaces.trivialOnR2()
        # The reflection x -> -x is the one about the vertical axis.
        axis = math.pi / 2
        return self.gspaces.flipRot2dOnR2(n, axis=axis) if n > 1 else self.gspaces.flip2dOnR2(axis=axis)

    def regular(self, group: PlanarGroup, fields: int) -> FieldType:
        """The type of so many regular fields."""
        space = self.space(group)
        return self.nn.FieldType(space, fields * [space.regular_repr])

    def images(self, group: PlanarGroup, channels: int) -> FieldType:
        """The type of an image of so many channels."""
        space = self.space(group)
        return self.nn.FieldType(space, channels * [space.trivial_repr])


def import_escnn() -> Escnn:
    """escnn, imported on demand.

    Raises:
        ModuleNotFoundError: if escnn, or something that it imports, is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It warns of py3nj, which the plane has no use for, and where it is compiled, of its own escape sequences.
            warnings.simplefilter("ignore")
            from escnn import gspaces
            from escnn import nn as escnn_nn
    except ImportError as error:
        raise ModuleNotFoundError(
            f"backend='escnn' needs escnn, which cannot be imported here ({error}); install it with {INSTALL}.",
            name=error.name,
        ) from error
    return Escnn(escnn_nn, gspaces)


class EscnnConv2d(nn.Module):
    """escnn's `R2Conv` without bias, with the frequency cut-off 3r, and without state that depends on the mode.

    A `GeometricTensor` in and out. In eval mode an `R2Conv` runs on a filter that it stored when it left train mode, in
    a persistent buffer: weights that are loaded or averaged afterwards do not count. So the `R2Conv` itself, the child
    `conv`, stays in train mode, in which it expands its weights at every call and which changes nothing else; and its
    constant basis is no part of the state dict.

    Args:
        in_type: escnn's type of the input.
        out_type: escnn's type of the output.
        kernel_size: k, odd.
        stride: step along both axes.
        initialize: whether escnn draws the weights (its generalised He initialisation, slow); else they are zero.

    On PyTorch's device ``meta`` it has the shape of its weights alone, and cannot be called.
    """

    def __init__(
        self, in_type: FieldType, out_type: FieldType, kernel_size: int, *, stride: int = 1, initialize: bool = True
    ) -> None:
        super().__init__()
        # Without memory only the shape of the weights is wanted: that of one pair of fields gives that of all.
        ghost = torch.empty(0).is_meta  # which a context sets too, unlike what PyTorch 2.6 calls the default device
        pair = [_one_field(fields) if ghost else fields for fields in (in_type, out_type)]
        with torch.device("cpu") if ghost else nullcontext():
            self.conv = import_escnn().nn.R2Conv(
                *pair,
                kernel_size,
                padding=kernel_size // 2,
                stride=stride,
                bias=False,
                sigma=None,
                frequencies_cutoff=_cutoff,
                initialize=initialize and not ghost,
            )
        if ghost:
            count = self.conv.weights.numel() * len(in_type.representations) * len(out_type.representations)
            self.conv.weights = nn.Parameter(torch.empty(count, device="meta"))
        self.conv.train()  # Drops the buffer `filter`, in which there is nothing yet.
        for name, shared in list(self.conv.basisexpansion.named_children()):
            # escnn gives one basis to all layers of a process: casting or moving one network would do so to the others.
            block = copy.copy(shared)
            block._buffers, block._non_persistent_buffers_set = {}, set()
            block.register_buffer("sampled_basis", shared.sampled_basis, persistent=False)
            setattr(self.conv.basisexpansion, name, block)

    def train(self, mode: bool = True) -> EscnnConv2d:
        """Sets the mode of this module alone: the child `conv` stays in train mode, in which it stores no filter."""
        self.training = mode
        return self

    @property
    def functions(self) -> Float[Tensor, "K order fibre pixels"]:
        """The kernels of one pair of fields that the weights combine: a basis, row-major in the pixels."""
        (block,) = self.conv.basisexpansion.children()
        functions: Tensor = block.sampled_basis
        return functions

    def forward(self, maps: GeometricTensor) -> GeometricTensor:
        """The convolution of the filters that the weights give now."""
        return self.conv(maps)


def _one_field(fields: FieldType) -> FieldType:
    return type(fields)(fields.gspace, fields.representations[:1])


def _cutoff(radius: float) -> float:
    return 3 * radius


def field_norm(fields: FieldType) -> nn.Module:
    """The `InnerBatchNorm` of so many fields, whose constant indices are no part of the state dict."""
    ghost = torch.empty(0).is_meta
    with torch.device("cpu") if ghost else nullcontext():
        norm: nn.Module = import_escnn().nn.InnerBatchNorm(fields)
    for name, indices in list(norm.named_buffers(recurse=False)):
        delattr(norm, name)
        norm.register_buffer(name, indices, persistent=False)
    return norm.to("meta") if ghost else norm


class OnTensor(nn.Module):
    """A module of plain tensors that treats all channels alike (a pooling), applied to a `GeometricTensor`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, maps: GeometricTensor) -> GeometricTensor:
        """The module applied to the plain tensor, with the type of before."""
        return maps.type(self.module(maps.tensor))


class EscnnBasicBlock(nn.Module):
    """`BasicBlock` with escnn's layers under the same names; a `GeometricTensor` in and out."""

    def __init__(
        self, group: PlanarGroup, in_fields: int, fields: int, *, halve: bool, kernel_size: int, initialize: bool
    ) -> None:
        super().__init__()
        escnn = import_escnn()
        wide, inner = escnn.regular(group, in_fields), escnn.regular(group, fields)
        self.pool = OnTensor(ExactDownsample2d()) if halve else nn.Identity()
        self.conv1 = EscnnConv2d(wide, inner, kernel_size, initialize=initialize)
        self.bn1 = field_norm(inner)
        self.conv2 = EscnnConv2d(inner, inner, kernel_size, initialize=initialize)
        self.bn2 = field_norm(inner)
        self.relu = escnn.nn.ReLU(inner, inplace=True)
        self.downsample = _shortcut(wide, inner, initialize)

    def forward(self, maps: GeometricTensor) -> GeometricTensor:
        """The activated sum of residual and shortcut."""
        maps = self.pool(maps)
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.bn2(self.conv2(residual))
        return self.relu(residual + self.downsample(maps))


class EscnnBottleneck(nn.Module):
    """`Bottleneck` with escnn's layers under the same names; a `GeometricTensor` in and out."""

    expansion = 4

    def __init__(
        self, group: PlanarGroup, in_fields: int, fields: int, *, halve: bool, kernel_size: int, initialize: bool
    ) -> None:
        super().__init__()
        escnn = import_escnn()
        wide, inner = escnn.regular(group, in_fields), escnn.regular(group, fields)
        out = escnn.regular(group, fields * self.expansion)
        self.pool = OnTensor(ExactDownsample2d()) if halve else nn.Identity()
        self.conv1 = EscnnConv2d(wide, inner, 1, initialize=initialize)
        self.bn1 = field_norm(inner)
        self.conv2 = EscnnConv2d(inner, inner, kernel_size, initialize=initialize)
        self.bn2 = field_norm(inner)
        self.conv3 = EscnnConv2d(inner, out, 1, initialize=initialize)
        self.bn3 = field_norm(out)
        # escnn's ReLU checks the type of its input, so the two widths need one each.
        self.relu_inner = escnn.nn.ReLU(inner, inplace=True)
        self.relu = escnn.nn.ReLU(out, inplace=True)
        self.downsample = _shortcut(wide, out, initialize)

    def forward(self, maps: GeometricTensor) -> GeometricTensor:
        """The activated sum of residual and shortcut."""
        residual = self.relu_inner(self.bn1(self.conv1(maps)))
        residual = self.relu_inner(self.bn2(self.conv2(self.pool(residual))))
        residual = self.bn3(self.conv3(residual))
        return self.relu(residual + self.downsample(self.pool(maps)))


def _shortcut(in_type: FieldType, out_type: FieldType, initialize: bool) -> nn.Module:
    if in_type == out_type:
        return nn.Identity()
    return nn.Sequential(EscnnConv2d(in_type, out_type, 1, initialize=initialize), field_norm(out_type))


class EscnnStage(nn.Module):
    """Layers of escnn, one after the other, from a plain tensor to a plain tensor.

    ``(B, in_channels, H, W) -> (B, |G| fields, H', W')``, regular fields group-major; the input likewise, or an image.

    Args:
        layers: named modules that take and return a `GeometricTensor`; they become children of the stage.
        in_type: escnn's type of the input.
        group: the group.
        fields: regular fields of the output.
        lifting: whether the input is an image, which has no fibre.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        in_type: FieldType,
        group: PlanarGroup,
        fields: int,
        *,
        lifting: bool = False,
    ) -> None:
        super().__init__()
        self.in_type, self.group = in_type, group
        self.in_field: Field = Scalars(in_type.size) if lifting else Regular(group, in_type.size // group.order)
        self.out_field = Regular(group, fields)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """The layers applied one after the other, between two permutations of the channels."""
        # escnn's norm views its input as one axis a field, which another memory format would forbid.
        plain = maps.contiguous(memory_format=torch.contiguous_format)
        fields = self.in_type(self.in_field.to_escnn(plain))
        for layer in self.children():
            fields = layer(fields)
        return self.out_field.from_escnn(fields.tensor)
