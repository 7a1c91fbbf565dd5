"""Pooling over space and over the group."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_count, check_fibre, check_maps
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Field, Regular, Scalars, turn_back
from eqmodels.groups import PlanarGroup
from eqmodels.layers.declared import check_permuted, check_tied, regular_field
from eqmodels.layers.dropout import FeatureDropout
from eqmodels.layers.open_sizes import halved, has_open_size, made_odd
from eqmodels.layers.scripting import NotScriptable

__all__ = [
    "AnyPoolMode",
    "ExactDownsample2d",
    "GlobalPool",
    "GlobalPoolMode",
    "GroupPool",
    "GroupPoolMode",
    "OddSize2d",
    "pool_mode",
    "reads_pose",
]

torch.fx.wrap("check_fibre")
torch.fx.wrap("check_maps")

GroupPoolMode = Literal["max", "mean", "norm"]
GlobalPoolMode = Literal["invariant", "regular", "invariant+regular", "canonical", "canonical-soft", "weighted"]
AnyPoolMode = Literal[GlobalPoolMode, "avg", "max", "avgmax", "catavgmax", ""]
"""Ours and timm's words: ``"avg"`` is ``"regular"``, and ``""`` leaves maps as they are."""

SPATIAL: tuple[object, ...] = ("regular", "max", "avgmax", "catavgmax", "")
"""Modes that pool each channel over space alone, or not at all, and keep the fibre."""


def pool_mode(word: object) -> AnyPoolMode:
    """The mode that a word names: timm also says False for none, and ``"fastavg"`` for what is the mean here.

    Raises:
        ValueError: if there is no such mode.
    """
    word = "" if word is False else word
    if isinstance(word, str):
        word = word.removeprefix("fast") if word.startswith("fast") and word != "fast" else word
        word = "regular" if word in ("avg", "fast") else word
    if not is_one_of(word, get_args(AnyPoolMode)):
        raise ValueError(
            f"global_pool must be one of {', '.join(get_args(GlobalPoolMode))}, or in timm's words avg, max, avgmax, "
            f"catavgmax or '' for maps; got {shown(word)}. Use 'invariant'."
        )
    return word  # type: ignore[return-value]


def reads_pose(mode: str) -> bool:
    """Whether a mode of `GlobalPool` reads what a module says of the elements of the group."""
    return mode in ("canonical", "canonical-soft", "weighted")


class ExactDownsample2d(NotScriptable):
    """Halves a feature map, exactly equivariant to quarter turns and flips at every size, square or not.

    ``(B, C, H, W) -> (B, C, ceil(H / 2), ceil(W / 2))``: the mean or the maximum over windows that mirror onto each
    other, pairs at even sizes (``AvgPool2d(2)``) and overlapping triples at odd ones (``AvgPool2d(3, 2, 1)`` that does
    not count its padding). A pooling or a convolution of stride 2 in its usual form has no such windows at even sizes.

    Args:
        mode: ``"mean"`` or ``"max"``.

    Raises:
        ValueError: if the mode is another.
    """

    def __init__(self, mode: Literal["mean", "max"] = "mean") -> None:
        super().__init__()
        if not is_one_of(mode, ("mean", "max")):
            raise ValueError(f"mode must be 'mean' or 'max'; got {shown(mode)}. Use 'mean'.")
        self.mode = mode

    def output_field(self, field: Field) -> Field:
        """That of the input, whose channels are pooled one by one.

        Raises:
            ValueError: if it is the maximum, and elements of the field may mix channels.
        """
        return check_permuted(self, field) if self.mode == "max" else field

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        """Maps of half the size, odd ones rounded up.

        Raises:
            TypeError: if they are no dense tensor of floating point.
            ValueError: if they have another rank, or no pixels.
        """
        maps = check_maps(maps)
        if has_open_size(maps):
            return halved(maps, self.mode)
        size = ((maps.shape[-2] + 1) // 2, (maps.shape[-1] + 1) // 2)
        if self.mode == "mean":
            return F.adaptive_avg_pool2d(maps, size)
        return F.adaptive_max_pool2d(maps, size)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return repr(self.mode)


class OddSize2d(NotScriptable):
    """Makes both sizes odd, exactly equivariant, so that an odd kernel of stride 2 meets the grid symmetrically.

    ``(B, C, H, W) -> (B, C, H - (H + 1) % 2, W - (W + 1) % 2)``: an even axis is averaged over neighbouring pairs
    (stride 1), an odd one is left as it is.
    """

    def output_field(self, field: Field) -> Field:
        """That of the input, whose channels are averaged one by one."""
        return field

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        """Maps of odd sizes.

        Raises:
            TypeError: if they are no dense tensor of floating point.
            ValueError: if they have another rank, or no pixels.
        """
        maps = check_maps(maps)
        if has_open_size(maps):
            return made_odd(maps)
        # Adaptive bins are {i, i + 1} when one pixel is to go and {i} when none is: no branch on the shape.
        size = ((maps.shape[-2] + 1) // 2 * 2 - 1, (maps.shape[-1] + 1) // 2 * 2 - 1)
        return F.adaptive_avg_pool2d(maps, size)


class GroupPool(NotScriptable):
    """Pools every regular field over its fibre: one invariant channel a field.

    ``(B, |G| F, *space) -> (B, F, *space)``: vectors that do not change when the image turns, maps that turn like it.

    Fields that are `tied` are pooled together, as the parts of one field of a larger group: with ``tied=2`` those of
    the numbers ``c`` and ``F / 2 + c``, which `Restrict` makes of field ``c``; F / 2 channels are left.

    Args:
        group: a `PlanarGroup` or its name.
        mode: ``"max"``, ``"mean"`` or ``"norm"`` (Euclidean norm over the fibre).
        tied: number of fields that are pooled together.

    Raises:
        TypeError: if `tied` is not an integer.
        ValueError: if the mode is another, `tied` is below 1, or, in `forward`, if the channels are no whole fibres.
    """

    def __init__(self, group: PlanarGroup | str, mode: GroupPoolMode = "max", *, tied: int = 1) -> None:
        super().__init__()
        self.tied = check_count("tied", tied)
        if not is_one_of(mode, get_args(GroupPoolMode)):
            raise ValueError(f"mode must be one of {', '.join(get_args(GroupPoolMode))}; got {shown(mode)}. Use 'max'.")
        self.group, self.mode = PlanarGroup.parse(group), mode

    def output_field(self, field: Field) -> Field:
        """One scalar a field, or for all that are tied; under the trivial group, where it claims nothing, its fields.

        Raises:
            ValueError: if the input is of no regular fields of the group, or not of whole ties.
        """
        regular = regular_field(self, self.group, field)
        pooled = check_tied(regular.count, self.tied)
        count = regular.count // pooled
        return Regular(self.group, count) if self.group.order == 1 else Scalars(count)

    def forward(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F *space"]:
        """The maximum, the mean or the norm over each fibre.

        Raises:
            TypeError: if the features are no dense tensor, or, for the mean and the norm, not floating point.
            ValueError: if the channels are no whole fibres.
        """
        rows = self.group.order * self.tied
        features = check_fibre(features, rows, floating=self.mode != "max")
        fibre: Tensor = features.unflatten(1, (rows, -1))
        if self.mode == "max":
            return fibre.amax(1)
        return fibre.mean(1) if self.mode == "mean" else torch.linalg.vector_norm(fibre, dim=1)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, {self.mode!r}" + (f", tied={self.tied}" if self.tied > 1 else "")


class GlobalPool(NotScriptable):
    """Feature vectors from a regular feature map: the mean over space, then what is asked of the fibre.

    ``(B, |G| F, H, W) -> (B, features)``:

    * ``"invariant"`` pools the fibre: F features that do not change when the image turns;
    * ``"regular"`` keeps it: ``|G| F`` features that permute;
    * ``"invariant+regular"`` concatenates both;
    * ``"canonical"`` turns it back by the pose that the child `pose` predicts: ``|G| F`` features that do not change
      when the image turns, and keep what pooling throws away; ``"canonical-soft"`` averages over the predicted poses
      instead of choosing one (see `turn_back`);
    * ``"weighted"`` is the mean over the fibre with weights that are learned, the softmax of what `pose` says of its
      elements: F features that do not change when the image turns (Basu et al. 2023, arXiv 2305.09900);
    * ``"max"`` is ``"regular"`` with the maximum over space, ``"avgmax"`` the mean of both, ``"catavgmax"`` one behind
      the other, ``2 |G| F`` features; ``""`` pools nothing, and leaves the maps. These are timm's words, as is
      ``"avg"`` for ``"regular"``.

    The choice of a pose is a step, which has no gradient: ``"canonical"`` freezes `pose` (``requires_grad`` is False),
    so that optimisers and `DistributedDataParallel` do not wait for it, and ``"canonical-soft"``, which trains it,
    thaws it, as does ``"weighted"``. Where the same module learns elsewhere, hand over a copy.

    Args:
        group: a `PlanarGroup` or its name.
        mode: see above.
        group_pool: how the fibre is pooled, see `GroupPool`.
        tied: number of fields that `GroupPool` pools together.
        pose: for the canonical modes and for ``"weighted"``, the module from regular features to ``|G|`` logits (see
            `pose_predictor`).
        drop_rate: probability of zeroing a feature in train mode: of a regular field with its whole fibre, so that
            features still turn with the image. No layer is added for 0.

    Attributes:
        mode: of the modes above; ``"regular"`` for ``"avg"``.

    Raises:
        ValueError: if a mode is unknown, or needs a `pose` and has none, or the rate is no probability.
    """

    def __init__(
        self,
        group: PlanarGroup | str,
        mode: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "max",
        *,
        tied: int = 1,
        pose: nn.Module | None = None,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        mode = pool_mode(mode)
        # Not the group of `fibre`: export takes that child's place before it traces this module.
        self.group, self.mode = PlanarGroup.parse(group), mode
        self.fibre = GroupPool(self.group, group_pool, tied=tied)
        if self.reads_pose:
            if pose is None:
                raise ValueError(
                    f"global_pool={mode!r} reads a predicted pose and needs the module that predicts it; got "
                    "pose=None. Pass the pose of an equivariant E-SSL head, or pose_predictor(group, fields)."
                )
            self.pose = pose.requires_grad_(mode != "canonical")
        self.drop: FeatureDropout | None = None
        self.set_drop_rate(drop_rate)

    def set_drop_rate(self, rate: float) -> None:
        """Sets the probability of zeroing a feature in train mode; 0 takes the layer away.

        Raises:
            ValueError: if it is no probability.
        """
        layer = FeatureDropout(self.group, self.mode, rate)
        self.drop = layer if rate > 0 else None

    @property
    def pool_type(self) -> str:
        """The mode, by the name that timm asks for."""
        return self.mode

    @property
    def is_canonical(self) -> bool:
        """Whether features are turned back by a predicted pose."""
        return self.mode in ("canonical", "canonical-soft")

    @property
    def reads_pose(self) -> bool:
        """Whether the child `pose` is there: of the canonical modes, and of the one that weighs the fibre."""
        return reads_pose(self.mode)

    def num_features(self, channels: int) -> int:
        """The length of the feature vector of a map of so many channels, ``|G| F``."""
        invariant = channels // (self.group.order * self.fibre.tied)
        lengths = {"invariant": invariant, "invariant+regular": invariant + channels, "catavgmax": 2 * channels}
        lengths["weighted"] = channels // self.group.order
        return lengths.get(self.mode, channels)

    def output_field(self, field: Field) -> Field:
        """Scalars, regular fields, or scalars and then regular fields, as the mode says.

        What pools space alone, such as the mode ``"regular"``, keeps scalars too. Under the trivial group nothing is
        claimed: features of every mode are regular fields of it.

        Raises:
            ValueError: if the input is of no regular fields of the group.
        """
        if self.mode in SPATIAL and isinstance(field, Scalars) and self.group.order > 1:
            return field + field if self.mode == "catavgmax" else field
        regular = regular_field(self, self.group, field)
        if self.group.order == 1:
            return Regular(self.group, self.num_features(regular.channels))
        if self.is_canonical:
            return Scalars(regular.channels)
        if self.mode == "weighted":
            return Scalars(regular.count)
        invariant = self.fibre.output_field(regular)
        both = {"invariant+regular": invariant + regular, "catavgmax": regular + regular}
        return {"invariant": invariant, **both}.get(self.mode, regular)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F *space"]:
        """The feature vectors of the mode; maps if it pools nothing.

        Raises:
            TypeError: if the maps are no dense tensor of floating point.
            ValueError: if they have another rank, no pixels, or channels that are no whole fibres.
        """
        features = self._pooled(check_maps(maps))
        return features if self.drop is None else self.drop(features)

    def _pooled(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F *space"]:
        if self.mode in ("", "max"):
            return maps.amax((-2, -1)) if self.mode else maps
        regular = maps.mean((-2, -1))
        if self.mode == "regular":
            return regular
        if self.mode == "avgmax":
            return 0.5 * (regular + maps.amax((-2, -1)))
        if self.mode == "catavgmax":
            return torch.cat([regular, maps.amax((-2, -1))], dim=1)
        if self.reads_pose:
            return self._by_pose(regular, self.pose(regular))
        invariant: Tensor = self.fibre(regular)
        return invariant if self.mode == "invariant" else torch.cat([invariant, regular], dim=1)

    def _by_pose(self, regular: Float[Tensor, "B C"], logits: Float[Tensor, "B G"]) -> Float[Tensor, "B F"]:
        if self.mode == "weighted":
            weighed = regular.unflatten(1, (self.group.order, -1)) * logits.softmax(1)[..., None]
            return weighed.sum(1)
        return turn_back(self.group, regular, logits, soft=self.mode == "canonical-soft")

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return repr(self.mode)
