"""Feature maps of an image that turns: as the network gives them, and turned back into the upright image's frame."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
from PIL import Image, ImageOps
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.evaluation.orbits import Motion, View
from eqmodels.reports import OKABE_ITO
from eqmodels.reports.figures import as_address

__all__ = ["STEP", "TurningMaps", "turning_maps"]

STEP = 15
"""Degrees between two pictures."""
SMALLEST = 24
"""Pixels of a side of maps that can be looked at."""
COLOURS = ("black", OKABE_ITO[0], "white")
"""Of the smallest, the middle and the largest value of a map."""


@dataclass(frozen=True)
class TurningMaps:
    """One channel of one network while the image turns.

    Attributes:
        name: of the network.
        stage: that the map is of.
        angles: in degrees, counter-clockwise.
        images: what the network was shown, as an address of a picture, by angle.
        maps: the channel as the network gives it, in the image's frame.
        back: the same map turned back by the angle.
        changes: by angle, ``|turned back - upright| / |upright|`` over all channels.
    """

    name: str
    stage: str
    angles: tuple[int, ...]
    images: tuple[str, ...]
    maps: tuple[str, ...]
    back: tuple[str, ...]
    changes: tuple[float, ...]


@torch.no_grad()
def turning_maps(name: str, encoder: Backbone, image: Float[Tensor, "C H W"]) -> TurningMaps:
    """The maps of a network at every multiple of `STEP` degrees, of the image seen through its inscribed circle.

    Of regular features the largest over the fibre is shown, which does not say in which frame it is: so it is the same
    function of a network with a group and of one without. The channel is the one that varies most over the upright
    image.

    Args:
        name: of the network.
        encoder: in eval mode.
        image: with values in [0, 1], normalised here as the encoder says.
    """
    views = [View(Motion.by_degrees(angle), circular=True) for angle in range(0, 360, STEP)]
    returns = [View(Motion.by_degrees(-angle), circular=True) for angle in range(0, 360, STEP)]
    known = encoder.preprocessing
    # What is outside the circle is zero, which of normalised images is the mean: so its edge is not what is seen.
    upright = image[None] if known is None else known.normalise(image[None])
    given = torch.cat([view.of(upright) for view in views])
    shown = given if known is None else known.restore(given)
    stage = _stage(encoder, given[:1])
    maps = torch.cat([_invariant(encoder, _maps(encoder, stage, one[None])) for one in given])
    back = torch.cat([view.of(one[None]) for view, one in zip(returns, maps, strict=True)])
    changes = tuple(float((one - back[0]).norm() / back[0].norm()) for one in back)
    channel = int(back[0].flatten(1).std(1).argmax())
    low, high = float(maps[:, channel].min()), float(maps[:, channel].max())
    return TurningMaps(
        name,
        stage,
        tuple(range(0, 360, STEP)),
        tuple(as_address(_photograph(one), "image/webp") for one in shown),
        tuple(as_address(_drawn(one[channel], low, high)) for one in maps),
        tuple(as_address(_drawn(one[channel], low, high)) for one in back),
        changes,
    )


def _stage(encoder: Backbone, image: Float[Tensor, "B C H W"]) -> str:
    """The deepest stage whose maps have `SMALLEST` pixels a side; the first one if none has."""
    maps, found = image, encoder.stages[0]
    for name in encoder.stages:
        maps = encoder.get_submodule(name)(maps)
        found = name if min(maps.shape[-2:]) >= SMALLEST else found
    return found


def _maps(encoder: Backbone, stage: str, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
    maps: Tensor = images
    for name in encoder.stages[: encoder.stages.index(stage) + 1]:
        maps = encoder.get_submodule(name)(maps)
    return maps


def _invariant(encoder: Backbone, maps: Float[Tensor, "B F h w"]) -> Float[Tensor, "B F2 h w"]:
    """The largest over the fibre; without a group the maps themselves."""
    order = encoder.group.order
    return maps if order == 1 or maps.shape[1] % order else maps.unflatten(1, (order, -1)).amax(1)


def _photograph(image: Float[Tensor, "C H W"]) -> bytes:
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Image.fromarray((levels[0] if len(levels) != 3 else levels.movedim(0, -1)).numpy())
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _drawn(plane: Float[Tensor, "h w"], low: float, high: float) -> bytes:
    levels = ((plane - low) / max(high - low, 1e-12) * 255).clamp(0, 255).round().to(torch.uint8)
    picture = ImageOps.colorize(Image.fromarray(levels.numpy()), COLOURS[0], COLOURS[2], mid=COLOURS[1])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
