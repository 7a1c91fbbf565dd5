"""What equivariance is measured on: a copy of the network, random weights and statistics, smooth random images."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.layers.declared import fixed_fields

__all__ = ["checked_images", "device_of", "images_for", "measuring_copy", "randomise", "smooth_images"]


def randomise(model: nn.Module, generator: torch.Generator) -> None:
    """Redraws, in place, every weight, bias, scale and running statistic, so that none keeps a special value.

    Matrices and filters keep their standard deviation (0.1 if they were constant); scales and running variances are
    uniform in [0.5, 1.5]; biases and running means normal with standard deviation 0.2.

    Args:
        model: the network to change.
        generator: a generator on the CPU; the values do not depend on the device.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the generator is on another device.
    """
    check_arguments(randomise, locals())
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU; got one on {generator.device}. Pass torch.Generator().")
    tensors = [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n.endswith(("_mean", "_var")))]
    with torch.no_grad():
        for name, tensor in tensors:
            if tensor.dim() > 1:
                deviation = float(tensor.detach().double().std(unbiased=False)) or 0.1
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * deviation
            elif name.endswith(("weight", "running_var")):
                values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5
            else:
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.2
            tensor.copy_(values)


def smooth_images(
    batch: int, channels: int, size: int | tuple[int, int], *, seed: int = 0
) -> Float[Tensor, "batch channels H W"]:
    """Random images without symmetry whose details span about four pixels, so that turning them loses little.

    Gaussian noise on a grid four times coarser, interpolated bicubically and scaled to mean 0 and deviation 1; float64.

    Raises:
        TypeError: if a size is not an integer.
        ValueError: if a size is not positive.
    """
    check_arguments(smooth_images, {"batch": batch, "channels": channels, "seed": seed})
    height, width = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    if any(isinstance(pixels, bool) or not isinstance(pixels, int) for pixels in (height, width)):
        raise TypeError(
            f"size must be an integer or a pair (height, width) of integers; got {shown(size)}. Pass, say, 32."
        )
    if min(height, width, batch, channels) < 1:
        raise ValueError(f"batch, channels and sizes must be positive; got {batch}, {channels} and {(height, width)}.")
    for name, value in (("batch", batch), ("channels", channels), ("size", height), ("size", width)):
        check_count(name, value)
    generator = torch.Generator().manual_seed(seed)
    coarse = (-(-height // 4) + 1, -(-width // 4) + 1)
    noise = torch.randn(batch, channels, *coarse, generator=generator, dtype=torch.float64)
    images = F.interpolate(noise, (height, width), mode="bicubic", align_corners=False)
    return (images - images.mean()) / images.std()


def measuring_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy in eval mode and in another precision.

    Raises:
        TypeError: if it is no module, or `dtype` not a real floating point type.
    """
    if not isinstance(model, cast("type[object]", nn.Module)):  # whatever the signature says
        name = getattr(model, "__name__", None) or shown(model)
        raise TypeError(
            f"model must be a torch.nn.Module, whose weights can be copied and randomised; got {name!r}, a "
            f"{type(model).__name__}. Call it in the forward of a module that holds its weights."
        )
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a real floating point type; got {dtype}. Pass, say, torch.float64.")
    return copy.deepcopy(model).eval().to(dtype)


def images_for(model: nn.Module, size: int | tuple[int, int], batch: int, seed: int) -> Float[Tensor, "B C H W"]:
    """Smooth images with the channels that the network takes.

    Raises:
        ValueError: if a size is not positive or the batch is below 2.
    """
    return checked_images(smooth_images(batch, _image_channels(model), size, seed=seed))


def checked_images(images: Tensor) -> Tensor:
    """The images themselves, if they are ``(B, C, H, W)`` and at least two.

    Raises:
        ValueError: if they are not.
    """
    if images.dim() != 4 or len(images) < 2:
        raise ValueError(
            "images must have the shape (batch, channels, height, width) with a batch of at least 2, so that a network "
            f"that ignores its input is found out; got {tuple(images.shape)}. Stack two different images."
        )
    return images


def _image_channels(model: nn.Module) -> int:
    """Of the declared input field, else the input channels of the first layer that has any, else 3."""
    declared = fixed_fields(model)[0]
    own = getattr(model, "in_chans", None) if declared is None else declared.channels
    stated = [own, *(getattr(module, "in_channels", None) for module in model.modules())]
    return next((channels for channels in stated if isinstance(channels, int)), 3)


def device_of(model: nn.Module) -> torch.device:
    """Where the network's first parameter or buffer is; the CPU if it has none."""
    tensor = next(model.parameters(), next(model.buffers(), torch.empty(0)))
    return tensor.device
