"""Somebody else's network, or a function, as an `Encoder`: timm's, torchvision's, one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.encoder import Encoder
from eqmodels.checks import check_count, check_images
from eqmodels.errors import shown
from eqmodels.fields import Field
from eqmodels.transforms import Preprocessing

__all__ = ["ForeignEncoder", "as_encoder"]

torch.fx.wrap("check_images")


class ForeignEncoder(nn.Module):
    """A module or a function behind the protocol `Encoder`; its input and its output are checked at every call.

    Args:
        network: from normalised images ``(B, in_chans, H, W)`` to feature vectors ``(B, features)``. A module becomes
            the child `network`, and follows the mode and the device; a function does not.
        in_chans: channels of the images.
        preprocessing: the images that it was made for; None if nothing is known of them.
        out_field: what the features mean; None if nobody has said so.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        in_chans: int,
        preprocessing: Preprocessing | None = None,
        out_field: Field | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.in_chans = in_chans
        self.preprocessing = preprocessing
        self.out_field = out_field

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The network's feature vectors.

        Raises:
            TypeError: if the images are not floating point, or the network returns something else than a tensor.
            ValueError: if the images have another number of channels, or what is returned is no vector an image, or of
                another length than its field.
        """
        features: Any = self.network(check_images(images, self.in_chans))
        if not isinstance(features, Tensor):
            raise TypeError(
                f"an encoder returns a tensor; the wrapped network returned a {type(features).__name__}. Wrap a "
                "function that picks the features: as_encoder(lambda images: network(images)['features'], ...)."
            )
        length = "features" if self.out_field is None else self.out_field.channels
        # Not `len`, which is one number to what exports a graph for any batch.
        fits = features.dim() == 2 and features.shape[0] == images.shape[0]
        fits = fits and length in ("features", features.shape[1])
        if not fits:
            raise ValueError(
                f"an encoder returns vectors of the shape (batch, {length}); the wrapped network returned "
                f"{tuple(features.shape)}. Wrap a function that pools maps: as_encoder(lambda images: "
                "network(images).mean((-2, -1)), ...), or declare another out_field."
            )
        return features


def as_encoder(
    network: Callable[[Tensor], Tensor],
    *,
    in_chans: int | None = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    out_field: Field | str | None = None,
) -> Encoder:
    """A module or a function as an encoder, which `evaluate` takes.

    Of a network of timm, what is not given is read off its ``pretrained_cfg``. (Build it with ``num_classes=0``, so
    that it puts out features.) A network of torchvision does not say what its images go through: give it.

    Args:
        network: from normalised images ``(B, in_chans, H, W)`` to feature vectors ``(B, features)``.
        in_chans: channels of the images.
        size: pixels of the images, one number or (height, width).
        mean: of each channel, of pixels in [0, 1].
        std: standard deviation of each channel.
        out_field: what the features mean, or its text, such as ``"128 x regular(c4)"``; None if nobody knows.

    Raises:
        TypeError: if the network cannot be called, or a number is none.
        ValueError: if the channels are not known, or some but not all of size, mean and standard deviation are, or not
            one for each channel.

    Example:
        >>> encoder = as_encoder(lambda images: images.mean((-2, -1)), in_chans=3, out_field="3 x scalar")
        >>> isinstance(encoder, Encoder), encoder(torch.rand(2, 3, 8, 8)).shape
        (True, torch.Size([2, 3]))
    """
    check_arguments(as_encoder, {"out_field": out_field})
    if not callable(network):
        raise TypeError(f"network must be a module or a function of images; got {shown(network)}. Pass one.")
    known = getattr(network, "pretrained_cfg", None)
    known = known if isinstance(known, dict) else {}
    shape = known.get("input_size")
    in_chans = shape[0] if in_chans is None and shape else in_chans
    if in_chans is None:
        raise ValueError(
            f"in_chans must be given, since a {type(network).__name__} does not say how many channels its images have. "
            "Pass, say, in_chans=3."
        )
    check_count("in_chans", in_chans)
    size = tuple(shape[1:]) if size is None and shape else size
    described = {"size": size, "mean": mean or known.get("mean"), "std": std or known.get("std")}
    missing = [name for name, value in described.items() if value is None]
    if 0 < len(missing) < len(described):
        raise ValueError(
            f"size, mean and std describe images together; got no {missing[0]}. Give all three, or none if the images "
            "come normalised."
        )
    preprocessing = None if missing else _preprocessing(in_chans, **described)
    field = Field.parse(out_field) if isinstance(out_field, str) else out_field
    return ForeignEncoder(network, in_chans, preprocessing, field)


def _preprocessing(in_chans: int, size: Any, mean: Any, std: Any) -> Preprocessing:  # noqa: ANN401
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    means, deviations = tuple(map(float, mean)), tuple(map(float, std))
    if not len(means) == len(deviations) == in_chans:
        raise ValueError(
            f"mean and std have one number for each of {in_chans} channels; got {len(means)} and {len(deviations)}."
        )
    return Preprocessing(means, deviations, (check_count("size", height), check_count("size", width)))
