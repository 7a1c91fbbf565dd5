"""A steerable network as a stock one: every group convolution becomes the `Conv2d` that it computes."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from functools import singledispatch
from typing import Literal, TypeVar, overload

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import skip_init

from eqmodels import checks
from eqmodels._shapes import Float
from eqmodels.backbones import Backbone, Canonical, Orbit, Upright
from eqmodels.backbones.adapted.posing import PoseNetwork
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_weights import from_escnn
from eqmodels.backbones.foreign import ForeignEncoder
from eqmodels.export.adapted import (
    StockCanonical,
    StockOrbit,
    StockPose,
    StockUpright,
    StockWeighted,
    takes_one_pass,
)
from eqmodels.export.fold import fold_batch_norms
from eqmodels.export.sizes import (
    AnySize,
    Sizes,
    channels_of,
    check_any_size,
    example_of,
    fixed_size,
    holds_own_modules,
    is_own,
    kind_of,
    met_sizes,
)
from eqmodels.layers import (
    ExactDownsample2d,
    FieldBatchNorm2d,
    FieldLayerNorm2d,
    OddSize2d,
    SteerableConv2d,
    SteerableLinear,
)
from eqmodels.layers.open_sizes import halved, made_odd

__all__ = ["to_plain"]

M = TypeVar("M", bound=nn.Module)


@overload
def to_plain(
    model: Backbone, *, size: AnySize = None, in_chans: int | None = None, fold_batch_norm: bool = False
) -> nn.Sequential: ...


@overload
def to_plain(
    model: nn.Module, *, size: AnySize = None, in_chans: int | None = None, fold_batch_norm: bool = False
) -> nn.Module: ...


def to_plain(
    model: nn.Module, *, size: AnySize = None, in_chans: int | None = None, fold_batch_norm: bool = False
) -> nn.Module:
    """The network as stock `torch.nn` modules with the same child names and, in eval mode, the same outputs.

    The result is an ``nn.Sequential`` of `stem`, `layer1` .. `layer4`, `global_pool` and `fc` (of a dense network, of
    its decoder and these two), each of which can be called alone. Convolutions, norms, poolings and linear layers are
    stock modules; what has a `forward` of its own (a residual block, the pooling of the fibre) is a
    `torch.fx.GraphModule`: the few stock calls that it makes, traced once its children had become stock. So nothing of
    this package is left inside, the state dict reads like a ResNet's (``layer1.0.conv1.weight``), and the pickled
    network loads where this package is not installed.

    Of an adapted network the copies of the images, their pose and the way back become such calls too, around a network
    that stays what it is: its code is another package's. A function in the place of a network, or of a pose, that
    cannot be traced keeps its stage as it is.

    A module around encoders or layers of this package, such as a classifier of one's own, or timm's or torchvision's
    extractors of features, is converted in the same way; what is in it of others stays as it is.

    Counters that multiply the parameters of a layer by its pixels, such as torchinfo, see every multiply-add of the
    result; of the network itself they count ``|G|`` times too few, as its filters are copies of one small weight.

    The export is for inference. In train mode its batch-norms use one statistic a channel and its filters are free, so
    it trains as an ordinary network that was initialised equivariant.

    Adaptive pooling becomes pooling with the fixed windows that it has at `size`: these depend on which feature maps
    along the depth are even and which odd, and on nothing else. The outputs therefore agree at every size with the same
    parities: at all multiples of 8 for a network that halves three times. At other sizes the exported network still
    runs, but pools otherwise and may lose the last row or column: its outputs differ and are not exactly equivariant.
    With ``size="any"`` pooling has no fixed windows: pixels are picked by number, which takes longer, and outputs agree
    at every size. `size` is recorded as the attribute `size` of the result, a pair (height, width) or ``"any"``.

    Args:
        model: an encoder of this package, with either backend, or a module around some. It is not changed and shares
            no memory with the result, which has its mode, device and dtype.
        size: pixels of the images, one number or (height, width); ``"any"``; None for the size of the images that the
            network was trained on, 32 if nothing is known of them.
        in_chans: channels of the images, of a module that does not say so itself; None for its attribute `in_chans`.
        fold_batch_norm: whether batch-norms that follow a convolution are folded into it and replaced by ``Identity``.
            Those of a pre-activation network that follow a sum stay.

    Raises:
        TypeError: if the model is no encoder of this package and has no layer of it inside, has one in a `forward` that
            cannot be traced or is taken apart already, or `size` is no integer and no pair of integers.
        ValueError: if `size` is not positive, the channels are not known or not those of the module, a network in train
            mode is to be folded, or a network with strided convolutions, which are exact at some sizes alone, is to be
            for any size.

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
    _refuse_graph(model)
    if not isinstance(model, nn.Module) or not holds_own_modules(model):
        raise TypeError(
            f"model must be an encoder of this package, or a module around one; got a {type(model).__name__}, in which "
            "there is none. Export it by PyTorch itself."
        )
    channels = channels_of(model, in_chans)
    if fold_batch_norm and model.training:
        raise ValueError(
            "fold_batch_norm replaces batch statistics by running ones, so the model must be in eval mode; got train "
            "mode. Call model.eval() first."
        )
    fixed = fixed_size(model, size)
    own = from_escnn(model) if isinstance(model, EscnnResNet) else copy.deepcopy(model)
    if fixed is None:
        check_any_size(own, channels)
    sizes = met_sizes(own, channels, fixed)
    with torch.no_grad(), torch.autocast(kind_of(own)["device"].type, enabled=False):
        if isinstance(own, Backbone):
            plain: nn.Module = _convert_children(nn.Sequential(OrderedDict(own.named_children())), sizes)
        else:
            plain = _convert_within(own, sizes)
        if fold_batch_norm:
            fold_batch_norms(plain)
    plain.training = model.training
    # Modules declare that attributes are tensors or modules.
    vars(plain)["size"] = fixed or "any"
    return plain


def _refuse_graph(module: object) -> None:
    """Refuses what torch.fx has made of layers of this package: their weights are in it, without the layers."""
    if isinstance(module, fx.GraphModule):
        raise TypeError(
            f"model must not be taken apart already; got a graph of torch.fx of a {type(module).__name__}. Convert the "
            "network, and make the graph of the result; or export it as 'onnx' or 'torch.export'."
        )


def _convert_children(module: M, sizes: Sizes) -> M:
    for name, child in module.named_children():
        module.add_module(name, _convert(child, sizes))
    return module


def _convert_within(module: nn.Module, sizes: Sizes) -> nn.Module:
    """A module of others in which parts of this package are converted, and the rest stays what it is."""
    if not holds_own_modules(module):
        return module
    if isinstance(module, Backbone) or type(module) in _convert.registry or is_own(module):
        return _convert(module, sizes)
    _refuse_graph(module)
    for name, child in module.named_children():
        module.add_module(name, _convert_within(child, sizes))
    return module if type(module).__module__.startswith("torch.nn.") else _traced(module)


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
@_convert.register(PoseNetwork)
@_convert.register(Upright)
def _(module: Canonical | Orbit | PoseNetwork | Upright, sizes: Sizes) -> nn.Module:
    example = example_of(module, sizes)

    def convert(child: nn.Module) -> nn.Module:
        return _convert_within(child, sizes)

    kind, training = type(module).__name__, module.training
    made: nn.Module
    try:
        if isinstance(module, PoseNetwork):
            made = StockPose(module, example, convert)
        elif isinstance(module, Upright):
            made = StockUpright(module, example, convert)
        elif isinstance(module, Orbit):
            made = StockOrbit(module, example, convert)
        elif takes_one_pass(module, example):
            made = StockCanonical(module, example, convert)
        else:
            made = StockWeighted(
                module, _convert(module.orbit, sizes | {module.orbit: tuple(example.shape[1:])}), convert
            )
        made.training = training  # and of its parts each its own, which a frozen pose needs
        made = _traced(made, kind)
    except Exception:
        return module  # a function of images that no graph shows
    return made


@_convert.register
def _(module: ForeignEncoder, sizes: Sizes) -> nn.Module:
    network = module.network  # around which there are checks alone
    return _convert_within(network, sizes) if isinstance(network, nn.Module) else _traced(_Called(network))


@_convert.register
def _(module: FieldLayerNorm2d, sizes: Sizes) -> nn.Module:  # noqa: ARG001
    order = module.group.order
    norm = nn.LayerNorm(order * module.fields, eps=module.eps)
    norm.weight = nn.Parameter(module.weight.repeat(order), module.weight.requires_grad)
    norm.bias = nn.Parameter(module.bias.repeat(order), module.bias.requires_grad)
    return _traced(_PixelNorm(norm).train(module.training))


class _Called(nn.Module):
    """A function of images."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        return self.function(images)


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


def _traced(module: nn.Module, name: str | None = None) -> fx.GraphModule:
    """The module's own `forward` as a graph of calls, under a name; its children are stock already."""
    name = name or type(module).__name__.lstrip("_")
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
