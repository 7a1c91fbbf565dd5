"""equivision's networks, escnn ResNets that were trained on ImageNet, as steerable ResNets of this package.

Its files are state dicts of escnn's layers. They load there with ``strict=False`` alone, so that what is missing goes
unsaid; here every tensor is read or named, and what is missing is only put in where that is exact.

Source: https://github.com/dmklee/equivision (MIT); the layers: Cesa, Lang and Weiler, ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.backbones.convert.escnn_bases import default_functions
from eqmodels.backbones.convert.escnn_layers import (
    STATISTICS,
    EscnnLayers,
    basis_names,
    convs,
    first_norm,
    norm_name,
    norms,
)
from eqmodels.backbones.convert.images import imagenet_classes, imagenet_preprocessing
from eqmodels.backbones.convert.report import ConversionReport, ConvertedLayer
from eqmodels.backbones.convert.state import check_names, check_shape, checked_tensors, known_rank, resnet_architecture
from eqmodels.backbones.describe import name_of
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.groups import PlanarGroup
from eqmodels.layers import SteerableConv2d

__all__ = ["from_equivision"]

SOURCE = "an equivision ResNet"

SIDE = 225
"""Pixels of the images: the first size from 224 on at which every stride is exact."""

TOLERANCE = 1e-5
"""Float32 rounds to 1e-7; a filter of another group is off by 0.5 and more."""

FITTING = 1e-2
"""Residual of the first filters up to which they are of a group; those of another are off by half."""

_CLASSIFIER = ("fc.weight", "fc.bias")


@torch.no_grad()
def from_equivision(
    state: Mapping[str, Tensor],
    *,
    group: PlanarGroup | str | None = None,
    of: PlanarGroup | str | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[SteerableResNet, ConversionReport]:
    """A ResNet-18, -34, -50 or -101 of equivision from its state dict, with equal outputs, and what became of it.

    Everything is read off the file: depth, group (C1, D1, C4, D4, C8, D8 and every other C_N and D_N), fields, image
    channels, classes. Files that were saved in train mode hold coefficients and the functions that they combine,
    those of eval mode the filters; where a file has neither functions nor filters, the functions are those of escnn
    1.0.11, for equivision's own groups, and the report says so. Names may start with ``module.`` or ``model.``.

    The network is strided as equivision's is, so that it takes sides that are ``1 mod 32`` and no others (D1: the width
    alone; C1: any): 225 pixels instead of 224, at which outputs are equal and quarter turns and flips exact.

    With `group` it is read as a network of a subgroup, C8 as C4 and D8 as D4, which have kernels of all pixels. Outputs
    are equal in eval mode and in train mode too: the fields that one field of the larger group falls apart into are
    ``tied``, sharing the statistics of their batch norms, and are pooled together. Training goes elsewhere: nothing
    keeps kernels in the space of the larger group. So does that of all groups, as our kernels are more than escnn's
    (3 x 3 pixels: 36 numbers a pair of C4 fields instead of 24).

    Args:
        state: names and tensors, such as ``torch.load(file, weights_only=True)``.
        group: a subgroup of the network's own; None for its own.
        of: the network's own group, where a file does not say it: C8 and D4 of coefficients alone look the same.
        tolerance: the largest relative residual of a filter, in [0, 1).

    Returns:
        A new network in train mode, with the dtype and on the device of ``bn1``'s weight, with the preprocessing of its
        training at 225 pixels, and ImageNet's classes if it has 1,000; without ``fc`` it puts out features. And the
        report.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the state is not a mapping of finite tensors, its blocks are those of no ResNet-18 to -101, a
            tensor is missing, unknown or of another shape than the rest asks for, a filter is neither stored nor can
            be computed or lies outside the kernels of the group, or `group` is no subgroup.

    Example::

        model, report = from_equivision(torch.load("c8resnet18.pt", weights_only=True), group="c4")
    """
    check_arguments(from_equivision, {"group": group, "of": of, "tolerance": tolerance})
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be a relative residual in [0, 1); got {tolerance}. Use {TOLERANCE}.")
    tensors = _unwrapped(checked_tensors(state, SOURCE))
    architecture = resnet_architecture(tensors, SOURCE)
    order, fields = first_norm(SOURCE, tensors)
    _check_names(architecture, order, tensors)
    own = _of_group(tensors, order, fields, None if of is None else PlanarGroup.parse(of))
    target = own.group if group is None else PlanarGroup.parse(group)
    if not own.group.contains(target):
        raise ValueError(
            f"group must be a subgroup of {own.group}, the network's own; got {target}. Leave it out, or use "
            f"{'c4' if own.group.rotations % 4 == 0 else 'c1'!r}."
        )
    classes = known_rank(SOURCE, _CLASSIFIER[0], tensors[_CLASSIFIER[0]], 2)[0] if _CLASSIFIER[0] in tensors else 0
    model = SteerableResNet(
        architecture,
        target,
        width=fields * order,
        in_chans=_image_channels(own, fields),
        num_classes=classes,
        kernel_size=3,
        downsampling="stride",
        tied=order // target.order,
    )
    reference = tensors[norm_name("bn1", order, "weight")]
    model.to(reference.device, reference.dtype)
    table = own.group.restriction(target)
    layers = [own.convert_conv(name, place, conv, table) for name, place, conv in convs(model)]
    way_out = "A checkpoint of low precision needs a larger tolerance; others are damaged."
    own.check_residuals(layers, tolerance, str(target), way_out)
    rows = [*layers, *(own.convert_norm(name, place, norm) for name, place, norm in norms(model))]
    places = {name: place for place, (name, _) in enumerate(model.named_modules())}
    rows.sort(key=lambda row: places[row.target or ""])
    if classes:
        rows.append(_convert_classifier(model, tensors))
    model.preprocessing, model.license = imagenet_preprocessing(model.in_chans, SIDE), None
    model.classes = imagenet_classes(classes)
    return model, ConversionReport(
        str(name_of(model)), tuple(rows), f"{SOURCE} of {own.group}", _notes(own.group, target)
    )


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same without the ``model.`` that a training module puts before all names."""
    if all(name.startswith("model.") for name in tensors):
        return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    return tensors


def _notes(own: PlanarGroup, target: PlanarGroup) -> tuple[str, ...]:
    sides = "any" if target.order == 1 else "1 mod 32 (225 instead of 224)"
    notes = [f"sides of the images: {sides}; there the outputs are those of the checkpoint"]
    if own != target:
        notes.append(
            f"one field of {own} is {own.order // target.order} tied fields of {target}: equal outputs and batch "
            f"statistics, but training does not keep the kernels those of {own}"
        )
    return tuple(notes)


def _check_names(architecture: str, order: int, tensors: dict[str, Tensor]) -> None:
    """Raises a `ValueError` if tensors are missing or unknown."""
    # The names depend on the depth and the order of the group alone.
    with torch.device("meta"):
        model = SteerableResNet(architecture, "c1", width=1, basis="pixel", downsampling="stride")
    known: set[str] = set()
    missing: list[str] = []
    for name, _, _ in convs(model):
        bases = basis_names(name, tensors)
        known |= {f"{name}.weights", f"{name}.filter", *(bases if len(bases) == 1 else ())}
        if f"{name}.filter" not in tensors and f"{name}.weights" not in tensors:
            missing.append(f"{name}.weights")
    for name, _, _ in norms(model):
        expected = [norm_name(name, order, statistic) for statistic in STATISTICS]
        known |= {*expected, norm_name(name, order, "num_batches_tracked"), f"{name}.indices_{order}"}
        missing += [key for key in expected if key not in tensors]
    known |= {f"gpool.{side}_indices_{order}" for side in ("in", "out")}
    if any(key in tensors for key in _CLASSIFIER):
        known |= set(_CLASSIFIER)
        missing += [key for key in _CLASSIFIER if key not in tensors]
    check_names(SOURCE, missing, [key for key in tensors if key not in known])


def _of_group(tensors: dict[str, Tensor], order: int, fields: int, of: PlanarGroup | None) -> EscnnLayers:
    """The layers over the group that their first filters are of: names tell its order alone, which two groups have.

    Raises:
        ValueError: if they are of neither or of another than `of`, functions are not known, or both groups fit.
    """
    groups = [PlanarGroup(order), *([PlanarGroup(order // 2, reflections=True)] if order % 2 == 0 else [])]
    words = " or ".join(map(str, groups))
    if of is not None and of not in groups:
        raise ValueError(f"of must be {words}, whose order {order} the norms of the file name; got {of}. Leave it out.")
    found: dict[PlanarGroup, tuple[float, EscnnLayers]] = {}
    for group in groups if of is None else [of]:
        layers = EscnnLayers(SOURCE, tensors, group, default_functions)
        if _is_known("conv1", layers):
            kernels, _ = layers.kernels("conv1", fields, _image_channels(layers, fields), 7, lifting=True)
            conv = SteerableConv2d(group, 1, 1, 7, lifting=True, bias=False)
            found[group] = layers.residual(kernels, conv), layers
    fitting = [layers for residual, layers in found.values() if residual <= FITTING]
    if of is None and len(fitting) > 1:
        raise ValueError(
            "the first filters must tell the group: the file has neither them nor the functions of a basis, or they "
            f"are zero, so that {words} fit it alike. Say which by of={groups[-1].name!r} or of={groups[0].name!r}."
        )
    if found and not fitting:
        raise ValueError(
            f"'conv1' of {SOURCE} must be filters of {words}, whose order its norms name; they are not, by "
            f"{min(residual for residual, _ in found.values()):.1e} of their length. Pass the state dict as it was "
            "saved."
        )
    if not fitting or (bare := [name for name in _bare(tensors) if not _is_known(name, fitting[0])]):
        first = "conv1" if not fitting else bare[0]
        raise ValueError(
            f"the coefficients of a filter need the 'sampled_basis' that they combine, or the 'filter' itself; "
            f"{first!r} has neither, and those of escnn 1.0.11 are known for C1, D1, C4, D4, C8 and D8 alone, not for "
            f"{words if of is None else of}. Save the state dict of the network after model.eval(), as a whole."
        )
    return fitting[0]


def _bare(tensors: dict[str, Tensor]) -> list[str]:
    """The convolutions of which the file has coefficients alone."""
    names = (name.removesuffix(".weights") for name in tensors if name.endswith(".weights"))
    return [name for name in names if not basis_names(name, tensors)]


def _is_known(name: str, layers: EscnnLayers) -> bool:
    """Whether the filter of a convolution is there or can be computed: its functions are those of its place."""
    if layers.has_filter(name) or layers.basis(name) is not None:
        return True
    return layers.stored(layers.group, 7 if name == "conv1" else 3, name == "conv1") is not None


def _image_channels(layers: EscnnLayers, fields: int) -> int:
    basis = layers.basis("conv1")
    if basis is None and layers.has_filter("conv1"):
        return known_rank(SOURCE, "conv1.filter", layers.tensors["conv1.filter"], 4)[1]
    functions = layers.stored(layers.group, 7, True) if basis is None else basis
    (coefficients,) = known_rank(SOURCE, "conv1.weights", layers.tensors["conv1.weights"], 1)
    # At least one, so that a number of coefficients that fits no image is refused like any other shape.
    return max(1, coefficients // (fields * (1 if functions is None else len(functions))))


def _convert_classifier(model: SteerableResNet, tensors: dict[str, Tensor]) -> ConvertedLayer:
    weight, bias = (tensors[name] for name in _CLASSIFIER)
    check_shape(SOURCE, _CLASSIFIER[0], weight, (model.num_classes, model.head_hidden_size))
    check_shape(SOURCE, _CLASSIFIER[1], bias, (model.num_classes,))
    model.fc.load_state_dict({"weight": weight, "bias": bias})
    return ConvertedLayer("fc", "fc", "exact", 0.0)
