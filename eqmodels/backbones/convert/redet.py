"""ReDet's rotation-equivariant ResNet (ReResNet), trained with e2cnn, as a steerable ResNet of this package.

Source: Han, Ding, Xue and Xia 2021, arXiv 2103.07733; the kernels: Weiler and Cesa 2019, arXiv 1911.08251.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from eqmodels.arguments import check_arguments
from eqmodels.backbones.convert.escnn_layers import (
    STATISTICS,
    EscnnLayers,
    basis_names,
    convs,
    first_norm,
    norm_name,
    norms,
)
from eqmodels.backbones.convert.report import ConvertedLayer, RedetReport
from eqmodels.backbones.convert.state import (
    check_names,
    check_shape,
    checked_tensors,
    known_rank,
    resnet_architecture,
)
from eqmodels.backbones.describe import name_of
from eqmodels.backbones.resnet import RESNET_DEPTHS, Downsampling, SteerableResNet
from eqmodels.backbones.stages import check_option
from eqmodels.groups import PlanarGroup

__all__ = ["from_redet"]

SOURCE = "a ReResNet"

TOLERANCE = 1e-2
"""Above the rounding of bfloat16 (1e-3), far below the residual of filters of another group (0.6 to 0.9)."""

_CLASSIFIER = ("head.fc.weight", "head.fc.bias")


@torch.no_grad()
def from_redet(
    state: Mapping[str, Tensor], *, tolerance: float = TOLERANCE, downsampling: Downsampling = "pool"
) -> tuple[SteerableResNet, RedetReport]:
    """A ReResNet-18, -34, -50 or -101 over C_N from its state dict, and what became of each of its layers.

    Every convolution, every batch norm and the classifier are mapped: the filters by least squares on the harmonic
    basis, their relative residual in the report. ReDet halves a map by convolutions of stride 2, which break exactness
    at even sizes. With ``downsampling="stride"`` the network does so too and is the same function, all layers, where
    that is exact: at sides that are ``1 mod 32``, 1,025 for instance. ReDet's own 1,024 is not one and is refused. With
    ``"pool"``, which takes every size, it is *not* the same function: the first blocks of layer2, layer3 and layer4
    apply the same kernels at stride 1 to a mean over neighbouring pixels. Up to there both agree: at image sizes
    ``4 n + 1`` stem and layer1 put out ReDet's own features. What comes after them is a start for training.

    The checkpoint may be that of the backbone, of its classifier (``head.fc``, which reads the pooled regular fields)
    or of a whole detector (names under ``backbone.``; the rest of it is not mapped), and all names may start with
    ``module.``. Group, width and image channels are read off the shapes. Of the two forms of a filter ``weights`` with
    their ``sampled_basis`` prevail: ``filter`` is a copy that e2cnn leaves as it was when the weights change.

    Args:
        state: names and tensors, such as ``torch.load(file, weights_only=True)["state_dict"]``.
        tolerance: the largest relative residual of a filter, in [0, 1).
        downsampling: ``"pool"``, exact at every size, or ``"stride"``, ReDet's own, see `SteerableResNet`.

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
    check_arguments(from_redet, {"tolerance": tolerance, "downsampling": downsampling})
    check_option("downsampling", downsampling, Downsampling)
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be a relative residual in [0, 1); got {tolerance}. Use {TOLERANCE}.")
    tensors, beside = _backbone(checked_tensors(state, SOURCE))
    architecture = resnet_architecture(tensors, SOURCE)
    order, fields = first_norm(SOURCE, tensors)
    group = PlanarGroup(order)
    _check_names(architecture, group, tensors)
    own = EscnnLayers(SOURCE, tensors, group)

    classes = known_rank(SOURCE, _CLASSIFIER[0], tensors[_CLASSIFIER[0]], 2)[0] if _CLASSIFIER[0] in tensors else 0
    model = SteerableResNet(
        architecture,
        group,
        width=fields * order,
        in_chans=_image_channels(own, fields),
        num_classes=classes,
        global_pool="regular" if classes else "invariant",
        kernel_size=3,
        basis="harmonic",
        downsampling=downsampling,
    )
    reference = tensors[norm_name("bn1", order, "weight")]
    model.to(reference.device, reference.dtype)
    whole = group.restriction(group)
    layers = [own.convert_conv(name, target, conv, whole) for name, target, conv in convs(model)]
    own.check_residuals(
        layers,
        tolerance,
        f"{group} with the frequency cut-off 3r",
        "Networks of another group or cut-off have no counterpart; a checkpoint of low precision needs a larger "
        "tolerance.",
    )
    statistics = [own.convert_norm(name, target, norm) for name, target, norm in norms(model)]
    rows = _in_forward_order(model, architecture, [*layers, *statistics])
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


def _check_names(architecture: str, group: PlanarGroup, tensors: dict[str, Tensor]) -> None:
    """Raises a `ValueError` if tensors are missing or unknown, or a filter is not there in either form."""
    # The names depend on the depth and the group alone.
    model = SteerableResNet(architecture, group, width=group.order, basis="harmonic")
    known: set[str] = set()
    missing: list[str] = []
    bare: list[str] = []
    for name, _, _ in convs(model):
        known |= {f"{name}.weights", f"{name}.filter", *basis_names(name, tensors)}
        if f"{name}.filter" not in tensors and len(basis_names(name, tensors)) != 1:
            (bare if f"{name}.weights" in tensors else missing).append(f"{name}.weights")
        elif f"{name}.filter" not in tensors and f"{name}.weights" not in tensors:
            missing.append(f"{name}.weights")
    for name, _, _ in norms(model):
        expected = [norm_name(name, group.order, statistic) for statistic in STATISTICS]
        known |= {*expected, norm_name(name, group.order, "num_batches_tracked"), f"{name}.indices_{group.order}"}
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


def _image_channels(layers: EscnnLayers, fields: int) -> int:
    tensors, basis = layers.tensors, layers.basis("conv1")
    if basis is None:
        return known_rank(SOURCE, "conv1.filter", tensors["conv1.filter"], 4)[1]
    (coefficients,) = known_rank(SOURCE, "conv1.weights", tensors["conv1.weights"], 1)
    # At least one, so that a number of coefficients that fits no image is refused like any other shape.
    return max(1, coefficients // (fields * len(basis)))


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
    if model.structure["downsampling"] == "stride":
        return ordered
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
