"""A network of somebody's escnn modules as plain PyTorch: the same weights, the same outputs, and no escnn.

The network's own `forward`, and those of its blocks, are traced with escnn's `GeometricTensor` s around the traced
tensors, so that what they assert of types is asserted once, here. Layers with weights or with a mode become the layers
of `escnn_plain_layers`; what escnn computes pixel by pixel, such as its poolings, becomes the calls that it makes.

Its predecessor e2cnn has the same classes, and is treated alike: a network says by its modules whose they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from eqmodels.backbones.escnn_plain_layers import (
    BasisConv2d,
    Block,
    Blurred,
    ChannelMap,
    DropFields,
    LargestOfFields,
    Masked,
    NormOfFields,
    WindowMean,
)
from eqmodels.storage import reason_of

__all__ = ["plain_network"]

# escnn and e2cnn are untyped; the aliases say what an argument is.
EscnnModule = Any
EscnnLibrary = Any
Convert = Callable[[EscnnModule], nn.Module]

LIBRARIES = ("escnn", "e2cnn")
"""The packages whose modules are converted."""

TOLERANCE = 1e-5
"""The largest difference of a stored filter from what the weights give, as a share of its largest value."""

WINDOW_MEAN = "window_mean"
"""The name of what takes the place of a function of PyTorch that asks for numbers."""

TRACED = frozenset(
    {
        *("ELU", "LeakyReLU", "PointwiseNonLinearity", "ReLU"),
        *("PointwiseAdaptiveAvgPool", "PointwiseAdaptiveMaxPool", "PointwiseAvgPool", "PointwiseMaxPool"),
        *("IdentityModule", "RestrictionModule", "SequentialModule"),
    }
)
"""Modules without a weight or a mode, whose calls of PyTorch are kept; by name, see `_kind`."""


def plain_network(network: nn.Module) -> fx.GraphModule:
    """The network as a graph of plain layers under the names of its own; see `from_escnn`.

    Args:
        network: a module of escnn or e2cnn, or one with such modules inside; it is not changed.

    Raises:
        ValueError: if a layer is not covered, or its stored filter is not that of its weights; all layers that are not
            covered are named. Or if modules of both packages are inside.
        TypeError: if no module of either is inside, or a `forward` cannot be traced.
    """
    theirs = {name: module for name, module in network.named_modules() if _library_name(module) in LIBRARIES}
    if not theirs:
        raise TypeError(
            f"model must be made of modules of escnn or e2cnn; a {type(network).__name__} has none. Pass one that is."
        )
    if len({_library_name(module) for module in theirs.values()}) > 1:
        raise ValueError(
            "model must be made of modules of one package; got some of escnn and some of e2cnn. "
            "Convert the parts of each."
        )
    library = _library(next(iter(theirs.values())))
    known = [name for name, module in theirs.items() if isinstance(module, library.EquivariantModule)]
    missing = [
        f"{name or 'the network'}: {type(theirs[name]).__name__}"
        for name in known
        if _kind(theirs[name]) not in (TRACED | set(CONVERTED))
    ]
    if missing:
        raise ValueError(
            f"model must be made of {', '.join(sorted(TRACED | set(CONVERTED)))}; not covered: {'; '.join(missing)}. "
            "Convert the parts around them."
        )
    with _lenient(library.GeometricTensor):
        graph = _traced(network, library)
    names = {node.target for node in graph.nodes if node.op in ("call_module", "get_attr")}
    parts = {name: WindowMean() if name == WINDOW_MEAN else _own(network, name) for name in names}
    plain = fx.GraphModule(parts, graph, type(network).__name__)
    for name, part in plain.named_modules():
        is_theirs = name in parts and name != WINDOW_MEAN
        part.training = network.get_submodule(name).training if is_theirs else network.training
    return plain


def _own(network: nn.Module, name: str) -> nn.Module | Tensor:
    """What the graph calls or reads under a name, sharing no memory with the network."""
    parent, _, last = name.rpartition(".")
    found: nn.Module | Tensor = getattr(network.get_submodule(parent), last)
    if isinstance(found, nn.Parameter):
        return nn.Parameter(found.detach().clone(), found.requires_grad)
    if isinstance(found, Tensor):
        return found.detach().clone()
    if not _is_converted(found):
        return copy.deepcopy(found)
    return CONVERTED[_kind(found)](found).to(_place_of(found))


def _place_of(layer: nn.Module) -> torch.device:
    return next((value.device for value in (*layer.parameters(), *layer.buffers())), torch.device("cpu"))


def _library_name(module: nn.Module) -> str:
    """The package that a module's class is of."""
    return type(module).__module__.split(".")[0]


def _library(module: EscnnModule) -> EscnnLibrary:
    """`escnn.nn` or `e2cnn.nn`, whichever a module is of; it is imported already."""
    return import_module(f"{_library_name(module)}.nn")


def _kind(module: nn.Module) -> str:
    """The name under which both packages export a module's class; escnn's of poolings end in 2D."""
    return type(module).__name__.removesuffix("2D")


def _is_converted(layer: nn.Module) -> bool:
    return _library_name(layer) in LIBRARIES and _kind(layer) in CONVERTED


@contextmanager
def _lenient(kind: Any) -> Iterator[None]:  # noqa: ANN401
    """A context in which a `GeometricTensor` is made around anything, such as what stands for a tensor."""
    strict, function = kind.__init__, F.avg_pool2d

    def init(self: Any, tensor: Any, type: Any, coords: Any = None) -> None:  # noqa: ANN401
        self.tensor, self.type, self.coords = tensor, type, coords

    def avg_pool2d(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        # PyTorch's own asks for numbers before it asks what stands for a tensor; here its window may be a map's size.
        if isinstance(args[0], fx.Proxy):
            return args[0].tracer.create_proxy("call_module", WINDOW_MEAN, args, kwargs)
        return function(*args, **kwargs)

    kind.__init__, F.avg_pool2d = init, avg_pool2d
    try:
        yield
    finally:
        kind.__init__, F.avg_pool2d = strict, function


class _Tracer(fx.Tracer):
    """Traces through modules of escnn or e2cnn: those that are converted are single calls of a tensor."""

    def __init__(self, library: EscnnLibrary) -> None:
        super().__init__()
        self.library = library

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one call: what is converted, and PyTorch's own."""
        return _is_converted(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        """A call whose fields are plain tensors inside the graph."""
        if not _is_converted(m):
            return super().call_module(m, forward, args, kwargs)
        (fields,) = args
        called = super().call_module(m, forward, (fields.tensor,), kwargs)
        return self.library.GeometricTensor(called, m.out_type)


class _OnTensor(nn.Module):
    """A network from a tensor to a tensor, whatever it takes and gives itself."""

    def __init__(self, network: nn.Module, library: EscnnLibrary) -> None:
        super().__init__()
        self.network, self.library = network, library

    def forward(self, maps: Tensor) -> Tensor:
        fields = maps
        if isinstance(self.network, self.library.EquivariantModule):
            fields = self.library.GeometricTensor(maps, self.network.in_type)
        found: Any = self.network(fields)
        result: Tensor = getattr(found, "tensor", found) if isinstance(found, self.library.GeometricTensor) else found
        return result


def _traced(network: nn.Module, library: EscnnLibrary) -> fx.Graph:
    """The graph of a network, from a tensor to a tensor, with the names of its own modules."""
    whole = _OnTensor(network, library)
    try:
        graph = _Tracer(library).trace(whole)
    except Exception as error:
        raise TypeError(
            f"model must be traced by torch.fx; the forward of {type(network).__name__}, or of a block in it, cannot "
            f"be ({reason_of(error)}). Convert its parts, each of which is a module."
        ) from error
    for node in graph.nodes:
        node.type = None  # the words of an annotation, which a pickle cannot import
        if node.op in ("call_module", "get_attr"):
            node.target = str(node.target).removeprefix("network").removeprefix(".")
    graph._tracer_cls = None  # it is asked for by whoever unpickles
    return graph


def _convolution(layer: EscnnModule) -> nn.Module:
    """`R2Conv`."""
    expansion = layer.basisexpansion
    filters, bias = layer.expand_parameters()
    stored = getattr(layer, "filter", None)
    if stored is not None and not layer.training and not _agree(stored, filters):
        raise ValueError(
            "model must compute with its weights; a filter that an R2Conv stored when it was put into eval mode is "
            "not what its weights give now. Call model.train() and model.eval() first."
        )
    size, blocks = layer.in_type.size // layer.groups, []
    for pair in expansion._representations_pairs:
        into, out = (
            torch.tensor(_channels(kind, name, limit))
            for kind, name, limit in ((layer.in_type, pair[0], size), (layer.out_type, pair[1], None))
        )
        # escnn takes the dots out of the names of representations, and e2cnn leaves them as they are.
        place = expansion._escape_pair(pair) if hasattr(expansion, "_escape_pair") else pair
        basis = getattr(expansion, f"block_expansion_{place}").sampled_basis
        blocks.append(Block(basis.detach(), out, into))
    padding = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,) * 2
    return BasisConv2d(
        blocks,
        layer.weights,
        (layer.out_type.size, size),
        layer.kernel_size,
        bias=layer.bias,
        vectors=None if bias is None else layer.bias_expansion,
        stride=layer.stride,
        padding=padding,
        dilation=layer.dilation,
        groups=layer.groups,
        padding_mode=layer.padding_mode,
    )


def _agree(stored: Tensor, expanded: Tensor) -> bool:
    return float((stored - expanded).detach().abs().max()) <= TOLERANCE * float(expanded.detach().abs().max())


def _channels(fields: Any, name: str, limit: int | None) -> list[int]:  # noqa: ANN401
    """The channels of all fields of a representation, field by field, of the first so many."""
    places: list[int] = []
    start = 0
    for representation in fields.representations:
        end = start + representation.size
        if representation.name == name and (limit is None or end <= limit):
            places += range(start, end)
        start = end
    return places


def _by_size(fields: Any) -> tuple[dict[int, Tensor], dict[int, Tensor]]:  # noqa: ANN401
    """The channels of all fields of each size, field by field, and the numbers of these fields."""
    channels: dict[int, list[int]] = {}
    numbers: dict[int, list[int]] = {}
    start = 0
    for number, representation in enumerate(fields.representations):
        channels.setdefault(representation.size, []).extend(range(start, start + representation.size))
        numbers.setdefault(representation.size, []).append(number)
        start += representation.size
    return tuple(  # type: ignore[return-value]
        {size: torch.tensor(values) for size, values in found.items()} for found in (channels, numbers)
    )


def _norm(layer: EscnnModule) -> nn.Module:
    """`InnerBatchNorm`."""
    channels, _ = _by_size(layer.in_type)
    return NormOfFields(channels, {size: copy.deepcopy(getattr(layer, f"batch_norm_[{size}]")) for size in channels})


def _linear(layer: EscnnModule) -> nn.Module:
    """A fixed linear map of the channels, by its value on each of them."""
    unit = torch.eye(layer.in_type.size)[..., None, None]
    mapped = layer(_library(layer).GeometricTensor(unit.to(_place_of(layer)), layer.in_type)).tensor
    return ChannelMap(mapped[..., 0, 0].T)


def _blurred_largest(layer: EscnnModule) -> nn.Module:
    """`PointwiseMaxPoolAntialiased`."""
    largest = nn.MaxPool2d(layer.kernel_size, 1, layer.padding, layer.dilation, ceil_mode=layer.ceil_mode)
    return nn.Sequential(largest, Blurred(layer.filter, layer.stride, layer._pad))


CONVERTED: dict[str, Convert] = {
    "R2Conv": _convolution,
    "InnerBatchNorm": _norm,
    "FieldDropout": lambda layer: DropFields(_by_size(layer.in_type)[0], layer.p),
    "PointwiseDropout": lambda layer: nn.Dropout(layer.p),
    "GroupPooling": lambda layer: LargestOfFields(*_by_size(layer.in_type)),
    "DisentangleModule": _linear,
    "ReshuffleModule": _linear,
    "PointwiseAvgPoolAntialiased": lambda layer: Blurred(layer.filter, layer.stride, layer.padding),
    "PointwiseMaxPoolAntialiased": _blurred_largest,
    "R2Upsampling": lambda layer: nn.Upsample(layer._size, layer._scale_factor, layer._mode, layer._align_corners),
    "MaskModule": lambda layer: Masked(layer.mask),
}
"""What modules with weights, constants or a mode become, by name, see `_kind`."""
