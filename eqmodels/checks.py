"""What every layer asks of its input, in one sentence each.

The checks are leaves of an FX trace (`torch.fx.wrap` in the modules that call them), because they branch on shapes.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor

from eqmodels._autocast import autocast_dtype
from eqmodels.errors import shown

__all__ = [
    "check_batch",
    "check_channels",
    "check_count",
    "check_fibre",
    "check_images",
    "check_joined",
    "check_kernel",
    "check_labels",
    "check_logits",
    "check_maps",
    "check_placed",
    "check_scaled",
    "check_strided_size",
    "check_target",
    "check_tensor",
    "is_open",
    "tensor_fault",
]


def check_count(name: str, value: int, least: int = 1, *, bits: int = 31) -> int:
    """The value itself, if it is an integer of at least `least` that a size can be, or anything of so many `bits`.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is smaller, or of more bits.
    """
    if type(value) is int and least <= value < 1 << bits:  # at every layer of every network
        return value
    way_out = f"Pass a whole number of at least {least}."
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer; got {shown(value)}. {way_out}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {shown(value)}. {way_out}")
    if value >= 2**bits:
        raise ValueError(f"{name} must be below 2^{bits}; got {shown(value)}. Pass a smaller whole number.")
    return value


def tensor_fault(value: object) -> str | None:
    """What keeps a value from being a dense tensor, and the way out, as the end of a sentence; None if it is one."""
    if isinstance(value, torch.fx.Proxy):  # what stands for a tensor while a network is traced
        return None
    if isinstance(value, Tensor):
        if value.layout == torch.strided:
            return None
        return f"got one of the layout {value.layout}. Convert it with .to_dense()."
    if hasattr(value, "__array__"):
        return f"got {shown(value)}. Convert it with torch.from_numpy(...)."
    if isinstance(value, list | tuple):
        return (
            f"got a {type(value).__name__}. Convert it with torch.tensor(...), or torch.stack(...) if it is of tensors."
        )
    return f"got {shown(value)}. Pass a torch.Tensor."


def check_tensor(name: str, value: Tensor) -> Tensor:
    """The value itself, if it is a dense tensor.

    Raises:
        TypeError: if it is something else, or sparse.
    """
    if (fault := tensor_fault(value)) is not None:
        raise TypeError(f"{name} must be a dense tensor; {fault}")
    return value


def check_images(images: Tensor, in_chans: int) -> Tensor:
    """The images themselves, if they are a floating point ``(B, in_chans, H, W)`` of at least one pixel.

    Raises:
        TypeError: if they are no dense tensor, or not floating point.
        ValueError: if the rank or the number of channels is another, or they have no pixels.
    """
    check_tensor("images", images)
    if images.dim() != 4 or images.shape[1] != in_chans:
        raise ValueError(
            f"images must have the shape (batch, {in_chans}, height, width); got {tuple(images.shape)}. "
            f"Add a missing batch axis with images[None]; build the model with in_chans=<channels> for other images."
        )
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point; got {images.dtype}. Convert with images.float() / 255 and normalise."
        )
    _check_pixels("images", images)
    return images


def check_channels(maps: Tensor, channels: int, rank: int) -> Tensor:
    """The feature maps (rank 4) or vectors (rank 2) themselves, if they are floating point with that many channels.

    Args:
        maps: or vectors.
        channels: that they must have.
        rank: 4 or 2.

    Raises:
        TypeError: if they are no dense tensor, or not floating point.
        ValueError: if the rank, or the number of channels is another, or maps have no pixels.
    """
    check_tensor("features", maps)
    if maps.dim() != rank or maps.shape[1] != channels:
        expected = f"(batch, {channels}, height, width)" if rank == 4 else f"(batch, {channels})"
        raise ValueError(
            f"this layer takes features of the shape {expected}; got {tuple(maps.shape)}. "
            "A regular field over a group G counts as |G| channels; only a lifting layer takes images."
        )
    if not maps.is_floating_point():
        raise TypeError(f"features must be floating point; got {maps.dtype}. Convert them with .float().")
    if rank == 4:
        _check_pixels("features", maps)
    return maps


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Refuses what are no logits of labels, with one integer label a row; which labels there are is not looked at.

    Raises:
        TypeError: if the labels are no dense tensor, or of another type, or the logits not floating point.
        ValueError: if the shapes do not go together.
    """
    check_tensor("labels", labels)
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point; got {logits.dtype}. Convert them with .float().")
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64; got {labels.dtype}. Convert them with .long().")
    if logits.dim() != 2 or logits.shape[1] == 0 or labels.dim() != 1 or labels.shape[0] != logits.shape[0]:
        raise ValueError(
            "logits must have the shape (batch, labels), of at least one label, and labels (batch,); got "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}. Pass both of the same batch."
        )
    if logits.device != labels.device:
        raise ValueError(
            f"labels must be on the device of the logits, {logits.device}; got {labels.device}. Move them with "
            f".to({str(logits.device)!r})."
        )


def check_maps(maps: Tensor) -> Tensor:
    """The maps themselves, if they are a floating point ``(B, C, H, W)`` of at least one pixel.

    Raises:
        TypeError: if they are no dense tensor, or not floating point.
        ValueError: if the rank is another, or they have no pixels.
    """
    check_tensor("maps", maps)
    if maps.dim() != 4:
        raise ValueError(
            f"maps must have the shape (batch, channels, height, width); got {tuple(maps.shape)}. Add a missing batch "
            "axis with maps[None]."
        )
    if not maps.is_floating_point():
        raise TypeError(f"maps must be floating point; got {maps.dtype}. Convert them with .float().")
    _check_pixels("maps", maps)
    return maps


def check_fibre(features: Tensor, order: int, *, floating: bool = False, vectors: bool = False) -> Tensor:
    """The features themselves, if their channels divide into whole fibres of so many elements.

    Raises:
        TypeError: if they are no dense tensor, or must be `floating` point and are not.
        ValueError: if they do not, or must be `vectors` and are not.
    """
    check_tensor("features", features)
    if features.dim() < 2 or features.shape[1] == 0 or features.shape[1] % order:
        raise ValueError(
            f"regular features over a group of {order} elements have the shape (batch, a multiple of {order}, ...); "
            f"got {tuple(features.shape)}. A regular field over a group G counts as |G| channels."
        )
    if vectors and features.dim() != 2:
        raise ValueError(
            f"features must be vectors of the shape (batch, channels); got {tuple(features.shape)}. Pool maps first."
        )
    if floating and not features.is_floating_point():
        raise TypeError(f"features must be floating point; got {features.dtype}. Convert them with .float().")
    return features


def check_kernel(maps: Tensor, kernel_size: int, padding: int, dilation: int, padding_mode: str) -> Tensor:
    """The maps themselves, if a kernel fits into them once they are padded, and they can be padded so.

    Raises:
        ValueError: if it does not, or reflected or circular padding is wider than the maps have pixels for.
    """
    reach = dilation * (kernel_size - 1) + 1
    # What pads by as much as the kernel loses fits every map: nothing is asked of sizes that a compiler keeps open.
    if is_open() or (reach <= 2 * padding + 1 and padding_mode == "zeros"):
        return maps
    size = min(maps.shape[-2:])
    if size + 2 * padding < reach:
        raise ValueError(
            f"a kernel that reaches over {reach} pixels needs maps of at least {reach - 2 * padding} beside padding="
            f"{padding}; got {tuple(maps.shape)}. Pass larger images, a smaller kernel or more padding."
        )
    most = {"reflect": size - 1, "circular": size}.get(padding_mode, padding)
    if padding > most:
        raise ValueError(
            f"padding of the mode {padding_mode!r} repeats pixels of the maps, at most {most} on a side of maps of the "
            f"shape {tuple(maps.shape)}; got padding={padding}. Pass larger images, or padding_mode='zeros'."
        )
    return maps


def check_batch(maps: Tensor, fields: int) -> Tensor:
    """The maps themselves, if they have more than a single value a field, of which there are no batch statistics.

    Raises:
        ValueError: if they have not.
    """
    if not is_open() and maps.numel() == fields:
        raise ValueError(
            f"batch statistics need more than one value a field; got maps of the shape {tuple(maps.shape)}. "
            "Use a larger batch, or model.eval()."
        )
    return maps


def is_open() -> bool:
    """Whether a compiler or a trace keeps sizes open."""
    # They would close, or warn about, each size that Python asks for.
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def _check_pixels(name: str, images: Tensor) -> None:
    if not is_open() and (images.shape[-1] == 0 or images.shape[-2] == 0):
        raise ValueError(
            f"{name} must have at least one pixel; got the shape {tuple(images.shape)}. Leave empty ones out."
        )


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
    if maps.dtype != weight.dtype and not _autocast_converts(maps, weight):
        raise TypeError(
            f"{what} must be of the network's type, {weight.dtype}; got {maps.dtype}. Convert them with "
            f".to({weight.dtype}), the network with model.to({maps.dtype}), or call it under torch.autocast."
        )
    return maps


def _autocast_converts(*tensors: Tensor) -> bool:
    """Whether autocast brings them to one type; it leaves double precision alone."""
    return torch.float64 not in [one.dtype for one in tensors] and autocast_dtype(tensors[0].device) is not None


def check_scaled(maps: Tensor, weight: Tensor) -> Tensor:
    """The maps themselves, if a norm can scale them by such a weight: as `check_placed`, and float32 scales halves too.

    A weight without values is one that is put there when the child that has it is called.

    Raises:
        TypeError: if the type is another.
        ValueError: if the device is another.
    """
    on_device = maps.device == weight.device
    if on_device and maps.dtype == weight.dtype:  # which every norm asks at every step
        return maps
    halves = weight.dtype == torch.float32 and maps.dtype in (torch.float16, torch.bfloat16)
    if weight.is_meta or (on_device and halves):
        return maps
    return check_placed(maps, weight, "features")


def check_logits(logits: Tensor, order: int, features: Tensor) -> Tensor:
    """The logits themselves, if there is one for each of so many group elements and rows of features.

    Raises:
        TypeError: if they are no dense tensor, or not floating point.
        ValueError: if there is not, or they are on another device.
    """
    check_tensor("logits", logits)
    if logits.dim() != 2 or logits.shape[1] != order:
        raise ValueError(
            f"the pose over a group of {order} elements is predicted by logits of the shape (batch, {order}); got "
            f"{tuple(logits.shape)}. Use a pose_predictor of the same group as the features."
        )
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point; got {logits.dtype}. Convert them with .float().")
    if logits.device != features.device:
        raise ValueError(
            f"logits must be on the device of the features, {features.device}; got {logits.device}. Move them with "
            f".to({str(features.device)!r})."
        )
    if not is_open() and logits.shape[0] != features.shape[0]:
        raise ValueError(
            f"logits must be one row a row of the features, {features.shape[0]}; got {logits.shape[0]}. Pass both of "
            "the same batch."
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


def check_joined(maps: Tensor, others: Tensor) -> Tensor:
    """The maps themselves, if those of `others` can be laid beside them: of as many images, as large, and at one place.

    Raises:
        ValueError: if they cannot.
    """
    if is_open():
        return maps
    if maps.device != others.device or maps[:, 0].shape != others[:, 0].shape:
        found = " and ".join(f"{tuple(one.shape)} on {one.device}" for one in (maps, others))
        raise ValueError(
            f"maps that are joined must be of as many images, of one height and width and on one device; got {found}. "
            "Resample the one to the size of the other with ExactUpsample2d()."
        )
    return maps


def check_target(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width themselves, if maps can be resampled to them.

    Raises:
        TypeError: if they are no two integers.
        ValueError: if one is below 1.
    """
    if is_open():
        return size
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise TypeError(f"size must be height and width in pixels; got {shown(size)}. Pass, say, (64, 64).")
    return check_count("height", size[0]), check_count("width", size[1])
