"""ReDet's rotation-equivariant ResNet (ReResNet), trained with e2cnn, as a steerable ResNet of this package.

A checkpoint of e2cnn (or escnn, which saves under the same names) holds the coefficients of each convolution's kernels,
``weights``, and the functions that they combine, ``_basisexpansion.*.sampled_basis``: their product is the filter, with
no need for either package. The ``filter`` itself is there only if the layer was in eval mode. Both packages and this
one span the same kernels, each by a basis of its own, so that the weight here is found by least squares.

Source: Han, Ding, Xue and Xia 2021, arXiv 2103.07733; the kernels: Weiler and Cesa 2019, arXiv 1911.08251.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.convert.redet_report import ConvertedLayer, RedetReport
from eqmodels.backbones.convert.state import (
    check_names,
    check_shape,
    checked_tensors,
    known_rank,
    resnet_architecture,
)
from eqmodels.backbones.describe import name_of
from eqmodels.backbones.escnn_weights import TOLERANCE as EXACT
from eqmodels.backbones.escnn_weights import pair_kernels
from eqmodels.backbones.resnet import RESNET_DEPTHS, SteerableResNet
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d

__all__ = ["from_redet"]

SOURCE = "a ReResNet"

TOLERANCE = 1e-2
"""Above the rounding of bfloat16 (1e-3), far below the residual of filters of another group (0.6 to 0.9)."""

_FIRST_NORM = re.compile(r"bn1\.batch_norm_\[([1-9][0-9]*)\]\.weight")
_STATISTICS = ("weight", "bias", "running_mean", "running_var")
_CLASSIFIER = ("head.fc.weight", "head.fc.bias")

_Factors: TypeAlias = dict[tuple[int, bool], tuple[Tensor, Tensor]]
"""The QR decomposition of the kernels, by the size and the kind of the convolution."""


@torch.no_grad()
def from_redet(state: Mapping[str, Tensor], *, tolerance: float = TOLERANCE) -> tuple[SteerableResNet, RedetReport]:
    """A ReResNet-18, -34, -50 or -101 over C_N from its state dict, and what became of each of its layers.

    Every convolution, every batch norm and the classifier are mapped: the filters by least squares on the harmonic
    basis, their relative residual in the report. The network is *not* the same function. ReDet halves a map by
    convolutions of stride 2, which break exactness at even sizes; the first blocks of layer2, layer3 and layer4 here
    apply the same kernels at stride 1 to a mean over neighbouring pixels. Up to there both agree: at image sizes
    ``4 n + 1`` stem and layer1 put out ReDet's own features. What comes after them is a start for training.

    The checkpoint may be that of the backbone, of its classifier (``head.fc``, which reads the pooled regular fields)
    or of a whole detector (names under ``backbone.``; the rest of it is not mapped), and all names may start with
    ``module.``. Group, width and image channels are read off the shapes. Of the two forms of a filter ``weights`` with
    their ``sampled_basis`` prevail: ``filter`` is a copy that e2cnn leaves as it was when the weights change.

    Args:
        state: names and tensors, such as ``torch.load(file, weights_only=True)["state_dict"]``.
        tolerance: the largest relative residual of a filter, in [0, 1).

    Returns:
        A new network in train mode, with the dtype and on the device of ``bn1``'s weight: width, ImageNet stem,
        ``kernel_size=3`` and ``basis="harmonic"`` as ReDet has them; with a classifier also its classes and
        ``global_pool="regular"``, else features. And the report.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the state is not a mapping of finite tensors, its blocks are those of no ResNet-18 to -101, a
            tensor is missing, unknown or of another shape than the rest asks for, a filter is neither stored nor can
            be computed, or one lies outside the kernels of the group by more than `tolerance`.

    Source: Han, Ding, Xue and Xia 2021, arXiv 2103.07733.
    """
    check_arguments(from_redet, {"tolerance": tolerance})
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be a relative residual in [0, 1); got {tolerance}. Use {TOLERANCE}.")
    tensors, beside = _backbone(checked_tensors(state, SOURCE))
    architecture = resnet_architecture(tensors, SOURCE)
    group, fields = _group_and_fields(tensors)
    _check_names(architecture, group, tensors)

    classes = known_rank(SOURCE, _CLASSIFIER[0], tensors[_CLASSIFIER[0]], 2)[0] if _CLASSIFIER[0] in tensors else 0
    model = SteerableResNet(
        architecture,
        group,
        width=fields * int(group[1:]),
        in_chans=_image_channels(tensors, fields),
        num_classes=classes,
        global_pool="regular" if classes else "invariant",
        kernel_size=3,
        basis="harmonic",
    )
    reference = tensors[_norm_name("bn1", group, "weight")]
    model.to(reference.device, reference.dtype)
    factors: _Factors = {}
    layers = [_convert_conv(name, target, conv, tensors, factors) for name, target, conv in _convs(model)]
    _check_residuals(layers, tolerance, group)
    norms = [_convert_norm(name, target, norm, tensors) for name, target, norm in _norms(model)]
    rows = _in_forward_order(model, architecture, [*layers, *norms])
    if classes:
        rows.append(_convert_classifier(model, tensors))
    rows += [
        ConvertedLayer(f"{part}.*", None, "not mapped", None, f"no part of the encoder, tensors: {count}")
        for part, count in beside.items()
    ]
    return model, RedetReport(str(name_of(model)), tuple(rows))


def _backbone(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], Counter[str]]:
    """The tensors of the backbone and its classifier, and how many others there are by the first part of their name."""
    if not any(name.startswith("backbone.") for name in tensors):
        return tensors, Counter()
    own = {
        name.removeprefix("backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.") or name in _CLASSIFIER
    }
    return own, Counter(
        name.partition(".")[0] for name in tensors if not name.startswith("backbone.") and name not in _CLASSIFIER
    )


def _group_and_fields(tensors: dict[str, Tensor]) -> tuple[str, int]:
    """The group's name and the fields of the first stage, by the name and the length of the first norm's weight."""
    found = [match for name in tensors if (match := _FIRST_NORM.fullmatch(name))]
    if len(found) != 1:
        raise ValueError(
            f"state must be that of {SOURCE}, whose norm 'bn1.batch_norm_[N].weight' names the order N of its group; "
            f"got {len(found)} such names. For torchvision's networks there is from_torchvision."
        )
    scales = tensors[found[0][0]]
    (fields,) = known_rank(SOURCE, found[0][0], scales, 1)
    check_shape(SOURCE, found[0][0], scales, (fields,))
    return f"c{found[0][1]}", fields


def _theirs(name: str) -> str:
    """A layer's name in the checkpoint."""
    return {"stem.conv": "conv1", "stem.bn": "bn1"}.get(name, name)


def _norm_name(layer: str, group: str, statistic: str) -> str:
    return f"{layer}.batch_norm_[{group[1:]}].{statistic}"


def _convs(model: SteerableResNet) -> Iterator[tuple[str, str, SteerableConv2d]]:
    """The convolutions, each with its name in the checkpoint and here."""
    for name, module in model.named_modules():
        if isinstance(module, SteerableConv2d):
            yield _theirs(name), name, module


def _norms(model: SteerableResNet) -> Iterator[tuple[str, str, FieldBatchNorm2d]]:
    """The batch norms, each with its name in the checkpoint and here."""
    for name, module in model.named_modules():
        if isinstance(module, FieldBatchNorm2d):
            yield _theirs(name), name, module


def _check_names(architecture: str, group: str, tensors: dict[str, Tensor]) -> None:
    """Raises a `ValueError` if tensors are missing or unknown, or a filter is not there in either form."""
    # The names depend on the depth and the group alone.
    model = SteerableResNet(architecture, group, width=int(group[1:]), basis="harmonic")
    known: set[str] = set()
    missing: list[str] = []
    bare: list[str] = []
    for name, _, _ in _convs(model):
        known |= {f"{name}.weights", f"{name}.filter", *_basis_names(name, tensors)}
        if f"{name}.filter" not in tensors and len(_basis_names(name, tensors)) != 1:
            (bare if f"{name}.weights" in tensors else missing).append(f"{name}.weights")
        elif f"{name}.filter" not in tensors and f"{name}.weights" not in tensors:
            missing.append(f"{name}.weights")
    for name, _, _ in _norms(model):
        expected = [_norm_name(name, group, statistic) for statistic in _STATISTICS]
        known |= {*expected, _norm_name(name, group, "num_batches_tracked"), f"{name}.indices_{group[1:]}"}
        missing += [key for key in expected if key not in tensors]
    if any(key in tensors for key in _CLASSIFIER):
        known |= set(_CLASSIFIER)
        missing += [key for key in _CLASSIFIER if key not in tensors]
    check_names(SOURCE, missing, [key for key in tensors if key not in known])
    if bare:
        raise ValueError(
            f"the coefficients of a filter need the 'sampled_basis' that they combine, or the 'filter' itself; "
            f"{len(bare)} convolutions have neither, the first is {bare[0]!r}. Save the state dict of the e2cnn "
            "network after model.eval(), as a whole: escnn's basis is another one and cannot take its place."
        )


def _basis_names(name: str, tensors: dict[str, Tensor]) -> list[str]:
    prefix = f"{name}._basisexpansion."
    return [key for key in tensors if key.startswith(prefix) and key.endswith(".sampled_basis")]


def _basis(name: str, tensors: dict[str, Tensor]) -> Float[Tensor, "K order fibre pixels"] | None:
    """The functions that the coefficients of a convolution combine; None if the filter has to be read instead."""
    names = _basis_names(name, tensors)
    if len(names) != 1 or f"{name}.weights" not in tensors:
        return None
    known_rank(SOURCE, names[0], tensors[names[0]], 4)
    return tensors[names[0]]


def _image_channels(tensors: dict[str, Tensor], fields: int) -> int:
    basis = _basis("conv1", tensors)
    if basis is None:
        return known_rank(SOURCE, "conv1.filter", tensors["conv1.filter"], 4)[1]
    (coefficients,) = known_rank(SOURCE, "conv1.weights", tensors["conv1.weights"], 1)
    # At least one, so that a number of coefficients that fits no image is refused like any other shape.
    return max(1, coefficients // (fields * len(basis)))


def _convert_conv(
    name: str, target: str, conv: SteerableConv2d, tensors: dict[str, Tensor], factors: _Factors
) -> ConvertedLayer:
    """Sets the weight of a convolution to the nearest one; the residual says how near."""
    key = (conv.kernel_size, conv.lifting)
    if key not in factors:
        # Least squares by an orthonormal basis of the kernels: `lstsq` is ten times slower for thousands of pairs.
        factors[key] = torch.linalg.qr(pair_kernels(conv).T)
    orthonormal, change = factors[key]
    pairs = _pairs(name, conv, tensors).T
    projection = orthonormal.T @ pairs
    conv.weight.copy_(torch.linalg.solve_triangular(change, projection, upper=True).view_as(conv.weight))
    norm = float(pairs.norm())
    residual = float((orthonormal @ projection - pairs).norm()) / norm if norm > 0 else 0.0
    return ConvertedLayer(name, target, "exact" if residual <= EXACT else "residual", residual)


def _pairs(name: str, conv: SteerableConv2d, tensors: dict[str, Tensor]) -> Float[Tensor, "pairs values"]:
    """The kernels between each output and each input field (outputs before inputs), flattened as in `pair_kernels`."""
    order, fibre, k = conv.group.order, conv.fibre, conv.kernel_size
    basis = _basis(name, tensors)
    if basis is not None:
        check_shape(SOURCE, _basis_names(name, tensors)[0], basis, (len(basis), order, fibre, k**2))
        coefficients = tensors[f"{name}.weights"]
        check_shape(SOURCE, f"{name}.weights", coefficients, (conv.out_fields * conv.in_fields * len(basis),))
        products: Tensor = coefficients.double().view(-1, len(basis)) @ basis.double().flatten(1)
        return products
    filters = tensors[f"{name}.filter"]
    check_shape(SOURCE, f"{name}.filter", filters, (conv.out_channels, conv.in_channels, k, k))
    # Field-major: (out order, in fibre, k, k) -> (out, in, order, fibre, k, k).
    blocks = filters.double().unflatten(0, (conv.out_fields, order)).unflatten(2, (conv.in_fields, fibre))
    pairs: Tensor = blocks.transpose(1, 2).flatten(0, 1).flatten(1)
    return pairs


def _check_residuals(layers: list[ConvertedLayer], tolerance: float, group: str) -> None:
    outside = [layer for layer in layers if layer.residual is not None and not layer.residual <= tolerance]
    if outside:
        worst = max(outside, key=lambda layer: layer.residual or 0.0)
        raise ValueError(
            f"every filter must be a kernel of {group.upper()} with the frequency cut-off 3r, up to a relative "
            f"residual of {tolerance:.0e}; {len(outside)} of {len(layers)} are not, the worst is {worst.source!r} with "
            f"{worst.residual:.1e}. Networks of another group or cut-off have no counterpart; a checkpoint of low "
            "precision needs a larger tolerance."
        )


def _convert_norm(name: str, target: str, norm: FieldBatchNorm2d, tensors: dict[str, Tensor]) -> ConvertedLayer:
    group = norm.group.name
    for statistic in _STATISTICS:
        source = tensors[_norm_name(name, group, statistic)]
        check_shape(SOURCE, _norm_name(name, group, statistic), source, (norm.fields,))
        getattr(norm.bn, statistic).copy_(source)
    count = tensors.get(_norm_name(name, group, "num_batches_tracked"))
    if count is not None and norm.bn.num_batches_tracked is not None:
        norm.bn.num_batches_tracked.copy_(count)
    return ConvertedLayer(name, target, "exact", 0.0)


def _convert_classifier(model: SteerableResNet, tensors: dict[str, Tensor]) -> ConvertedLayer:
    weight, bias = (tensors[name] for name in _CLASSIFIER)
    check_shape(SOURCE, _CLASSIFIER[0], weight, (model.num_classes, model.head_hidden_size))
    check_shape(SOURCE, _CLASSIFIER[1], bias, (model.num_classes,))
    model.fc.load_state_dict({"weight": model.map_field.from_escnn(weight), "bias": bias})
    return ConvertedLayer("head.fc", "fc", "exact", 0.0)


def _in_forward_order(model: SteerableResNet, architecture: str, layers: list[ConvertedLayer]) -> list[ConvertedLayer]:
    """The layers in the order of the network, with ReDet's max-pooling, and a note where they do something else."""
    places = {name: place for place, (name, _) in enumerate(model.named_modules())}
    pooling = ConvertedLayer("maxpool", "layer1.pool", "exact", 0.0)
    ordered = sorted([*layers, pooling], key=lambda layer: places[layer.target or ""])
    bottleneck = RESNET_DEPTHS[architecture][0].expansion > 1
    strided = ("conv2" if bottleneck else "conv1", "downsample.0")
    halved = "stride 2 there; here stride 1, after a mean over neighbouring pixels"
    notes = {f"layer{stage}.0.{conv}": halved for stage in (2, 3, 4) for conv in strided}
    notes["conv1"] = "the same at odd image sizes; at even ones after a mean of two pixels"
    notes["maxpool"] = "the same at odd sizes of its input; at even ones over 2 x 2 pixels, not 3 x 3"
    return [
        ConvertedLayer(layer.source, layer.target, layer.status, layer.residual, notes.get(layer.source, ""))
        for layer in ordered
    ]
