"""The size of the images that a network is exported for, and what its parts meet then."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from eqmodels import checks
from eqmodels._shapes import Float
from eqmodels.backbones import Backbone, Canonical, Orbit, Upright
from eqmodels.backbones.adapted.posing import PoseNetwork
from eqmodels.errors import shown
from eqmodels.layers import ExactDownsample2d, OddSize2d, SteerableConv2d
from eqmodels.transforms import Preprocessing

__all__ = [
    "AnySize",
    "Size",
    "Sizes",
    "channels_of",
    "check_any_size",
    "example_of",
    "fixed_size",
    "holds_own_modules",
    "is_own",
    "kind_of",
    "met_sizes",
]

Size: TypeAlias = tuple[int, int]
AnySize: TypeAlias = int | Size | Literal["any"] | None
Sizes: TypeAlias = dict[nn.Module, tuple[int, ...]]
"""Height and width of the maps that adaptive poolings meet, of none of them if the network is for any size; and
channels, height and width of the images that adapted networks and their poses meet, not square if any may come."""

OPEN = (40, 56)
"""The size of the example where the network is for any."""

POOLINGS = (ExactDownsample2d, OddSize2d)
ADAPTED = (Canonical, Orbit, PoseNetwork, Upright)


def channels_of(model: nn.Module, in_chans: int | None) -> int:
    """The channels of the images that a module takes.

    Raises:
        TypeError: if it is no module, or they are no integer.
        ValueError: if nothing says how many they are, or the module says something else.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module; got {shown(model)}. Pass the network itself.")
    known = getattr(model, "in_chans", None)
    channels = known if in_chans is None else in_chans
    if channels is None:
        raise ValueError(
            f"in_chans must be given, as a {type(model).__name__} does not say how many channels its images have. "
            "Pass, say, in_chans=3."
        )
    if known not in (None, channels):
        raise ValueError(
            f"in_chans must be {known}, the channels of the module's images; got {shown(channels)}. Leave it out."
        )
    return checks.check_count("in_chans", channels)


def holds_own_modules(module: nn.Module) -> bool:
    """Whether a module of this package is inside, or is the module itself."""
    return any(is_own(part) or isinstance(part, Backbone) for part in module.modules())


def is_own(module: nn.Module) -> bool:
    """Whether the class of a module is one of this package."""
    return type(module).__module__.partition(".")[0] == __name__.partition(".")[0]


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
        ValueError: if there is such a size, or pictures are turned upright, which is drawn up for one size.
    """
    if any(isinstance(module, Upright) for module in network.modules()):
        raise ValueError(
            "size must be a number, as pictures are turned upright in a circle of a known size; got 'any'. Pass the "
            "size of the images."
        )
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


def met_sizes(model: nn.Module, channels: int, size: Size | None) -> Sizes:
    """What poolings and adapted networks meet, see `Sizes`, from one forward pass, if possible without data."""
    kinds = ADAPTED if size is None else (*POOLINGS, *ADAPTED)
    if not any(isinstance(module, kinds) for module in model.modules()):
        return {}
    shape, kind = (1, channels, *(size or OPEN)), kind_of(model)
    try:
        met = _met(copy.deepcopy(model).to("meta"), torch.empty(shape, dtype=kind["dtype"], device="meta"), kinds)
    except Exception:  # a function of one's own that asks for values
        met = _met(copy.deepcopy(model), torch.zeros(shape, **kind), kinds)
    # What meets maps of two sizes, as of turned images that are not square, is for any.
    return {model.get_submodule(name): sizes.pop() for name, sizes in met.items() if len(sizes) == 1}


def _met(
    ghost: nn.Module, images: Float[Tensor, "1 C H W"], kinds: tuple[type[nn.Module], ...]
) -> dict[str, set[tuple[int, ...]]]:
    """The sizes that modules of some kinds meet in eval mode, by their names."""
    met: dict[str, set[tuple[int, ...]]] = {}
    for name, module in ghost.eval().named_modules():
        if isinstance(module, kinds):

            def note(module: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                met.setdefault(name, set()).add(tuple(inputs[0].shape[-2 if isinstance(module, POOLINGS) else -3 :]))

            module.register_forward_pre_hook(note)
    with torch.no_grad():
        ghost(images)
    return met


def example_of(module: nn.Module, sizes: Sizes) -> Float[Tensor, "1 C H W"]:
    """An image as an adapted network, or a pose, meets it, of zeros."""
    return torch.zeros(1, *sizes.get(module, (3, *OPEN)), **kind_of(module))


def kind_of(network: nn.Module) -> dict[str, Any]:
    """The type and the device of a network, by the names of a tensor's options."""
    tensors = itertools.chain(network.parameters(), network.buffers())
    first = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.zeros(()))
    return {"dtype": first.dtype, "device": first.device}
