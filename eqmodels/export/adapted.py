"""Adapted networks in calls of PyTorch alone: the orbit of an image, and an image turned upright, at a known size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.canonical import Canonical
from eqmodels.backbones.adapted.orbit import Orbit, resized
from eqmodels.backbones.adapted.outputs import place_of_maps
from eqmodels.backbones.adapted.posing import GREY, PoseNetwork
from eqmodels.backbones.adapted.upright import Upright
from eqmodels.groups.planar import circular_mask

__all__ = ["StockCanonical", "StockOrbit", "StockPose", "StockUpright", "StockWeighted", "takes_one_pass"]

Convert = Callable[[nn.Module], nn.Module]
"""From a module to its stock equivalent."""


class _OfNetwork(nn.Module):
    """What asks a network about images; it is traced, so that its own class is in no file.

    Args:
        orbit: that knows the network.
        example: images of the size that will come, not square if any may.
        convert: for the network.
    """

    def __init__(self, orbit: Orbit, example: Float[Tensor, "B C H W"], convert: Convert) -> None:
        super().__init__()
        self.group, self.size = orbit.group, orbit.size
        self.is_resized = self.size is not None and tuple(example.shape[-2:]) != self.size
        asked = resized(example, self.size)
        self.is_square = asked.shape[-2] == asked.shape[-1]
        self.parts = orbit.batches(list(self.group.elements), square=self.is_square)
        network = orbit.network
        with torch.no_grad():
            output = network(asked)
        self.place = place_of_maps(output)
        self.has_maps = self._picked(output).dim() == 4
        self.network = convert(network) if isinstance(network, nn.Module) else network

    def answers(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The maps that the network gives; vectors are maps of one pixel."""
        found = self._picked(self.network(images))
        return found if self.has_maps else found[:, :, None, None]

    def _picked(self, output: Any) -> Tensor:  # noqa: ANN401
        if self.place is not None:
            output = getattr(output, self.place[1]) if self.place[0] == "attribute" else output[self.place[1]]
        found: Tensor = output
        return found

    def resized(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Images of the size that the network takes."""
        if not self.is_resized:
            return images
        return nn.functional.interpolate(images, self.size, mode="bilinear", antialias=True)

    def moved(self, g: int, maps: Float[Tensor, "B F h w"]) -> Float[Tensor, "B F h2 w2"]:
        """Maps moved by an element, which leaves vectors."""
        return self.group.act(g, maps) if self.has_maps else maps


class StockOrbit(_OfNetwork):
    """What `Orbit` computes in eval mode."""

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B GF h w"]:
        """The answers about all copies, group-major."""
        images = self.resized(images)
        found: dict[int, Tensor] = {}
        for part in self.parts:
            copies = torch.cat([self.group.act(self.group.inverse(h), images) for h in part])
            answers = self.answers(copies).unflatten(0, (len(part), -1))
            found |= {h: self.moved(h, answers.select(0, number)) for number, h in enumerate(part)}
        return torch.cat([found[h] for h in self.group.elements], dim=1)


class StockCanonical(_OfNetwork):
    """What `Canonical` computes in eval mode where one pass is enough, see `takes_one_pass`.

    Args:
        canonical: what is converted.
        example: images of the size that will come.
        convert: for the network and the pose.
    """

    def __init__(self, canonical: Canonical, example: Float[Tensor, "B C H W"], convert: Convert) -> None:
        super().__init__(canonical.orbit, example, convert)
        pose = canonical.pose
        self.pose = convert(pose) if isinstance(pose, nn.Module) else pose
        self.weights = canonical.weights

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The answers about upright images, as the images turn."""
        group = self.group
        assert self.pose is not None
        weights = self.weights(self.pose(images)).to(images.dtype)
        copies = torch.stack([group.act(group.inverse(g), images) for g in group.elements], dim=1)
        maps = self.answers(self.resized(torch.einsum("bg,bgchw->bchw", weights, copies)))
        if not self.has_maps:
            return maps
        turned = torch.stack([group.act(g, maps) for g in group.elements], dim=1)
        return torch.einsum("bg,bgfhw->bfhw", weights, turned)


class StockWeighted(nn.Module):
    """What `Canonical` computes in eval mode, in |G| passes.

    Args:
        canonical: what is converted.
        orbit: the stock form of its orbit.
        convert: for the pose.
    """

    def __init__(self, canonical: Canonical, orbit: nn.Module, convert: Convert) -> None:
        super().__init__()
        pose = canonical.pose
        self.orbit, self.order, self.weights = orbit, canonical.group.order, canonical.weights
        self.pose = convert(pose) if isinstance(pose, nn.Module) else pose

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The weighted mean of the answers, as the images turn."""
        answers = self.orbit(images).unflatten(1, (self.order, -1))
        logits = answers.mean((-2, -1)).logsumexp(2) if self.pose is None else self.pose(images)
        return torch.einsum("bg,bgfhw->bfhw", self.weights(logits).to(images.dtype), answers)


def takes_one_pass(canonical: Canonical, example: Float[Tensor, "B C H W"]) -> bool:
    """Whether the network is asked once: one pose is chosen, and the images are square."""
    chooses = canonical.pose is not None and canonical.mode in ("hard", "straight-through")
    return chooses and example.shape[-2] == example.shape[-1]


class StockPose(nn.Module):
    """What `PoseNetwork` computes.

    Args:
        pose: what is converted.
        example: images of the size that will come.
        convert: for the stages of its encoder, and what predicts the pose.
    """

    grey: Tensor
    mean: Tensor
    deviation: Tensor
    own_mean: Tensor
    own_deviation: Tensor

    def __init__(self, pose: PoseNetwork, example: Float[Tensor, "B C H W"], convert: Convert) -> None:
        super().__init__()
        encoder, own = pose.encoder, pose.encoder.preprocessing
        self.channels, self.in_chans = example.shape[1], encoder.in_chans
        self.size = None if own is None else (max(own.size), max(own.size))
        self.is_resized = self.size is not None and tuple(example.shape[-2:]) != self.size
        self.is_normalised = own is not None and pose.images is not None
        known = {"grey": list(GREY) if self.channels == 3 else [1 / self.channels] * self.channels}
        if own is not None and pose.images is not None:
            known |= {"mean": [*pose.images.mean], "deviation": [*pose.images.deviation]}
            known |= {"own_mean": [*own.mean], "own_deviation": [*own.deviation]}
        for name, values in known.items():
            value = torch.tensor(values, dtype=example.dtype, device=example.device)
            self.register_buffer(name, value if name == "grey" else value[:, None, None])
        self.stages = nn.Sequential(*(convert(encoder.get_submodule(name)) for name in encoder.stages))
        self.stages.training = pose.training
        self.predictor = convert(encoder.global_pool.pose)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """One logit an element."""
        if self.is_normalised:
            images = images * self.deviation + self.mean
        if self.in_chans > self.channels:
            images = images.expand(-1, self.in_chans, -1, -1)
        elif self.in_chans < self.channels:
            images = torch.einsum("bchw,c->bhw", images, self.grey).unsqueeze(1)
        if self.is_resized:
            images = nn.functional.interpolate(images, self.size, mode="bilinear", antialias=True)
        if self.is_normalised:
            images = (images - self.own_mean) / self.own_deviation
        logits: Tensor = self.predictor(self.stages(images).mean((-2, -1)))
        return logits


class StockUpright(nn.Module):
    """What `Upright` computes in eval mode, of images of one size.

    Args:
        upright: what is converted.
        example: images of the size that will come.
        convert: for the stages of its encoder, the pooling and what predicts the angle.
    """

    mask: Tensor
    across: Tensor
    down: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, upright: Upright, example: Float[Tensor, "B C H W"], convert: Convert) -> None:
        super().__init__()
        encoder, images, side = upright.encoder, upright.images, min(example.shape[-2:])
        places = (2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1
        known = {"mask": circular_mask(side, side), "across": places.expand(side, side)}
        known["down"] = places[:, None].expand(side, side)
        known["mean"] = torch.tensor([0.0] if images is None else images.mean, dtype=torch.float64)[:, None, None]
        deviation = [1.0] if images is None else images.deviation
        known["deviation"] = torch.tensor(deviation, dtype=torch.float64)[:, None, None]
        for name, value in known.items():
            self.register_buffer(name, value.to(example).contiguous())
        # A square that is off the middle by half a pixel is the mean of two.
        beyond = tuple(pixels - side for pixels in example.shape[-2:])
        self.halves = tuple(1 + pixels % 2 for pixels in beyond)
        self.rows, self.columns = (slice(pixels // 2, pixels // 2 + side) for pixels in beyond)
        self.seer, self.stages = (
            nn.Sequential(*(convert(one.get_submodule(name)) for name in one.stages)) for one in (upright.seer, encoder)
        )
        self.seer.training, self.stages.training = upright.seer.training, encoder.training
        self.angle, self.global_pool = convert(upright.angle), convert(encoder.global_pool)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F 1 1"]:
        """The features of the upright pictures."""
        pixels = nn.functional.avg_pool2d(images * self.deviation + self.mean, self.halves, 1)
        seen = pixels[:, :, self.rows, self.columns] * self.mask
        maps = self.seer((seen - self.mean) / self.deviation)
        vectors = self.angle(maps.mean((-2, -1)))
        angle = torch.atan2(vectors.select(1, 0), vectors.select(1, 1)).view(-1, 1, 1)
        cos, sin = angle.cos(), angle.sin()
        grid = torch.stack([cos * self.across - sin * self.down, sin * self.across + cos * self.down], -1)
        upright = nn.functional.grid_sample(seen, grid, padding_mode="border", align_corners=False) * self.mask
        features: Tensor = self.global_pool(self.stages((upright - self.mean) / self.deviation))
        return features[:, :, None, None]
