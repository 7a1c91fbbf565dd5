"""The weights of a steerable ResNet carried over to escnn's layers, and back.

Both parametrise the same space of kernels, each by a basis of its own, so that a weight of the one is a square matrix
times a weight of the other: the least-squares solution ``T`` of ``target @ T = source`` on the pixels of one pair of
fields, which depends on the group and the kernel size alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.escnn_modules import EscnnConv2d
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_to_plain import plain_network
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.errors import shown
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d, SteerableFilters

__all__ = ["from_escnn", "pair_kernels", "to_escnn"]

TOLERANCE = 1e-5
"""The relative residual (float32 bases give 1e-7) above which two kernel spaces are not the same."""

_E = TypeVar("_E", bound=Backbone)


@torch.no_grad()
def to_escnn(model: SteerableResNet) -> EscnnResNet:
    """The same network built of escnn's layers: same outputs and running statistics, in train and in eval mode.

    Args:
        model: a network with the harmonic basis and batch norms.

    Returns:
        A new network of the same dtype, device and mode; equal to 1e-5 in float32.

    Raises:
        TypeError: if an argument is of another type.
        ModuleNotFoundError: if escnn is not installed.
        ValueError: if the network has another basis or norm, which escnn has not.
        RuntimeError: if the installed escnn spans another space of kernels.
    """
    check_arguments(to_escnn, locals())
    if model.structure["basis"] != "harmonic":
        raise ValueError(
            f"only kernels of the harmonic basis have a counterpart in escnn; this model's basis is "
            f"{model.structure['basis']!r}, whose space is larger. Build it with basis='harmonic'."
        )
    if model.structure["downsampling"] != "pool":
        raise ValueError(
            f"escnn's network halves maps by pooling; this model's downsampling is "
            f"{model.structure['downsampling']!r}, whose convolutions stride. Build it with downsampling='pool'."
        )
    if model.structure.get("tied", 1) > 1:
        raise ValueError(
            f"escnn's network has no fields that are tied; this model's tied is {model.structure['tied']}. Build it "
            "with tied=1, of the larger group."
        )
    twin = _like(EscnnResNet(**_options(model), initialize=False), model)
    changes: dict[tuple[int, bool], Tensor] = {}
    for native, other in _pairs(model, twin):
        key = (native.kernel_size, native.lifting)
        if key not in changes:
            changes[key] = _change_of_basis(pair_kernels(native), _flat(other.functions))
        # (K, r j) (r j, out in) -> (out in, K): escnn keeps the coefficients of a pair of fields together.
        weight = changes[key] @ native.weight.double().flatten(1)
        other.conv.weights.copy_(weight.T.flatten())
    for ours, theirs in _norms(model, twin):
        theirs.load_state_dict(ours.state_dict())
    return twin


@overload
def from_escnn(model: EscnnResNet) -> SteerableResNet: ...


@overload
def from_escnn(model: nn.Module) -> nn.Module: ...


def from_escnn(model: nn.Module) -> nn.Module:
    """The same network without escnn: same outputs and running statistics, in train and in eval mode.

    Of an `EscnnResNet` it is a `SteerableResNet` with the harmonic basis. Of anybody's network of escnn's modules it is
    a graph of plain PyTorch, from a tensor to a tensor, whose channels are in escnn's order: a `SequentialModule`, a
    block or a network whose `forward` calls such modules. Its layers have the weights of escnn's and the same kernels,
    so that it is as equivariant as that and stays so in training; the masks of dropout are drawn otherwise. Covered are
    `R2Conv` of any fields, `InnerBatchNorm`, pointwise activations, poolings and dropouts, `FieldDropout`, restriction,
    disentangling and reshuffling, masks, upsampling and `GroupPooling`; and the same modules of escnn's predecessor
    e2cnn, for which escnn need not be installed.

    Args:
        model: the network, which is not changed.

    Returns:
        A new network of the same dtype, device and mode; equal to 1e-5 in float32.

    Raises:
        TypeError: if it is no module, none of escnn's or e2cnn's is inside, or a `forward` cannot be traced.
        ValueError: if some of these modules are not covered, all of which are named, if some are escnn's and some
            e2cnn's, or if a filter that was stored in eval mode is not that of the weights.
        RuntimeError: if, of an `EscnnResNet`, the installed escnn spans another space of kernels.

    Source: Cesa, Lang and Weiler, ICLR 2022; Weiler and Cesa, NeurIPS 2019.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a network of escnn's or e2cnn's modules; got {shown(model)}. Pass the network itself."
        )
    return _native(model) if isinstance(model, EscnnResNet) else plain_network(model)


@torch.no_grad()
def _native(model: EscnnResNet) -> SteerableResNet:
    """The network of this package's own layers."""
    twin = _like(SteerableResNet(**_options(model)), model)
    changes: dict[tuple[int, bool], Tensor] = {}
    for native, other in _pairs(twin, model):
        key = (native.kernel_size, native.lifting)
        if key not in changes:
            changes[key] = _change_of_basis(_flat(other.functions), pair_kernels(native))
        coefficients = other.conv.weights.double().unflatten(0, (native.out_fields * native.in_fields, -1))
        native.weight.copy_((changes[key] @ coefficients.T).view_as(native.weight))
    for ours, theirs in _norms(twin, model):
        ours.load_state_dict(theirs.state_dict())
    return twin


def pair_kernels(conv: SteerableFilters) -> Float[Tensor, "K values"]:
    """The kernels that each entry of a weight stands for between one input and one output field, in float64.

    ``K = R J`` rows (relative element and basis function of `SteerableFilters`), each an ``order x fibre x pixels``
    kernel, flattened, on the device of `conv`.
    """
    count = len(conv.weight)
    # One output field an entry of the weight, so that a single expansion gives all kernels.
    unit = SteerableFilters(conv.group, 1, count, conv.kernel_size, basis=conv.basis, lifting=conv.lifting)
    unit = unit.to(conv.weight.device, torch.float64)
    unit.weight = nn.Parameter(torch.eye(count).to(unit.weight).view(count, count, 1), requires_grad=False)
    kernels: Tensor = unit.expanded().unflatten(0, (conv.group.order, count))
    return kernels.transpose(0, 1).flatten(1)


def _flat(functions: Float[Tensor, "K order fibre pixels"]) -> Float[Tensor, "K values"]:
    return functions.double().flatten(1)


def _change_of_basis(source: Float[Tensor, "K values"], target: Float[Tensor, "M values"]) -> Float[Tensor, "M K"]:
    """The matrix that turns coefficients in `source` into coefficients in `target`.

    Raises:
        RuntimeError: if the two do not span the same space.
    """
    change: Tensor = torch.linalg.lstsq(target.T, source.T, driver="gels").solution
    residual = float((target.T @ change - source.T).norm() / source.norm())
    if len(source) != len(target) or residual > TOLERANCE:
        raise RuntimeError(
            f"escnn and eqmodels must span the same kernels; got dimensions {len(target)} and {len(source)} and a "
            f"residual of {residual:.1e}. Install the version that this package is tested with, escnn==1.0.11."
        )
    return change


def _options(model: SteerableResNet | EscnnResNet) -> dict[str, Any]:
    """The constructor's arguments, those of pooling and classifier as they are now."""
    pool = model.global_pool
    current = {"in_chans": model.in_chans, "num_classes": model.num_classes}
    structure = {name: value for name, value in model.structure.items() if name != "downsampling"}
    return structure | current | {"global_pool": pool.mode, "group_pool": pool.fibre.mode}


def _pairs(native: SteerableResNet, other: EscnnResNet) -> Iterator[tuple[SteerableConv2d, EscnnConv2d]]:
    """The convolutions, which have the same names in both networks."""
    for name, conv in native.named_modules():
        if isinstance(conv, SteerableConv2d):
            twin = other.get_submodule(name)
            assert isinstance(twin, EscnnConv2d)
            yield conv, twin


def _norms(native: SteerableResNet, other: EscnnResNet) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The batch norms proper: in both networks a stock one with one entry a field, in the order of the fields."""
    for name, norm in native.named_modules():
        if isinstance(norm, FieldBatchNorm2d):
            (twin,) = other.get_submodule(name).children()
            yield norm.bn, twin


def _like(twin: _E, model: Backbone) -> _E:
    """`twin` with the pooling (a canonical one has weights), classifier, dtype, device and mode of `model`."""
    twin.global_pool = copy.deepcopy(model.global_pool)
    twin.fc = copy.deepcopy(model.fc)
    reference = next(model.parameters())
    twin.set_grad_checkpointing(model.grad_checkpointing)
    return twin.to(reference.device, reference.dtype).train(model.training)
