"""A pose that is learned from upright images: the prior that the pretrained network saw them so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.data import Source
from eqmodels.transforms import Preprocessing

__all__ = ["PoseFit", "fit_pose"]


@dataclass(frozen=True)
class PoseFit:
    """How a pose was learned.

    Attributes:
        losses: the mean over the images of each epoch, in nats; ``log |G|`` is chance.
        upright: the share of the held-out images that are seen as upright; of the training images if none were.
    """

    losses: tuple[float, ...]
    upright: float


def fit_pose(
    encoder: Backbone,
    images: Source,
    held_out: Source | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[int], object] = lambda _: None,
) -> PoseFit:
    """Trains an encoder to predict that images as they are stand upright.

    The encoder itself is trained, not a copy: all of its parameters are thawed and learn, and it is left in eval mode.

    The loss is ``-log p_e(x)``, the divergence of the predicted poses from the prior, all of which is on the identity
    e, as a network is pretrained on images as they are (Mondal et al. 2023, arXiv 2310.01647). As the encoder is
    equivariant, that of a moved image and its own pose is the same, so no image has to be turned.

    Args:
        encoder: with a canonical pooling, such as ``posing("c4_resnet18s_w16")``, which is
            ``create_model("c4_resnet18s_w16", num_classes=0, global_pool="canonical")``; where it does not say what its
            images go through, it gets the mean and the deviation 0.5 and the size of `images`.
        images: as they stand.
        held_out: for the share at the end; None for `images`.
        epochs: passes over the images.
        batch_size: images in a step.
        learning_rate: of Adam, falling to zero as a cosine does.
        seed: of the order of the images.
        progress: called with the number of images of each step.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the encoder predicts no pose, images do not suit it, or a number is below its least.
    """
    check_arguments(fit_pose, locals())
    for name, count in (("epochs", epochs), ("batch_size", batch_size)):
        check_count(name, count)
    if not 0 < learning_rate < 10:
        raise ValueError(f"learning_rate must be above 0 and below 10; got {learning_rate:g}. Use 1e-3.")
    if not encoder.global_pool.is_canonical:
        raise ValueError(
            f"encoder must predict the pose, and has {encoder.global_pool.mode} features. Build it with "
            "global_pool='canonical'."
        )
    for source in (images, *([] if held_out is None else [held_out])):
        if source.channels != encoder.in_chans or len(source) < 2:
            raise ValueError(
                f"images must be at least two, of {encoder.in_chans} channels as the encoder takes; got {len(source)} "
                f"of {source.channels} in {source.name}. Build the encoder with in_chans={source.channels}."
            )
    if encoder.preprocessing is None:
        half = (0.5,) * encoder.in_chans
        encoder.preprocessing = Preprocessing(half, half, images.size)
    parameters = [*encoder.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate)
    parts = max(len(images) // batch_size, 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * parts)
    generator, losses = torch.Generator().manual_seed(seed), []
    encoder.train()
    for _ in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images), generator=generator).tensor_split(parts):
            loss = -_logits(encoder, images.pixels(chosen)).log_softmax(1)[:, encoder.group.identity].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
            progress(len(chosen))
        losses.append(total / len(images))
    encoder.eval()
    return PoseFit(tuple(losses), _upright(encoder, images if held_out is None else held_out, batch_size))


def _logits(encoder: Backbone, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
    """The logits of the pose of images in [0, 1]."""
    assert encoder.preprocessing is not None
    reference = next(encoder.parameters())
    inputs = encoder.preprocessing.normalise(pixels.to(reference.device, reference.dtype))
    logits: Tensor = encoder.global_pool.pose(encoder.regular_features(inputs))
    return logits


@torch.no_grad()
def _upright(encoder: Backbone, images: Source, batch_size: int) -> float:
    found = [
        _logits(encoder, images.pixels(part)).argmax(1) == encoder.group.identity
        for part in torch.arange(len(images)).split(batch_size)
    ]
    return float(torch.cat(found).double().mean())
