"""An encoder that turns every picture upright by its own angle first: nearly the same features at every angle."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.adapted.noted import made_of, note_original
from eqmodels.backbones.adapted.symmetrised import check_filters
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.describe import check_bounds, description_of
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import build_for_images, register_backbone, resolve
from eqmodels.checks import check_count, check_images, check_maps
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.groups.planar import circular_mask
from eqmodels.layers import AnglePredictor, AnyPoolMode
from eqmodels.layers.scripting import NotScriptable
from eqmodels.transforms import Preprocessing
from eqmodels.transforms.cutting import cut

__all__ = ["TurnedUpright", "Upright"]

torch.fx.wrap("check_maps")


class Upright(NotScriptable):
    """Features of images that are seen through their circle and turned upright first: ``(B, C, H, W) -> (B, F, 1, 1)``.

    ``f(R(-a(x)) m x)``, where m is the inscribed circle, a(x) the angle of a vector that the network's regular features
    give, R a bilinear turn and f the network: two passes. The angle is that of the network as it is now: a copy of it,
    which stays as it is when the network learns. Turned by a quarter, x has ``a(g x) = a(x) + 90`` exactly, so
    that the features stay, to rounding. Between the quarters they stay as well as the angle is told, or, where nothing
    tells it, as alike as what is answered. Where it is known, this mends what no continuous choice among quarter turns
    can (Dym et al. 2024, arXiv 2402.16077): half-way between two of them, canonical features have to jump, and
    networks, which are continuous, are right about neither.

    Args:
        encoder: whose maps are regular fields of a group with quarter turns; its pooling gives the features.
        angle: from its regular features to the vectors.

    Attributes:
        images: what the images that come went through, which is undone before they are masked and turned; None if they
            are pixels in [0, 1].

    Raises:
        TypeError: if the encoder is none, or the angle no predictor.
        ValueError: if the encoder's maps are no regular fields of a group with quarter turns, or it classifies.

    Source: for the choice of a pose by what the network itself learned, Kaba et al. 2023 (arXiv 2211.06489).
    """

    def __init__(self, encoder: StagedNetwork, angle: AnglePredictor) -> None:
        check_arguments(Upright, {"encoder": encoder, "angle": angle})
        super().__init__()
        group = encoder.group
        if not isinstance(group, PlanarGroup) or group.rotations % 4 or not isinstance(encoder.map_field, Regular):
            raise ValueError(
                "encoder must have maps of regular fields of a group with quarter turns, such as C4 or D4; got the "
                f"field {encoder.map_field} of {group}. Use a c4_ or a d4_ network."
            )
        if encoder.num_classes or not encoder.global_pool.mode:
            raise ValueError(
                f"encoder must give pooled features; got one of {encoder.num_classes} classes and the pooling "
                f"{encoder.global_pool.mode!r}. Load it with num_classes=0 and global_pool='canonical'."
            )
        # What tells the angle would tell another one if the features that it reads moved on.
        seer = copy.deepcopy(encoder)
        seer.reset_classifier(0, "regular")
        self.encoder, self.seer, self.angle = encoder, seer, angle
        self.images: Preprocessing | None = None
        for part in (self.seer, self.angle):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Upright:
        """Sets the mode; what tells the angle keeps the statistics that it has."""
        super().train(mode)
        self.seer.eval()
        self.angle.eval()
        return self

    def output_field(self, field: Field) -> Scalars:  # noqa: ARG002 (images, whose channels nothing moves)
        """Scalars, as the picture is upright whatever it was."""
        return Scalars(self.encoder.head_hidden_size)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F 1 1"]:
        """Features of the upright pictures. What tells the angle does not learn.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another rank.
        """
        seen = self._seen(check_maps(images))
        # Of what was seen, so that no corner enters between its pixels.
        features: Tensor = self.encoder(self._prepared(_turned(seen, -self._degrees(seen))))
        return features[..., None, None]

    def degrees(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """By how many degrees each picture is turned counter-clockwise, as far as is known: from -180 to 180.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another rank.
        """
        return self._degrees(self._seen(check_maps(images)))

    @torch.no_grad()
    def _degrees(self, pixels: Float[Tensor, "B C S S"]) -> Float[Tensor, " B"]:
        return AnglePredictor.degrees(self.angle(self.seer(self._prepared(pixels))))

    def _seen(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C S S"]:
        """Pixels in [0, 1] of the largest square in the middle, black outside its circle."""
        pixels = images if self.images is None else self.images.restore(images)
        return _turned(pixels, images.new_zeros(images.shape[0]))

    def _prepared(self, pixels: Float[Tensor, "B C S S"]) -> Float[Tensor, "B C S S"]:
        return pixels if self.images is None else self.images.normalise(pixels)


def _turned(pixels: Float[Tensor, "B C H W"], degrees: Float[Tensor, " B"]) -> Float[Tensor, "B C S S"]:
    """The largest squares in the middle, turned counter-clockwise, black outside the circle."""
    height, width = pixels.shape[-2:]
    side = min(height, width)
    if pixels.shape[0] == 0:
        return pixels[..., :side, :side]
    middle = torch.tensor([side, width / 2, height / 2], dtype=torch.float64, device=pixels.device)
    # In half precision neighbouring pixels would be one.
    precise = pixels.float() if pixels.dtype in (torch.bfloat16, torch.float16) else pixels
    found = cut(precise, middle.expand(pixels.shape[0], 3), degrees.to(middle), side)
    return (found * circular_mask(side, side).to(found)).to(pixels.dtype)


@register_backbone("turned_upright")
class TurnedUpright(Backbone):
    """A network with a head of the angle as a backbone of two passes, which turns pictures upright: see `Upright`.

    Its features do not change when the image turns, exactly for quarter turns: there is no fibre, so the pooling is
    ``"regular"``, and features are those of the network's own pooling.

    A network of a registered class is built by its name when a file is loaded; its weights and those of the angle are
    in the file.

    Args:
        group: quarter turns: C4, or its name.
        network: the name of a model, with random weights, or an encoder, which is held as it is, see `Upright`.
        network_args: of a model that is named, further options.
        angle_hidden: dense channels between the two layers of the angle, see `AnglePredictor`.
        original: where the weights are from, by name, see `Canonicalised`; None if nothing is known.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: ``"regular"``.

    Raises:
        TypeError: if a count is no integer, or the network has no such option.
        ValueError: if an argument breaks its rule, there is no such model, or the network's maps are no regular fields
            of a group with quarter turns.
    """

    upright: Upright
    without_images: ClassVar[str] = "Set its attribute preprocessing."

    def __init__(
        self,
        group: PlanarGroup | str = "c4",
        *,
        network: str | StagedNetwork,
        network_args: Mapping[str, Any] | None = None,
        angle_hidden: int = 512,
        original: Mapping[str, str] | None = None,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: AnyPoolMode = "regular",
    ) -> None:
        check_arguments(TurnedUpright, {"network": network, "network_args": network_args})
        super().__init__(group, in_chans, num_classes)
        if PlanarGroup.parse(group) != PlanarGroup(4):
            raise ValueError(f"group must be that of quarter turns; got {self.group}. Leave it out.")
        note_original(self.structure, original)
        if isinstance(network, str):
            options = {"num_classes": 0, **(network_args or {}), "in_chans": self.in_chans}
            check_bounds(resolve(network, plugins=False)[0], options)
            network = build_for_images(network, plugins=False, **options)
        field = network.map_field
        if not isinstance(field, Regular):
            raise ValueError(f"network must have maps of regular fields; got the field {field}. Use a c4_ network.")
        if network.in_chans != self.in_chans:
            raise ValueError(
                f"in_chans must be that of the network; got {self.in_chans}, and a network of {network.in_chans}. Pass "
                f"in_chans={network.in_chans}."
            )
        if check_count("angle_hidden", angle_hidden) < field.group.order:
            raise ValueError(
                f"angle_hidden must be at least {field.group.order}, the order of {field.group}; got {angle_hidden}. "
                "Use 512."
            )
        self.structure |= {"network": None, "network_args": None}
        if type(network).__dict__.get("architectures"):
            description = description_of(network, None)
            arguments = {name: value for name, value in description["model_args"].items() if name != "in_chans"}
            self.structure |= {"network": description["architecture"], "network_args": arguments}
        reference = next(network.parameters())
        angle = AnglePredictor(field.group, field.count, angle_hidden).to(reference.device, reference.dtype)
        stage = Upright(network, angle)
        self.add_stage("upright", stage, network.head_hidden_size, network.feature_info[-1]["reduction"])
        self.preprocessing = network.preprocessing
        self.finish(global_pool)

    def pass_on(self, images: Preprocessing | None) -> None:
        """Pixels are masked and turned as they were before they were normalised.

        Args:
            images: the new value of `preprocessing`.
        """
        stage = self.upright
        stage.images = stage.encoder.preprocessing = stage.seer.preprocessing = images

    @property
    def map_field(self) -> Scalars:
        """Scalars: what is seen is upright."""
        return Scalars(self.feature_info[-1]["num_chs"])

    def degrees(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """By how many degrees each picture is turned counter-clockwise, as far as its head tells: from -180 to 180.

        Raises:
            TypeError: if the images are not floating point, or of another type than the network's filters.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        return self.upright.degrees(check_filters(check_images(images, self.in_chans), self.upright))

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F 1 1"]:
        """The features of the upright pictures, as maps of one pixel.

        Raises:
            TypeError: if the images are not floating point, or of another type than the network's filters.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps: Tensor = self.upright(check_filters(check_images(images, self.in_chans), self.upright))
        return maps

    def describe_output(self) -> str:
        """What the network sees, and how features and scores change when the image is turned."""
        pooling = shown(self.upright.encoder.global_pool.mode)
        scores = f" fc: {self.num_classes} scores, which stay as well." if self.num_classes else ""
        return (
            f"{made_of(self.structure, 'network')}, which sees images through their circle, turned upright by the "
            f"angle that its own head tells. global_pool: {self.head_hidden_size} features ({pooling}) that quarter "
            f"turns leave, exactly, and other turns as far as the angle is told.{scores}"
        )
