"""Random changes of colour, each image its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_images, check_tensor
from eqmodels.transforms.augmentation import Augmentation, check_range
from eqmodels.transforms.view import ViewParameters

__all__ = ["ColourJitter", "RandomGrayscale", "adjust_hue"]


class RandomGrayscale(Augmentation):
    """Takes the colour out of each image with a probability; grey images stay as they are.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if it is no probability, or, in `apply`, if the images have neither one channel nor three.
    """

    numbers = 1

    def __init__(self, probability: float = 0.2) -> None:
        check_arguments(RandomGrayscale, locals())
        self.probability = check_range("probability", probability, 0, 1)

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B 1"]) -> Float[Tensor, "B C H W"]:
        """The chosen images in grey, three equal channels each."""
        if not _has_colour(images):
            return images
        chosen = (uniforms < self.probability).to(images.device)[:, :, None, None]
        return torch.where(chosen, v2.rgb_to_grayscale(images, num_output_channels=3), images)


class ColourJitter(Augmentation):
    """Changes brightness, contrast, saturation and hue of each image, in an order of its own, with a probability.

    The factors of the first three are uniform in ``[max(0, 1 - strength), 1 + strength]``, the shift of the hue uniform
    in ``[-strength, strength]`` turns of the colour circle; values are clamped to [0, 1] after every change, as
    torchvision's transform does. Grey images have brightness and contrast only.

    Args:
        brightness: strength of the first change; so on for `contrast`, `saturation` and `hue`.
        contrast: the factor blends with the image's mean grey value.
        saturation: the factor blends with the grey image.
        hue: at most 0.5.
        probability: of changing an image at all.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a strength is negative or the hue's above 0.5, the last is no probability, or, in `apply`, if the
            images have neither one channel nor three.
    """

    CHANGES = 4
    numbers = 1 + 2 * CHANGES

    def __init__(
        self, brightness: float, contrast: float, saturation: float, hue: float, *, probability: float = 0.8
    ) -> None:
        check_arguments(ColourJitter, locals())
        self.strengths = (
            check_range("brightness", brightness, 0),
            check_range("contrast", contrast, 0),
            check_range("saturation", saturation, 0),
            check_range("hue", hue, 0, 0.5),
        )
        self.probability = check_range("probability", probability, 0, 1)

    def factors(self, uniforms: Float[Tensor, "B numbers"]) -> Float[Tensor, "B 4"]:
        """The three factors and the shift of the hue."""
        low = uniforms.new_tensor([*(max(0.0, 1 - s) for s in self.strengths[:3]), -self.strengths[3]])
        high = uniforms.new_tensor([*(1 + s for s in self.strengths[:3]), self.strengths[3]])
        return low + uniforms[:, 1 : 1 + self.CHANGES] * (high - low)

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B numbers"]) -> Float[Tensor, "B C H W"]:
        """Each image changed by its own factors, in its own order."""
        _has_colour(images)
        factors = self.factors(uniforms).to(images.device, images.dtype)
        order = uniforms[:, 1 + self.CHANGES :].argsort(1)
        order = torch.where(uniforms[:, :1] < self.probability, order, -1).to(images.device)
        jittered = images.clone()
        for position in range(self.CHANGES):
            for change in range(self.CHANGES):
                chosen = (order[:, position] == change).nonzero()[:, 0]
                if len(chosen):
                    jittered[chosen] = _change(change, jittered[chosen], factors[chosen, change])
        return jittered

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B numbers"]) -> ViewParameters:
        """The factors and the shift of the images that are changed; of their order nothing is said."""
        unchanged = uniforms.new_tensor([1.0, 1.0, 1.0, 0.0])
        factors = torch.where(uniforms[:, :1] < self.probability, self.factors(uniforms), unchanged).double()
        return view.recoloured(factors[:, :3], factors[:, 3])


def _has_colour(images: Float[Tensor, "B C H W"]) -> bool:
    """Whether there are three channels; raises a `ValueError` unless there is one or three."""
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"changes of colour need images of 1 or 3 channels; got {images.shape[1]}. Use augment='crop_flip'."
        )
    return images.shape[1] == 3


def _change(change: int, images: Float[Tensor, "B C H W"], factors: Float[Tensor, " B"]) -> Float[Tensor, "B C H W"]:
    amounts, colour = factors[:, None, None, None], _has_colour(images)
    if change == 0:
        return (images * amounts).clamp(0, 1)
    if change == 3:
        return adjust_hue(images, factors) if colour else images
    if change == 2 and not colour:
        return images
    grey = v2.rgb_to_grayscale(images) if colour else images
    blend = grey.mean((1, 2, 3), keepdim=True) if change == 1 else grey
    return (amounts * images + (1 - amounts) * blend).clamp(0, 1)


def adjust_hue(images: Float[Tensor, "B 3 H W"], shifts: Float[Tensor, " B"]) -> Float[Tensor, "B 3 H W"]:
    """Colours turned around the hue circle, each image by its own number of turns.

    With the hue ``h`` in sixths of a turn, the value ``v`` and the chroma ``c = max - min``: channel ``n`` of red (5),
    green (3), blue (1) is ``v - c max(0, min(k, 4 - k, 1))``, ``k = (n + h) mod 6``.

    Source: Smith 1978, *Color gamut transform pairs*.

    Raises:
        TypeError: if one of both is no dense tensor, or the images are not floating point.
        ValueError: if the images do not have three channels, or there is not one shift an image, on their device.
    """
    check_tensor("shifts", shifts)
    check_images(images, 3)
    if shifts.shape != images.shape[:1]:
        raise ValueError(
            f"shifts must be one number an image, of the shape ({len(images)},); got {tuple(shifts.shape)}. Pass one "
            "each."
        )
    if shifts.device != images.device:
        raise ValueError(
            f"images and shifts must be on one device; got {images.device} and {shifts.device}. Move the shifts with "
            ".to(images.device)."
        )
    red, green, blue = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    safe = torch.where(chroma == 0, 1.0, chroma)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = hue + 6 * shifts[:, None, None]
    sectors = [(n + hue) % 6 for n in (5, 3, 1)]
    return torch.stack([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in sectors], 1)
