"""A steerable network as a stock one: every group convolution becomes the `Conv2d` that it computes."""

from __future__ import annotations

import copy
import inspect
import math
from collections import OrderedDict
from functools import singledispatch
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import skip_init

from eqmodels import checks
from eqmodels._shapes import Float
from eqmodels.backbones import Backbone, Canonical, Orbit
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_weights import from_escnn
from eqmodels.errors import shown
from eqmodels.export.fold import fold_batch_norms
from eqmodels.layers import (
    ExactDownsample2d,
    FieldBatchNorm2d,
    FieldLayerNorm2d,
    OddSize2d,
    SteerableConv2d,
    SteerableLinear,
)
from eqmodels.layers.open_sizes import halved, made_odd
from eqmodels.transforms import Preprocessing

__all__ = ["check_any_size", "fixed_size", "to_plain"]

M = TypeVar("M", bound=nn.Module)
Size: TypeAlias = tuple[int, int]
Sizes: TypeAlias = dict[nn.Module, Size]
"""Of the maps that adaptive poolings meet; of none of them if the network is for any size."""


def to_plain(
    model: Backbone, *, size: int | tuple[int, int] | Literal["any"] | None = None, fold_batch_norm: bool = False
) -> nn.Sequential:
    """The network as stock `torch.nn` modules with the same child names and, in eval mode, the same outputs.

    The result is an ``nn.Sequential`` of `stem`, `layer1` .. `layer4`, `global_pool` and `fc` (of a dense network, of
    its decoder and these two), each of which can be called alone. Convolutions, norms, poolings and linear layers are
    stock modules; what has a `forward` of its own (a residual block, the pooling of the fibre) is a
    `torch.fx.GraphModule`: the few stock calls that it makes, traced once its children had become stock. So nothing of
    this package is left inside, the state dict reads like a ResNet's (``layer1.0.conv1.weight``), and the pickled
    network loads where this package is not installed.

    Of an adapted network its only stage stays what it is, around a network whose code is another package's.

    The export is for inference. In train mode its batch-norms use one statistic a channel and its filters are free, so
    it trains as an ordinary network that was initialised equivariant.

    Adaptive pooling becomes pooling with the fixed windows that it has at `size`: these depend on which feature maps
    along the depth are even and which odd, and on nothing else. The outputs therefore agree at every size with the same
    parities: at all multiples of 8 for a network that halves three times. At other sizes the exported network still
    runs, but pools otherwise and may lose the last row or column: its outputs differ and are not exactly equivariant.
    With ``size="any"`` pooling has no fixed windows: pixels are picked by number, which takes longer, and outputs agree
    at every size. `size` is recorded as the attribute `size` of the result, a pair (height, width) or ``"any"``.

    Args:
        model: an encoder of this package, with either backend. It is not changed and shares no memory with the result,
            which has its mode, device and dtype.
        size: pixels of the images, one number or (height, width); ``"any"``; None for the size of the images that the
            network was trained on, 32 if nothing is known of them.
        fold_batch_norm: whether batch-norms that follow a convolution are folded into it and replaced by ``Identity``.
            Those of a pre-activation network that follow a sum stay.

    Raises:
        TypeError: if the model is no encoder of this package, or `size` not an integer or a pair of integers.
        ValueError: if `size` is not positive, a network in train mode is to be folded, or a network with strided
            convolutions, which are exact at some sizes alone, is to be for any size.

    Example:
        >>> from eqmodels import create_model
        >>> model = create_model("c4_resnet18s_w16", num_classes=10).eval()
        >>> plain = to_plain(model, size=(28, 40))
        >>> images = torch.randn(2, 3, 28, 40)
        >>> torch.allclose(plain(images), model(images), atol=1e-5)
        True
        >>> plain.get_submodule("layer1.0.conv1")
        Conv2d(16, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    if not isinstance(model, Backbone):
        raise TypeError(
            f"model must be an encoder of this package; got a {type(model).__name__}. "
            "Export the encoder inside it, and put the result in its place."
        )
    if fold_batch_norm and model.training:
        raise ValueError(
            "fold_batch_norm replaces batch statistics by running ones, so the model must be in eval mode; got train "
            "mode. Call model.eval() first."
        )
    fixed = fixed_size(model, size)
    own = from_escnn(model) if isinstance(model, EscnnResNet) else copy.deepcopy(model)
    if fixed is None:
        check_any_size(own, own.in_chans)
    sizes = {} if fixed is None else _pooled_sizes(own, fixed)
    with torch.no_grad(), torch.autocast(next(own.parameters()).device.type, enabled=False):
        plain = _convert_children(nn.Sequential(OrderedDict(own.named_children())), sizes)
        if fold_batch_norm:
            fold_batch_norms(plain)
    plain.training = model.training
    # Modules declare that attributes are tensors or modules.
    vars(plain)["size"] = fixed or "any"
    return plain


def fixed_size(model: nn.Module, size: int | tuple[int, int] | Literal["any"] | None) -> Size | None:
    """Height and width of the images that a network is exported for; None for any.

    Args:
        model: which may say the size of its images by its `preprocessing`.
        size: that was asked for; None for the network's own, 32 if nothing is known of it.

    Raises:
        TypeError: if it is no integer, no pair of integers, and not ``"any"``.
        ValueError: if it is not positive.
    """
    if isinstance(size, str) and size == "any":
        return None
    known = getattr(model, "preprocessing", None)
    own = known.size if isinstance(known, Preprocessing) else (32, 32)
    return _pair(own if size is None else size)


def check_any_size(network: nn.Module, in_chans: int) -> None:
    """Refuses a network that is exact at some sizes alone, which a graph for any size could not refuse.

    A strided convolution asks for a remainder of the maps that it meets, so sizes are tried on the device ``meta``
    until remainders repeat.

    Raises:
        ValueError: if there is such a size.
    """
    strides = [layer.stride for layer in network.modules() if isinstance(layer, SteerableConv2d) and layer.stride > 1]
    if not strides:
        return
    period = math.prod(strides) * 2 ** sum(isinstance(layer, ExactDownsample2d) for layer in network.modules())
    ghost = copy.deepcopy(network).eval().to("meta")
    images = torch.empty(1, in_chans, 1, 1, dtype=next(ghost.parameters()).dtype, device="meta")
    for pixels in range(64, 64 + min(period, 64)):
        try:
            with torch.no_grad():
                ghost(images.expand(-1, -1, pixels, pixels))
        except ValueError as error:
            raise ValueError(
                "size must be a number, as the network has strided convolutions that are exact at some sizes alone; "
                f"got 'any'. Pass the size of the images. (With {pixels} pixels: {error})"
            ) from error


def _pair(size: int | tuple[int, int]) -> Size:
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(pair) != 2 or any(isinstance(pixels, bool) or not isinstance(pixels, int) for pixels in pair):
        raise TypeError(
            f"size must be an integer or a pair (height, width) of integers; got {shown(size)}. Pass, say, 32."
        )
    if min(pair) < 1:
        raise ValueError(f"size must be at least one pixel along both axes; got {shown(size)}. Pass, say, 32.")
    return checks.check_count("size", pair[0]), checks.check_count("size", pair[1])


def _pooled_sizes(model: Backbone, size: Size) -> Sizes:
    """The size of the maps that every adaptive pooling meets, from one forward pass without data."""
    ghost = copy.deepcopy(model).eval().to("meta")
    met: dict[str, Size] = {}
    for name, module in ghost.named_modules():
        if isinstance(module, (ExactDownsample2d, OddSize2d)):

            def note(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                met[name] = (inputs[0].shape[-2], inputs[0].shape[-1])

            module.register_forward_pre_hook(note)
    dtype = next(ghost.parameters()).dtype
    with torch.no_grad():
        ghost(torch.empty(1, model.in_chans, *size, dtype=dtype, device="meta"))
    return {model.get_submodule(name): met_size for name, met_size in met.items()}


def _convert_children(module: M, sizes: Sizes) -> M:
    for name, child in module.named_children():
        module.add_module(name, _convert(child, sizes))
    return module


@singledispatch
def _convert(module: nn.Module, sizes: Sizes) -> nn.Module:
    """The stock equivalent of a module that may be taken apart; types without an entry are traced."""
    if type(module).__module__.startswith("torch.nn."):
        return module
    for name, child in module.named_children():
        module.add_module(name, _convert(child, sizes))
    return _traced(module)


@_convert.register(nn.Sequential)
@_convert.register(nn.ModuleList)
def _(module: nn.Module, sizes: Sizes) -> nn.Module:
    return _convert_children(module, sizes)


@_convert.register
def _(module: SteerableConv2d, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    conv: nn.Conv2d = skip_init(
        nn.Conv2d,
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        padding_mode=module.padding_mode,
        bias=module.bias is not None,
    )
    trainable = module.weight.requires_grad
    # Contiguous, like every stock Conv2d; the caller may choose channels-last for the whole network.
    conv.weight = nn.Parameter(module.expanded().contiguous(), trainable)
    bias = module.expanded_bias()
    conv.register_parameter("bias", None if bias is None else nn.Parameter(bias, trainable))
    return conv.train(module.training)


@_convert.register
def _(module: SteerableLinear, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    linear: nn.Linear = skip_init(nn.Linear, module.in_channels, module.out_channels, bias=module.bias is not None)
    trainable = module.weight.requires_grad
    linear.weight = nn.Parameter(module.expanded().flatten(1).contiguous(), trainable)
    bias = None if module.bias is None else nn.Parameter(module.bias.repeat(module.group.order), trainable)
    linear.register_parameter("bias", bias)
    return linear.train(module.training)


@_convert.register
def _(module: FieldBatchNorm2d, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    bn, order = module.bn, module.group.order * module.tied
    # SyncBatchNorm and frozen norms, of which some have neither attribute, become the BatchNorm2d of inference.
    eps, momentum = getattr(bn, "eps", 1e-5), getattr(bn, "momentum", 0.1)
    plain = nn.BatchNorm2d(module.group.order * module.fields, eps=eps, momentum=momentum)
    learned = dict(bn.named_parameters())
    for name, value in [*learned.items(), *bn.named_buffers()]:
        repeated = value.repeat(order) if value.dim() else value
        is_parameter = name in ("weight", "bias")  # a frozen norm keeps even these as buffers
        setattr(
            plain, name, nn.Parameter(repeated, name in learned and value.requires_grad) if is_parameter else repeated
        )
    return plain.train(module.training)


@_convert.register
def _(module: ExactDownsample2d, sizes: Sizes) -> nn.Module:
    if module not in sizes:
        return _traced(_Halving(module.mode).train(module.training))
    # The adaptive windows are pairs at even sizes, and triples that overlap by one at odd sizes.
    height, width = (2 + pixels % 2 for pixels in sizes[module])
    kernel_size, padding = (height, width), (height - 2, width - 2)
    pool = (
        nn.AvgPool2d(kernel_size, 2, padding, count_include_pad=False)
        if module.mode == "mean"
        else nn.MaxPool2d(kernel_size, 2, padding)
    )
    return pool.train(module.training)


@_convert.register
def _(module: OddSize2d, sizes: Sizes) -> nn.Module:
    if module not in sizes:
        return _traced(_MakingOdd().train(module.training))
    height, width = sizes[module]
    return nn.AvgPool2d((2 - height % 2, 2 - width % 2), stride=1).train(module.training)


@_convert.register(Canonical)
@_convert.register(Orbit)
def _(module: nn.Module, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    return module  # around a network of others, whose code this package does not take apart


@_convert.register
def _(module: FieldLayerNorm2d, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    order = module.group.order
    norm = nn.LayerNorm(order * module.fields, eps=module.eps)
    norm.weight = nn.Parameter(module.weight.repeat(order), module.weight.requires_grad)
    norm.bias = nn.Parameter(module.bias.repeat(order), module.bias.requires_grad)
    return _traced(_PixelNorm(norm).train(module.training))


class _PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel; torch has no single module for it."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        normalised: Tensor = self.norm(maps.permute(0, 2, 3, 1))
        return normalised.permute(0, 3, 1, 2)


class _Halving(nn.Module):
    """`ExactDownsample2d` at every size; torch has no module for it."""

    def __init__(self, mode: Literal["mean", "max"]) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        return halved(maps, self.mode)


class _MakingOdd(nn.Module):
    """`OddSize2d` at every size."""

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        return made_odd(maps)


class _ChildrenAreLeaves(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return True


def _traced(module: nn.Module) -> fx.GraphModule:
    """The module's own `forward` as a graph of calls; its children are stock already."""
    name = type(module).__name__.lstrip("_")
    # What decorates `forward` (shape checks at run time, for instance) asks for tensors; tracing passes proxies.
    module.__class__ = type(name, (type(module),), {"forward": inspect.unwrap(type(module).forward)})
    try:
        traced = _ChildrenAreLeaves().trace(module)
    except Exception as error:
        raise TypeError(
            f"to_plain knows no stock equivalent of {name} and cannot trace it ({error}). "
            "Export a native model of this package, for instance create_model('c4_resnet18s')."
        ) from error
    # A pickled network must not ask for this package: a fresh graph does not remember the tracer, a class defined here,
    # and nothing the annotations of `forward`.
    graph = fx.Graph()
    graph.output(graph.graph_copy(traced, {}))
    for node in list(graph.nodes):
        node.type = None
        # A check of the input returns it: what is left of it is its first argument.
        if node.op == "call_function" and node.target.__module__ == checks.__name__:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return fx.GraphModule(module, graph, name)
