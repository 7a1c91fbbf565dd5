"""The features of a pretrained network on a data set, and the ways to pool their fibre."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.groups import PlanarGroup
from eqmodels.layers import GlobalPool, GroupPool
from eqmodels.training import Run

__all__ = ["POOLINGS", "pool_features", "poolings_of", "regular_features"]

POOLINGS: dict[str, str] = {
    "regular": "the fibre as it is: permutes when the image turns",
    "regular-half": "half of the fibres as they are, as many features as a network of half the width has",
    "invariant": "the maximum over the fibre",
    "invariant-3": "the maximum, the mean and the norm over the fibre",
    "canonical": "the fibre turned back by the predicted pose",
    "canonical-soft": "the fibre averaged over the predicted poses",
    "all": "invariant-3, canonical and regular side by side",
}
"""What each pooling is."""


def poolings_of(run: Run) -> tuple[str, ...]:
    """The poolings that make sense for a network: one without a group has a fibre of one element."""
    if run.model.backbone.group.order == 1:
        return ("regular",)
    return tuple(name for name in POOLINGS if run.model.pose is not None or not name.startswith("canonical"))


@torch.no_grad()
def regular_features(
    run: Run,
    pixels: Callable[[slice], Float[Tensor, "B C H W"]],
    count: int,
    *,
    batch_size: int = 100,
) -> Float[Tensor, "N F"]:
    """Regular features of images that are made batch by batch, float32, group-major.

    Args:
        run: the network and its preprocessing.
        pixels: from a range of indices to images in [0, 1].
        count: number of images.
        batch_size: images at a time; activations of many do not fit a CPU's cache, 100 are a quarter faster than 500.
    """
    model = run.model.eval()
    device = next(model.parameters()).device
    batches = []
    for start in range(0, count, batch_size):
        images = pixels(slice(start, min(start + batch_size, count))).to(device)
        images = run.preprocessing.normalise(images).contiguous(memory_format=torch.channels_last)
        batches.append(model.features(images).float().cpu())
    return torch.cat(batches)


@torch.no_grad()
def pool_features(run: Run, regular: Float[Tensor, "N C"], pooling: str) -> Float[Tensor, "N F"]:
    """What a pooling makes of regular features; on the CPU, wherever the network is.

    Raises:
        ValueError: if the pooling is unknown, or the network does not have it.
    """
    if pooling not in poolings_of(run):
        raise ValueError(f"this network's poolings are {', '.join(poolings_of(run))}; got {pooling!r}.")
    if pooling == "regular":
        return regular
    group = run.model.backbone.group
    if pooling == "regular-half":
        # No field is before another: initialisation and training do not tell them apart.
        fields: Tensor = regular.view(len(regular), group.order, -1)
        return fields[:, :, : max(fields.shape[2] // 2, 1)].flatten(1)
    if pooling == "invariant-3":
        return torch.cat([GroupPool(group, mode)(regular) for mode in ("max", "mean", "norm")], 1)
    if pooling == "all":
        parts = [name for name in ("invariant-3", "canonical", "regular") if name in poolings_of(run)]
        return torch.cat([pool_features(run, regular, name) for name in parts], 1)
    pool = GlobalPool(group, pooling, pose=run.model.pose)  # type: ignore[arg-type]
    device = next(run.model.parameters()).device
    # In parts, as the hidden layer of the pose is wide.
    return torch.cat([pool(part[:, :, None, None].to(device)).cpu() for part in regular.split(4096)])


def change_under(
    group: PlanarGroup,
    g: int,
    fibre: PlanarGroup,
    upright: Float[Tensor, "N C"],
    turned: Float[Tensor, "N C"],
) -> float:
    """How far features of moved images are from the moved features: ``|f(g x) - rho(g) f(x)| / |f(x)|``.

    Root mean squares over all images; 0 if all features are. A network whose group does not have the element has no
    representation of it: then ``rho(g)`` is the identity.

    Args:
        group: the group that moves the images.
        g: its element.
        fibre: the network's group.
        upright: regular features of the images.
        turned: regular features of the moved images.
    """
    h = fibre.counterpart(group, g)
    expected = upright if h is None else fibre.permute_fibre(h, upright)
    norm = float(upright.double().norm())
    return float((turned - expected).double().norm()) / norm if norm else 0.0
