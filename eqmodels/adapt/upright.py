"""An encoder that turns every picture upright by its own head first: nearly the same features at every angle."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_images
from eqmodels.fields import Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.groups.planar import circular_mask
from eqmodels.heads import AngleHead
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.layers.scripting import NotScriptable
from eqmodels.objectives.turned_views import cut
from eqmodels.training import Run

__all__ = ["TurnedUpright"]


class TurnedUpright(NotScriptable):
    """Features of a picture that is seen through its circle and turned upright first: ``(B, C, H, W) -> (B, F)``.

    ``f(R(-a(x)) m x)``, where m is the inscribed circle, a(x) the angle of the head's vector, R a bilinear turn and f
    the network: two passes. Turned by a quarter, x has ``a(g x) = a(x) + 90`` exactly, so that the features stay, to
    rounding. Between the quarters they stay as well as the head tells the angle, or, where nothing tells it, as alike
    as what the head answers. Where it knows the angle, this mends what no continuous choice among quarter turns can
    (Dym et al. 2024, arXiv 2402.16077): half-way between two of them, canonical features have to jump, and networks,
    which are continuous, are right about neither.

    Args:
        run: a pretrained network with a head of the angle, see `eqmodels.hub.load_pretrained`: one that was distilled
            with an ``angle_weight``. It is copied.
        features: how those of the upright picture are pooled, see `GlobalPool`.

    Attributes:
        group: quarter turns.
        out_field: of the features, scalars: quarter turns leave them.
        in_chans: channels of the images.
        preprocessing: what images go through first.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has no head of the angle, or cannot pool so.

    Example:
        >>> from eqmodels.hub import load_pretrained
        >>> encoder = TurnedUpright(load_pretrained("c4_resnet18_w32.distil_lite0"))
        >>> images = torch.rand(1, 3, 64, 64)
        >>> turned = images.rot90(1, (-2, -1))
        >>> torch.allclose(encoder(turned), encoder(images), atol=1e-3)
        True
    """

    def __init__(self, run: Run, features: GlobalPoolMode = "canonical") -> None:
        check_arguments(TurnedUpright, {"run": run, "features": features})
        super().__init__()
        heads = [module for module in run.objective.modules() if isinstance(module, AngleHead)]
        if not heads:
            raise ValueError(
                f"run must have a head of the angle; {run.name} has none. Use c4_resnet18_w32.distil_lite0, or a "
                "network that was distilled with angle_weight=0.1 (--angle-weight 0.1)."
            )
        self.angle = copy.deepcopy(heads[0]).eval()
        self.encoder = run.encoder(features)
        # One backbone for both passes; its regular features are what the head reads.
        self.regular: nn.Module = run.encoder("regular").global_pool
        self.group, self.out_field = PlanarGroup(4), Scalars(self.encoder.head_hidden_size)
        self.in_chans, self.preprocessing = self.encoder.in_chans, run.preprocessing
        self.eval()

    def degrees(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """By how many degrees each picture is turned counter-clockwise, as far as its head tells: from -180 to 180.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another shape.
        """
        return self._degrees(self._seen(check_images(images, self.in_chans)))

    @torch.no_grad()
    def _degrees(self, pixels: Float[Tensor, "B C S S"]) -> Float[Tensor, " B"]:
        maps = self.encoder.forward_features(self.preprocessing.normalise(pixels))
        return AngleHead.degrees(self.angle(self.regular(maps)))

    def _seen(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C S S"]:
        """Pixels in [0, 1] of the largest square in the middle, black outside its circle."""
        return _turned(self.preprocessing.restore(images), torch.zeros(len(images)))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Features of the upright pictures. Gradients reach the network by the second pass alone.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another shape.
        """
        check_images(images, self.in_chans)
        seen = self._seen(images)
        # Of what was seen, so that no corner enters between its pixels.
        features: Tensor = self.encoder(self.preprocessing.normalise(_turned(seen, -self._degrees(seen))))
        return features

    def extra_repr(self) -> str:
        """The pooling, for `print(encoder)`."""
        return f"features={self.encoder.global_pool.mode!r}"


def _turned(pixels: Float[Tensor, "B C H W"], degrees: Float[Tensor, " B"]) -> Float[Tensor, "B C S S"]:
    """The largest squares in the middle, turned counter-clockwise, black outside the circle."""
    height, width = pixels.shape[-2:]
    side = min(height, width)
    middle = torch.tensor([side, width / 2, height / 2], dtype=torch.float64, device=pixels.device)
    found = cut(pixels, middle.expand(len(pixels), 3), degrees.to(middle), side)
    return found * circular_mask(side, side).to(found)
