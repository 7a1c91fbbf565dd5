"""The pose of an image by an equivariant encoder: what it sees of images that were prepared for another network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.orbit import check_exact, resized
from eqmodels.backbones.network import StagedNetwork
from eqmodels.transforms import Preprocessing

__all__ = ["PoseNetwork"]

GREY = (0.299, 0.587, 0.114)
"""The part of red, green and blue in what an encoder of grey images sees, of ITU-R BT.601 as everywhere."""


class PoseNetwork(nn.Module):
    """From images of one preprocessing to the logits of the pose that an encoder of another predicts.

    ``(B, C, H, W) -> (B, |G|)``, with ``logits_h(g x) = logits_{g^-1 h}(x)``: the normalisation of the images is
    undone, they get the channels, the size and the normalisation of the encoder, each of which commutes with the group.

    Args:
        encoder: with a canonical pooling, of which the pose is asked.
        images: what the images that come went through; None if nothing is known of it: they are taken as they are.
        in_chans: channels of the images.

    Raises:
        ValueError: if the encoder predicts no pose, its group has elements that permute no pixels, or there is no way
            from the channels of the images to its own.
    """

    def __init__(self, encoder: StagedNetwork, images: Preprocessing | None, in_chans: int) -> None:
        super().__init__()
        if not encoder.global_pool.is_canonical:
            raise ValueError(
                "by must be an encoder that predicts the pose, one whose features are canonical; got one of "
                f"{encoder.global_pool.mode} features. Load it with global_pool='canonical', or pretrain one with the "
                "head that does: eqmodels pretrain."
            )
        if in_chans != encoder.in_chans and 1 not in (in_chans, encoder.in_chans):
            raise ValueError(
                f"by must be an encoder of {in_chans} channels, or of one; got one of {encoder.in_chans}. Load it with "
                f"in_chans={in_chans}."
            )
        self.group = check_exact(encoder.group)
        self.encoder, self.images = encoder, images

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """One logit an element."""
        encoder, own = self.encoder, self.encoder.preprocessing
        known = self.images is not None and own is not None
        if known:
            images = _unnormalised(images, self.images)  # type: ignore[arg-type]
        images = _with_channels(images, encoder.in_chans)
        if own is not None:
            side = max(own.size)  # a square, which quarter turns leave one
            images = resized(images, (side, side))
        if known:
            images = own.normalise(images)  # type: ignore[union-attr]
        logits: Tensor = encoder.global_pool.pose(encoder.regular_features(images))
        return logits


def _unnormalised(images: Float[Tensor, "B C H W"], known: Preprocessing) -> Float[Tensor, "B C H W"]:
    mean, deviation = (
        torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
        for values in (known.mean, known.deviation)
    )
    return images * deviation + mean


def _with_channels(images: Float[Tensor, "B C H W"], channels: int) -> Float[Tensor, "B E H W"]:
    count = images.shape[1]
    if count == channels:
        return images
    if channels > 1:
        return images.expand(-1, channels, -1, -1)
    parts = images.new_tensor(GREY if count == 3 else [1 / count] * count)
    return torch.einsum("bchw,c->bhw", images, parts)[:, None]
