"""The task of blurred images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.tasks.registry import Preset, register_task
from eqmodels.tasks.task import Task

__all__ = ["BLUR_BY_KERNEL", "BLUR_BY_SIGMA", "Blur", "BlurLevel"]


@dataclass(frozen=True)
class BlurLevel:
    """A Gaussian blur whose width is uniform between two bounds.

    Args:
        kernel: pixels of the kernel along each side, odd; 1 leaves the image as it is.
        sigma: the lowest and the highest standard deviation, in pixels; unused for a kernel of 1.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the kernel is even or not positive, or the bounds are not ``0 < lowest <= highest``.
    """

    kernel: int
    sigma: tuple[float, float]

    def __post_init__(self) -> None:
        check_arguments(BlurLevel, vars(self))
        if isinstance(self.kernel, bool) or not isinstance(self.kernel, int) or self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be an odd number of pixels, 1 for no blur; got {self.kernel}. Pass, say, 5.")
        low, high = self.sigma
        if self.kernel > 1 and not 0 < low <= high < math.inf:
            raise ValueError(f"sigma must be bounds 0 < lowest <= highest; got {low}, {high}. Pass, say, (0.1, 2.0).")

    @classmethod
    def fixed(cls, sigma: float) -> BlurLevel:
        """The blur of one standard deviation, in pixels, with a kernel that reaches three of them; 0 for none."""
        return cls(2 * math.ceil(3 * sigma) + 1, (sigma, sigma))


BLUR_BY_SIGMA = tuple(BlurLevel.fixed(sigma) for sigma in (0.0, 0.5, 1.0, 2.0))
"""Labels that can be told: none, and standard deviations of 0.5, 1 and 2 pixels (kernels of 5, 7 and 13)."""

BLUR_BY_KERNEL = (BlurLevel(1, (0.0, 0.0)), *(BlurLevel(kernel, (0.1, 2.0)) for kernel in (5, 9, 15)))
"""The labels of the paper: none, and kernels of 5, 9 and 15 pixels, whatever sigma, as in torchvision's default.

They can hardly be told: up to a sigma of 0.8 pixels, a third of the draws, the three kernels agree to a thousandth.
"""


class Blur(Task):
    """How strongly is the image blurred? Label ``a`` is ``levels[a]``, a Gaussian kernel with reflection at the border.

    Image by image equal to torchvision's `gaussian_blur`, whose kernel is cut off at its sides and sums to one. It is
    applied as two passes of one dimension, over images of different labels at once.

    Args:
        levels: a `BlurLevel` a label.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there are no levels; of images, if they are too small to be reflected.
    """

    name = "blur"

    def __init__(self, levels: tuple[BlurLevel, ...] = BLUR_BY_SIGMA) -> None:
        check_arguments(Blur, locals())
        if not levels:
            raise ValueError("levels must hold at least one BlurLevel; got none. Leave it out for the usual four.")
        self.levels = tuple(levels)
        self.num_labels = len(self.levels)

    @property
    def radius(self) -> int:
        """Half of the largest kernel, in pixels: what is reflected at the border."""
        return max(level.kernel for level in self.levels) // 2

    def check(self, images: Float[Tensor, "B C H W"]) -> None:
        """Raises a `ValueError` if a side has fewer pixels than are reflected, and the one they are reflected about."""
        height, width = images.shape[-2:]
        if min(height, width) <= self.radius:
            raise ValueError(
                f"blur with a kernel of {2 * self.radius + 1} reflects {self.radius} pixels at the border, so both "
                f"sides need at least {self.radius + 1}; got {height} x {width}. "
                "Resize the images or use smaller kernels."
            )

    def apply(
        self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Every image blurred as its label says; sigmas are drawn on the CPU for all images, whatever their labels."""
        self.check_labels(images, labels)
        self.check(images)
        bounds = torch.tensor([level.sigma for level in self.levels], dtype=torch.float64, device="cpu")
        low, high = bounds[labels.cpu()].unbind(1)
        if bool((bounds[:, 0] < bounds[:, 1]).any()):
            uniform = torch.rand(len(images), generator=generator, dtype=torch.float64, device="cpu")
            low = low + uniform * (high - low)
        radii = torch.tensor([level.kernel // 2 for level in self.levels], device="cpu")[labels.cpu()]
        return blur(images, gaussian_kernels(low, radii, self.radius))

    def transform(
        self, images: Float[Tensor, "B C H W"], label: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B C H W"]:
        """All images blurred by one level, each by a sigma of its own."""
        return self.apply(images, torch.full((len(images),), label, device="cpu"), generator)


@register_task("blur")
def preset_blur(*, preset: Preset = "fixed") -> Blur:
    """The blur of a preset.

    Args:
        preset: ``"fixed"`` for one sigma a label (`BLUR_BY_SIGMA`), ``"paper"`` for random sigmas and kernels of
            three sizes (`BLUR_BY_KERNEL`).
    """
    return Blur(BLUR_BY_KERNEL if preset == "paper" else BLUR_BY_SIGMA)


def gaussian_kernels(
    sigmas: Float[Tensor, " B"], radii: Int[Tensor, " B"], radius: int
) -> Float[Tensor, "B 2*{radius}+1"]:
    """Gaussians at whole pixels, zero beyond a radius of their own, that sum to one.

    Args:
        sigmas: standard deviations in pixels.
        radii: how many pixels each kernel reaches to either side; 0 for the identity, whatever its sigma.
        radius: what all kernels are padded to.
    """
    distance = torch.arange(-radius, radius + 1, device=sigmas.device)
    # A sigma of 0 has a radius of 0, where any other is as good; that of a thousandth pixel is the identity already.
    exponent = (distance / sigmas.clamp_min(1e-3)[:, None]) ** 2 / -2
    return exponent.masked_fill(distance.abs() > radii[:, None], -torch.inf).softmax(1)


def blur(images: Float[Tensor, "B C H W"], kernels: Float[Tensor, "B K"]) -> Float[Tensor, "B C H W"]:
    """Every image convolved with its own kernel along both axes, reflected at the border.

    Args:
        images: any number of channels.
        kernels: of odd length; smaller than twice the sides.
    """
    batch, channels, height, width = images.shape
    if images.numel() == 0:  # a convolution of no groups is an error
        return images
    radius = kernels.shape[1] // 2
    padded = F.pad(images, (radius, radius, radius, radius), mode="reflect")
    weight = kernels.to(images).repeat_interleave(channels, 0)[:, None]
    planes = padded.reshape(1, batch * channels, *padded.shape[2:])
    columns = F.conv2d(planes, weight[..., None], groups=batch * channels)
    return F.conv2d(columns, weight[:, :, None], groups=batch * channels).view(batch, channels, height, width)
