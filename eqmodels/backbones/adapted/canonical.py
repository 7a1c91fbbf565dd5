"""A network asked about its images as they stand upright, by a pose that turns with them: one pass instead of |G|."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.orbit import Orbit, in_format_of, is_square, resized
from eqmodels.backbones.adapted.outputs import maps_of
from eqmodels.checks import check_logits, check_maps, is_open
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Field, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers.scripting import NotScriptable

__all__ = ["Canonical", "CanonicalMode"]

CanonicalMode = Literal["hard", "straight-through", "soft", "frames"]

THRESHOLD = 0.5
"""Of the likeliest pose's probability, below which a pose is no part of a frame."""

torch.fx.wrap("check_maps")
torch.fx.wrap("in_format_of")


class Canonical(NotScriptable):
    """The answers of a network about images turned upright, maps turned back: equivariant for one pass of it.

    ``(B, C, H, W) -> (B, F, h, w)``. With the probabilities ``p = softmax(logits)`` of the poses, and N the network,
    ``sum_g w_g g N(g^-1 x)``, where g moves the pixels of maps (vectors are maps of one pixel), and the weights are

    * ``"hard"``: 1 for the largest logit; one pass, no gradient for the pose (Kaba et al. 2023, arXiv 2211.06489);
    * ``"straight-through"``: the same, and in train mode the gradient of ``p``, through ``sum_g w_g g^-1 x``;
    * ``"soft"``: ``p`` itself, for ``|G|`` passes: an orbit mean weighted by a learned network (lambda-equitune, Basu
      et al. 2023, arXiv 2305.09900);
    * ``"frames"``: what of ``p`` is above half of its maximum, summing to 1: continuous in the image, as no choice of
      one pose can be, for as many passes as poses are in doubt (weighted frames, Dym et al. 2024, arXiv 2402.16077).

    The output of a moved image is the moved output: to rounding, for ``"hard"`` where the two largest logits are apart
    by more than rounding. The weights of ``"soft"`` and ``"frames"`` carry the rounding of the logits, which in float32
    is 1e-5 to 1e-4 of the answers where these differ much from pose to pose.

    As in `GlobalPool`, ``"hard"`` freezes the pose, whose choice has no gradient, and the other modes thaw it.

    Args:
        network: from images to vectors or maps, see `maps_of`; a module or a function.
        pose: from images ``(B, C, H, W)`` to logits ``(B, |G|)`` that permute as a regular field; a module or a
            function. None for the network's own: that of g is the logarithm of the sum of the exponentials of its
            answer about ``g^-1 x``, the negative energy of a classifier's scores, for ``|G|`` passes in every mode (the
            choice by a loss of equizero, Basu et al. 2023, arXiv 2305.09900).
        group: whose elements permute pixels, or its name.
        fields: F.
        mode: see above.
        size: height and width of the images that a network takes which takes no others; None for any.
        at_a_time: copies of each image in one batch where there are several; None for what `Orbit` chooses.

    Raises:
        TypeError: if the network or the pose cannot be called, or a count is no integer.
        ValueError: if the mode is unknown, an element of the group permutes no pixels, or a count breaks its rule.
    """

    def __init__(
        self,
        network: Callable[[Tensor], object],
        pose: Callable[[Tensor], Tensor] | None,
        group: PlanarGroup | str,
        fields: int,
        *,
        mode: CanonicalMode = "hard",
        size: tuple[int, int] | None = None,
        at_a_time: int | None = None,
    ) -> None:
        super().__init__()
        if not is_one_of(mode, get_args(CanonicalMode)):
            raise ValueError(
                f"mode must be one of {', '.join(get_args(CanonicalMode))}; got {shown(mode)}. Use 'hard'."
            )
        if pose is not None and not callable(pose):
            raise TypeError(f"pose must be a module or a function from images to logits; got {shown(pose)}. Pass one.")
        self.orbit = Orbit(network, group, fields, size=size, at_a_time=at_a_time)
        self.group, self.fields, self.mode, self.pose = self.orbit.group, fields, mode, pose
        if isinstance(pose, nn.Module):
            pose.requires_grad_(mode != "hard")

    def train(self, mode: bool = True) -> Canonical:
        """Sets the mode; a pose that is not trained keeps the statistics that it has."""
        super().train(mode)
        if self.mode == "hard" and isinstance(self.pose, nn.Module):
            self.pose.eval()
        return self

    def output_field(self, field: Field) -> Scalars:  # noqa: ARG002 (images, whose channels nothing moves)
        """Scalars, whatever the network does."""
        return Scalars(self.fields)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The network's answers.

        Raises:
            TypeError: if the images are not floating point, or the network returns something else than a tensor.
            ValueError: if they have another rank, there is not one logit an element, or the answers do not fit
                together.
        """
        images = check_maps(images)
        if self.pose is None:
            answers = self.orbit(images).unflatten(1, (self.group.order, -1))
            return torch.einsum("bg,bgfhw->bfhw", self.weights(answers.mean((-2, -1)).logsumexp(2)), answers)
        weights = self.weights(check_logits(self.pose(images), self.group.order, images)).to(images.dtype)
        if self.mode in ("hard", "straight-through") and is_square(images):
            return self._of_one(images, weights)
        learning = self.mode == "straight-through" and self.training
        # Which poses count is not known where there are no values.
        if self.mode == "soft" or learning or is_open() or images.is_meta or len(images) == 0:
            answers = self.orbit(images).unflatten(1, (self.group.order, -1))
            return torch.einsum("bg,bgfhw->bfhw", weights, answers)
        return self.orbit.weighted(images, weights)

    def weights(self, logits: Float[Tensor, "B G"]) -> Float[Tensor, "B G"]:
        """What each pose counts for, summing to 1."""
        chances = logits.softmax(1)
        if self.mode == "soft":
            return chances
        if self.mode == "frames":
            above = (chances - THRESHOLD * chances.amax(1, keepdim=True)).relu()
            return above / above.sum(1, keepdim=True)
        chosen = F.one_hot(logits.argmax(1), self.group.order).to(logits.dtype)
        gradient = self.mode == "straight-through" and self.training
        return chosen + chances - chances.detach() if gradient else chosen

    def _of_one(self, images: Float[Tensor, "B C H W"], weights: Float[Tensor, "B G"]) -> Float[Tensor, "B F h w"]:
        """The answers about one image each. Sums instead of a choice: no branch on values, and gradients."""
        group = self.group
        copies = torch.stack([group.act(group.inverse(g), images) for g in group.elements], dim=1)
        upright = resized(torch.einsum("bg,bgchw->bchw", weights, copies), self.orbit.size)
        maps = maps_of(self.orbit.network(in_format_of(images, upright)), images.shape[0])
        if maps.shape[-2:] == (1, 1):
            return maps
        turned = torch.stack([group.act(g, maps) for g in group.elements], dim=1)
        # The choice alone: the gradient of the pose goes through the images.
        return torch.einsum("bg,bgfhw->bfhw", weights.detach(), turned)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, {self.fields}, {self.mode!r}"
