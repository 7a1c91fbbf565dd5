"""What every layer asks of its input, in one sentence each.

The checks are leaves of an FX trace (`torch.fx.wrap` in the modules that call them), because they branch on shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "check_channels",
    "check_count",
    "check_fibre",
    "check_images",
    "check_logits",
    "check_placed",
    "check_strided_size",
]


def check_count(name: str, value: int, least: int = 1) -> int:
    """The value itself, if it is an integer of at least `least`.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is smaller.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer; got {value!r}. Pass a whole number of at least {least}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}. Pass a whole number of at least {least}.")
    return value


def check_images(images: Tensor, in_chans: int) -> Tensor:
    """The images themselves, if they are a floating point ``(B, in_chans, H, W)``.

    Raises:
        TypeError: if they are not floating point.
        ValueError: if the rank or the number of channels is another.
    """
    if images.dim() != 4 or images.shape[1] != in_chans:
        raise ValueError(
            f"images must have the shape (batch, {in_chans}, height, width); got {tuple(images.shape)}. "
            f"Add a missing batch axis with images[None]; build the model with in_chans=<channels> for other images."
        )
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point; got {images.dtype}. Convert with images.float() / 255 and normalise."
        )
    return images


def check_channels(maps: Tensor, channels: int, rank: int) -> Tensor:
    """The feature maps (rank 4) or vectors (rank 2) themselves, if they are floating point with that many channels.

    Raises:
        TypeError: if they are not floating point.
        ValueError: if the rank or the number of channels is another.
    """
    if maps.dim() != rank or maps.shape[1] != channels:
        expected = f"(batch, {channels}, height, width)" if rank == 4 else f"(batch, {channels})"
        raise ValueError(
            f"this layer takes features of the shape {expected}; got {tuple(maps.shape)}. "
            "A regular field over a group G counts as |G| channels; only a lifting layer takes images."
        )
    if not maps.is_floating_point():
        raise TypeError(f"features must be floating point; got {maps.dtype}. Convert them with .float().")
    return maps


def check_placed(maps: Tensor, weight: Tensor, what: str) -> Tensor:
    """The maps themselves, if they are of the type and on the device of the weight that they meet.

    Autocast brings both to its own type, unless one is of double precision.

    Args:
        maps: of any shape.
        weight: of the layer, as it is in this very pass: wrappers may have cast or moved it just now.
        what: the maps are, in the plural.

    Raises:
        TypeError: if the type is another.
        ValueError: if the device is another.
    """
    if maps.device != weight.device:
        raise ValueError(
            f"{what} must be on the device of the network, {weight.device}; got {maps.device}. Move them with "
            f".to({str(weight.device)!r}), or the network with model.to({str(maps.device)!r})."
        )
    if maps.dtype != weight.dtype:
        # The device "meta", on which shapes are worked out without data, knows no autocast.
        known = maps.device.type != "meta" and torch.float64 not in (maps.dtype, weight.dtype)
        if not (known and torch.is_autocast_enabled(maps.device.type)):
            raise TypeError(
                f"{what} must be of the network's type, {weight.dtype}; got {maps.dtype}. Convert them with "
                f".to({weight.dtype}), the network with model.to({maps.dtype}), or call it under torch.autocast."
            )
    return maps


def check_fibre(features: Tensor, order: int) -> Tensor:
    """The features themselves, if their channels divide into whole fibres of so many elements.

    Raises:
        ValueError: if they do not.
    """
    if features.dim() < 2 or features.shape[1] == 0 or features.shape[1] % order:
        raise ValueError(
            f"regular features over a group of {order} elements have the shape (batch, a multiple of {order}, ...); "
            f"got {tuple(features.shape)}. A regular field over a group G counts as |G| channels."
        )
    return features


def check_logits(logits: Tensor, order: int) -> Tensor:
    """The logits themselves, if there is one for each of so many group elements.

    Raises:
        ValueError: if there is not.
    """
    if logits.dim() != 2 or logits.shape[1] != order:
        raise ValueError(
            f"the pose over a group of {order} elements is predicted by logits of the shape (batch, {order}); got "
            f"{tuple(logits.shape)}. Use a pose_predictor of the same group as the features."
        )
    return logits


def check_strided_size(
    maps: Tensor, group: str, axes: tuple[int, ...], kernel_size: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """The maps themselves, if a strided kernel meets the pixels of each mirrored axis symmetrically.

    Rotations and flips mirror an axis about ``(size - 1) / 2``; the centres of the kernel do the same if and only if
    ``(size + 2 padding - dilation (kernel_size - 1) - 1) mod stride == 0``.

    Raises:
        ValueError: if an axis breaks the rule; names the nearest valid sizes.
    """
    reach = dilation * (kernel_size - 1) + 1
    for axis in axes:
        size = maps.shape[axis]
        excess = (size + 2 * padding - reach) % stride
        if excess:
            smallest = max(reach - 2 * padding, 1)
            below, above = size - excess, max(size - excess + stride, smallest + (size - excess - smallest) % stride)
            nearest = f"{below} and {above}" if below >= smallest else f"{above}"
            raise ValueError(
                f"a {kernel_size}x{kernel_size} convolution of stride {stride}, padding {padding} and dilation "
                f"{dilation} is exactly {group}-equivariant only if (size + {2 * padding} - {reach}) % {stride} == 0; "
                f"got size {size}. Nearest valid sizes: {nearest}; ExactDownsample2d before a convolution of stride 1 "
                "is exact at every size."
            )
    return maps
