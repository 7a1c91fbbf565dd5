"""What every dense network is: maps of the image's own size, and for each pixel an output of a declared field."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.dense.layers import DecoderOptions, OutputHead
from eqmodels.backbones.dense.levels import EncoderLevels
from eqmodels.backbones.describe import description_of
from eqmodels.backbones.named import CHANGEABLE
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count, check_images, check_maps
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import AnyPoolMode, GlobalPool, GroupPoolMode

__all__ = ["Decoder", "DenseNetwork"]

torch.fx.wrap("check_maps")


class Decoder(nn.Module):
    """The one stage of a dense network: an encoder's levels, and what puts them together at the size of the image.

    Attributes:
        encoder: the levels.
        out_field: of the maps that it puts out.
    """

    encoder: EncoderLevels
    out_field: Regular


class DenseNetwork(Backbone):
    """A network with an output for every pixel: ``(B, in_chans, H, W) -> (B, num_classes, H, W)`` at every size.

    When the image is turned by a quarter or mirrored, the output is the turned or mirrored output, as `out_field` says
    of its channels: class scores and heatmaps move with their pixels, and vectors turn too. Its stage is a decoder
    around the stages of an encoder, of the name that the subclass gives it; `global_pool` leaves maps as they are, and
    `fc` reads off the output.

    A subclass calls `__init__` with the network that `encoder_for` gives, and hands its one stage, a `Decoder`, to
    `decode`. Files hold the encoder by its name and options, and all weights.

    Args:
        encoder: the network whose stages the decoder has.
        num_classes: channels of the output; 0 for the maps themselves; None for those of `out_field`, or 1.
        out_field: what the output means, a field or its text, such as ``"1 x vector(c4)"``; None for scalars.

    Raises:
        TypeError: if `num_classes` is not an integer, or `out_field` no field.
        ValueError: if both are given and differ, or the text is of no field.
    """

    def __init__(self, encoder: StagedNetwork, num_classes: int | None, out_field: Field | str | None) -> None:
        field = _checked_field(out_field)
        channels = num_classes if num_classes is not None else 1 if field is None else field.channels
        if field is not None and check_count("num_classes", channels, 0) not in (0, field.channels):
            raise ValueError(
                f"num_classes counts the channels of the output, {field.channels} of the field {field}; got "
                f"{channels}. Leave one of both out."
            )
        super().__init__(encoder.group, encoder.in_chans, channels)
        name, options = None, None
        if type(encoder).__dict__.get("architectures"):
            description = description_of(encoder, None)
            name = description["architecture"]
            options = {key: value for key, value in description["model_args"].items() if key not in CHANGEABLE}
        self.structure |= {
            "encoder": name,
            "encoder_args": options or None,
            "out_field": None if field is None else str(field),
        }
        self.preprocessing, self.license = encoder.preprocessing, encoder.license

    def decode(self, name: str, decoder: Decoder, options: DecoderOptions) -> None:
        """Adds the one stage, and what follows it.

        Args:
            name: of the stage.
            decoder: the stage.
            options: that it was made with, which files hold.
        """
        self.usual, self._options = options.usual, options
        self.structure |= options.structure
        self.add_stage(name, decoder, options.width, 1)
        self.finish()

    @property
    def decoder(self) -> Decoder:
        """The one stage."""
        decoder: Decoder = self.get_submodule(self.stages[0])  # type: ignore[assignment]
        return decoder

    def finish(
        self,
        global_pool: AnyPoolMode = "regular",
        group_pool: GroupPoolMode = "max",
        pose_hidden: int = 2048,
        *,
        tied: int = 1,
    ) -> None:
        """Builds `global_pool`, which leaves maps as they are, and `fc`, once the stage is there.

        Args:
            global_pool: ``"regular"``, as nothing is pooled.
            group_pool: ``"max"``, for the same reason.
            pose_hidden: of a pooling that is not there.
            tied: 1, for the same reason.

        Raises:
            ValueError: if another pooling is asked for.
        """
        _refuse_pooling(type(self).__name__, global_pool, group_pool != "max" or pose_hidden != 2048 or tied != 1)
        self.global_pool = _WholeMaps(self.group)
        self.fc = self._classifier(self.num_classes)

    def _classifier(self, num_classes: int) -> nn.Module:
        if not num_classes:
            return nn.Identity()
        text = self.structure["out_field"]
        field = Scalars(num_classes) if text is None else Field.parse(text)
        return self._options.head(field)

    def reset_classifier(
        self,
        num_classes: int,
        global_pool: AnyPoolMode | None = None,
        *,
        pose: nn.Module | None = None,
        out_field: Field | str | None = None,
    ) -> None:
        """A fresh output for another number of classes (0: the maps), or of another field.

        Args:
            num_classes: channels of the new output.
            global_pool: None, or ``"regular"``: nothing is pooled.
            pose: None, for the same reason.
            out_field: what the new output means; None for scalars.

        Raises:
            TypeError: if `num_classes` is not an integer, or `out_field` no field.
            ValueError: if it is negative, the field has other channels, or a pooling is asked for.
        """
        _refuse_pooling(type(self).__name__, global_pool or "regular", pose is not None)
        field, count = _checked_field(out_field), check_count("num_classes", num_classes, 0)
        if field is not None and field.channels != count:
            raise ValueError(
                f"num_classes counts the channels of the output, {field.channels} of the field {field}; got {count}. "
                f"Pass {field.channels}."
            )
        self.structure["out_field"] = None if field is None else str(field)
        super().reset_classifier(count)

    def pool_settings(self) -> dict[str, Any]:
        """None: there is no pooling to set."""
        return {}

    @property
    def map_field(self) -> Regular:
        """What the channels of the decoder's maps mean."""
        return self.decoder.out_field

    @property
    def pooled_field(self) -> Field:
        """That of the maps, of which nothing is pooled."""
        return self.map_field

    @property
    def out_field(self) -> Field:
        """What the output means: the field that was asked for, or that of the maps if `num_classes` is 0."""
        if isinstance(self.fc, OutputHead):
            # Of the trivial group nothing is claimed, as everywhere.
            return Regular(self.group, self.num_classes) if self.group.order == 1 else self.fc.out_field
        return self.map_field

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H W"]:
        """The decoder's maps, of the size of the images and of the field `map_field`.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps: Tensor = self.decoder(check_images(images, self.in_chans))
        return maps

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory: the stages of the encoder are recomputed in the backward pass."""
        super().set_grad_checkpointing(enable)
        self.decoder.encoder.recompute = enable

    def describe_output(self) -> str:
        """What every pixel's output means, and how it changes when the image is turned."""
        kind, shape = type(self).__name__, f"({self.num_classes or self.num_features}, height, width)"
        if self.group.order == 1:
            return (
                f"{kind}: an output of the shape {shape} of the image's own size. The network has no group: nothing is "
                "known of how it changes when the image turns."
            )
        exact = len(self.group.exact_elements)
        elements = f"every g in {self.group}" if exact == self.group.order else f"the {exact} exact g in {self.group}"
        return (
            f"{kind}: an output of the shape {shape} of the image's own size, of the field {self.out_field}. For "
            f"{elements} the output of the moved image is the moved output, exactly: its pixels move, scalars stay as "
            "they are, and vectors turn."
        )


class _WholeMaps(GlobalPool):
    """In the place of a pooling: maps stay as they are."""

    def __init__(self, group: PlanarGroup) -> None:
        super().__init__(group, "regular")

    def output_field(self, field: Field) -> Field:
        """That of the input."""
        return field

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The maps themselves."""
        return check_maps(maps)


def _refuse_pooling(kind: str, global_pool: object, other: bool) -> None:
    if other or not is_one_of(global_pool, ("regular",)):
        raise ValueError(
            f"a {kind} has an output for every pixel and pools nothing, so that global_pool is 'regular' and the rest "
            f"is left out; got global_pool={shown(global_pool)}. For feature vectors use its encoder."
        )


def _checked_field(out_field: Field | str | None) -> Field | None:
    field = Field.parse(out_field) if isinstance(out_field, str) else out_field
    if field is not None and not isinstance(field, Field):
        raise TypeError(
            f"out_field must be a field, or its text such as '1 x vector(c4)'; got {shown(field)}. Leave it out for "
            "scalars."
        )
    return field
