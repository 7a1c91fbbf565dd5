"""A network of stages, whatever they are built of: from images to maps, to features, to class scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypedDict, TypeVar

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.backbones.checkpointing import recomputed
from eqmodels.backbones.named import NamedNetwork
from eqmodels.backbones.prose import output_prose
from eqmodels.backbones.regularising import set_norms, set_rates
from eqmodels.checks import check_count, check_images
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import AnyPoolMode, GlobalPool, GroupPoolMode, pose_predictor
from eqmodels.layers.pool import SPATIAL, pool_mode, reads_pose
from eqmodels.options import Option, options_of

__all__ = ["FeatureInfo", "StagedNetwork", "built", "later_options", "pooling_options"]

torch.fx.wrap("check_images")


N = TypeVar("N", bound=NamedNetwork)


class FeatureInfo(TypedDict):
    """One stage's output: its channels, how much smaller it is than the image, and the child that computes it."""

    num_chs: int
    reduction: int
    module: str


class StagedNetwork(NamedNetwork):
    """Stages one behind the other, then `global_pool` and `fc`: what `Backbone` is but for its files.

    Every child takes a tensor and returns a tensor, with nothing between them, so that
    ``nn.Sequential(*network.children())`` is the same network. A subclass calls `__init__`, hands each stage to
    `add_stage`, and ends with `finish`.

    Args:
        group: the group under which the output is equivariant (C1: none), or its name.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.

    Attributes:
        feature_info: channels, reduction and child of every stage, in order.
        grad_checkpointing: whether stages are recomputed in the backward pass.
        drop_rate: probability of zeroing a pooled feature in train mode, see `regularise`.
        drop_path_rate: probability of leaving out the residual branch of the last block, see `regularise`.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is too small, or the group is none.
    """

    group: PlanarGroup
    global_pool: GlobalPool
    without_images: ClassVar[str] = "Load it with pretrained=True, or set encoder.preprocessing."
    """The way out where nothing is known of the images of the training."""

    def __init__(self, group: PlanarGroup | str, in_chans: int, num_classes: int) -> None:
        super().__init__(PlanarGroup.parse(group), in_chans, num_classes)
        self.feature_info: list[FeatureInfo] = []
        self.grad_checkpointing = False
        self.drop_rate, self.drop_path_rate = 0.0, 0.0

    @classmethod
    def later_options(cls) -> dict[str, Option]:
        """Those of pooling and of `regularise`."""
        return {**pooling_options(), **options_of(cls.regularise, without=("self",))}

    def set_later(self, options: Mapping[str, Any]) -> None:
        """Sets them, those of pooling by `finish`.

        Raises:
            ValueError: if one breaks its rule.
        """
        if pooling := {name: value for name, value in options.items() if name in pooling_options()}:
            self.finish(**{**self.pool_settings(), **pooling})
        if rates := {name: value for name, value in options.items() if name not in pooling}:
            self.regularise(**rates)

    def add_stage(self, name: str, stage: nn.Module, channels: int, reduction: int) -> None:
        """Adds a child and what it puts out: so many channels, so many times smaller than the image.

        Args:
            name: of the child.
            stage: from maps (the first: from images) to maps.
            channels: of the maps that it puts out.
            reduction: how many times they are smaller than the image, along each axis.
        """
        self.add_module(name, stage)
        self.feature_info.append({"num_chs": channels, "reduction": reduction, "module": name})

    def finish(
        self,
        global_pool: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "max",
        pose_hidden: int = 2048,
        *,
        tied: int = 1,
    ) -> None:
        """Builds `global_pool` and `fc`, once the stages are there.

        Args:
            global_pool: how features are pooled, see `GlobalPool`.
            group_pool: how the fibre is pooled, see `GroupPool`.
            pose_hidden: of a canonical or weighted pooling, dense channels of the hidden layer of what predicts the
                pose.
            tied: number of fields that are pooled together, see `GroupPool`.

        Raises:
            ValueError: if a mode is unknown, or `map_field` is not of what the pooling takes.
        """
        channels = self.feature_info[-1]["num_chs"]
        global_pool = pool_mode(global_pool)
        self._check_pooled(global_pool)
        needs = reads_pose(global_pool)
        pose = pose_predictor(self.group, channels // self.group.order, pose_hidden) if needs else None
        if pose is not None and global_pool == "weighted":
            # Untrained it is the plain mean, so that what was adapted is as good as without weights.
            nn.init.zeros_(pose.get_submodule("logits").weight)  # type: ignore[arg-type]
        self.global_pool = GlobalPool(self.group, global_pool, group_pool, tied=tied, pose=pose)
        self.fc = self._classifier(self.num_classes)

    def _check_pooled(self, global_pool: str) -> None:
        """Refuses a pooling that would take the channels of the last map for others than `map_field` says they are.

        Raises:
            ValueError: if the field has another number of channels than the last stage, or the pooling reads fibres
                of the group and the field is of something else.
        """
        field, channels = self.map_field, self.feature_info[-1]["num_chs"]
        if field.channels != channels:
            raise ValueError(
                f"the last stage must put out as many channels as its field has; got {channels} channels and the field "
                f"{field} of {field.channels}. Give it whole fibres of {self.group}, a multiple of {self.group.order} "
                "channels, or a map_field of its own."
            )
        # The mean over space keeps every field, and of the trivial group nothing is claimed.
        keeps = ("regular", "") if not isinstance(field, Scalars | Regular) else SPATIAL
        if global_pool in keeps or self.group.order == 1 or field == self._fibres(channels):
            return
        raise ValueError(
            f"global_pool={shown(global_pool)} takes regular fields of the whole group {self.group} and nothing else; "
            f"got the map_field {field}. End with a stage that puts out Regular({self.group.name!r}, fields), or call "
            "finish('regular'), which keeps every field as it is."
        )

    def _fibres(self, channels: int) -> Regular:
        """So many channels as regular fields of the group, those that are no whole fibre left out."""
        return Regular(self.group, channels // self.group.order)

    def _classifier(self, num_classes: int) -> nn.Module:
        self._check_classified(num_classes, self.global_pool.mode)
        return nn.Linear(self.head_hidden_size, num_classes) if num_classes else nn.Identity()

    @staticmethod
    def _check_classified(num_classes: int, mode: str) -> None:
        if num_classes and not mode:
            raise ValueError(
                f"classes are told by vectors, and global_pool='' leaves maps; got num_classes={num_classes}. Use "
                "num_classes=0 for maps, or another pooling."
            )

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in order."""
        return tuple(info["module"] for info in self.feature_info)

    @property
    def num_features(self) -> int:
        """Channels of the last feature map, as timm means it; the length of pooled features is `head_hidden_size`."""
        return self.feature_info[-1]["num_chs"]

    @property
    def head_hidden_size(self) -> int:
        """The length of the pooled feature vector, which `fc` takes."""
        return self.global_pool.num_features(self.num_features)

    @property
    def map_field(self) -> Field:
        """What the channels of the last feature map mean: regular fields of `group`."""
        return self._fibres(self.feature_info[-1]["num_chs"])

    @property
    def pooled_field(self) -> Field:
        """What the pooled features mean."""
        field, mode = self.map_field, self.global_pool.mode
        if self.group.order == 1:  # no scalars: what turns they would not change under, nobody knows
            return Regular(self.group, self.head_hidden_size)
        if mode == "invariant+regular":
            return Scalars(self.head_hidden_size - field.channels) + field
        if mode in SPATIAL:
            return field + field if mode == "catavgmax" else field
        return Scalars(self.head_hidden_size)

    @property
    def out_field(self) -> Field | None:
        """What the output means: the pooled features, or the class scores, if these do not depend on the pose."""
        features = self.pooled_field
        if not self.num_classes:
            return features
        if self.group.order == 1:
            return Regular(self.group, self.num_classes)
        return Scalars(self.num_classes) if isinstance(features, Scalars) else None

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The last feature map, of the field `map_field`.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps = check_images(images, self.in_chans)
        for name in self.stages:
            maps = self._run(name, maps)
        return maps

    def regular_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The mean of the last feature map over space: vectors of the field `map_field`, which keep the pose.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        return self.forward_features(images).mean((-2, -1))

    def forward_head(self, maps: Float[Tensor, "B F H W"], pre_logits: bool = False) -> Float[Tensor, "B N"]:
        """Pooled features (`pre_logits`) or what `fc` makes of them, from a feature map."""
        features: Tensor = self.global_pool(maps)
        return features if pre_logits else self.fc(features)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N"]:
        """Class scores, or the pooled features if `num_classes` is 0.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        return self.forward_head(self.forward_features(images))

    def reset_classifier(
        self, num_classes: int, global_pool: AnyPoolMode | None = None, *, pose: nn.Module | None = None
    ) -> None:
        """A fresh `fc` for another number of classes (0: features) and, if given, another pooling before it.

        Args:
            num_classes: outputs of the new `fc`.
            global_pool: the new pooling; None keeps the old one, and takes ``"invariant"`` where classes are asked for
                and the old one leaves maps.
            pose: for a canonical or weighted pooling, what predicts the pose; None keeps the one that is there. It is
                frozen by ``"canonical"`` and trained by the others, see `GlobalPool`.

        Raises:
            TypeError: if `num_classes` is not an integer.
            ValueError: if it is negative, the pooling unknown, canonical without anything that predicts the pose,
                another with it, or one that does not take the field of the last map, or leaves maps to a classifier.
        """
        count = check_count("num_classes", num_classes, 0)
        old, usual = self.global_pool, self.global_pool.mode or ("invariant" if count else "")
        mode = usual if global_pool is None else pool_mode(global_pool)
        if global_pool is not None or pose is not None or mode != old.mode:
            known, fibre = getattr(old, "pose", None) if pose is None else pose, old.fibre
            self._check_pooled(mode)
            new = GlobalPool(self.group, mode, fibre.mode, tied=fibre.tied, pose=known, drop_rate=self.drop_rate)
            if pose is not None and not new.reads_pose:
                raise ValueError(
                    f"pose is read by a canonical or a weighted pooling; got one for global_pool={new.mode!r}. Add "
                    "global_pool='canonical', or leave pose out."
                )
            self._check_classified(count, new.mode)
            new.training = self.training
            for name, child in new.named_children():
                if name != "pose":  # what predicts it keeps its mode
                    child.train(self.training)
            self.global_pool = new
        self._check_classified(count, self.global_pool.mode)
        self.num_classes, self.classes = count, ()
        # What was wrapped may be a function, without any parameters.
        reference = next(self.parameters(), torch.empty(0))
        self.fc = self._classifier(count).to(reference.device, reference.dtype).train(self.training)

    def transform(self, size: int | tuple[int, int] | None = None) -> v2.Compose:
        """From a PIL image of any mode, or pixels, to this network's input: upright, resized, normalised.

        Args:
            size: height and width of the input, one number for both; None for those of the images it was trained on.

        Raises:
            ValueError: if nothing is known of the images it was trained on.
        """
        if self.preprocessing is None:
            raise ValueError(
                "transform is the preprocessing that belongs to pretrained weights; this network has none. "
                f"{self.without_images}"
            )
        return self.preprocessing.transform(size)

    def _run(self, name: str, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """What a stage makes of maps, kept for the backward pass or computed again."""
        stage = getattr(self, name)
        keeps = not (self.grad_checkpointing and self.training and torch.is_grad_enabled())
        after: Tensor = stage(maps) if keeps else recomputed(stage, maps)
        return after

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory: stages are recomputed in the backward pass, with the same losses and statistics.

        Under `torch.compile` it changes nothing: what is recomputed is the compiler's choice.
        """
        self.grad_checkpointing = enable

    def regularise(
        self,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        bn_momentum: float | None = None,
        bn_eps: float | None = None,
    ) -> None:
        """Sets what train mode does beside the layers, which no file notes; each part keeps the network equivariant.

        Args:
            drop_rate: probability of zeroing a pooled feature, a regular field with its whole fibre.
            drop_path_rate: probability of leaving out the residual branch of the last block for an image; it grows
                linearly from 0 at the first block.
            bn_momentum: weight of the newest batch in running statistics; None leaves it.
            bn_eps: what batch norms add to the variance; None leaves it.

        Raises:
            ValueError: if a rate is no probability, a number of the norms is negative, or blocks are to be left out of
                a network that has none.
        """
        self.drop_rate, self.drop_path_rate = set_rates(self, drop_rate, drop_path_rate)
        set_norms(self, bn_momentum, bn_eps)

    def describe_output(self) -> str:
        """How maps, features and scores change when the image is turned, in one paragraph."""
        scores = self.out_field if self.num_classes else None
        return output_prose(self.map_field, self.pooled_field, scores, self.num_classes, self.global_pool)

    def pool_settings(self) -> dict[str, Any]:
        """The arguments of `finish` that give the pooling that is there now."""
        pool = self.global_pool
        settings: dict[str, Any] = {"global_pool": pool.mode, "group_pool": pool.fibre.mode}
        if pool.reads_pose and hasattr(pool.pose, "hidden"):
            settings["pose_hidden"] = int(pool.pose.get_submodule("hidden").out_fields) * self.group.order  # type: ignore[arg-type]
        return settings


def pooling_options() -> dict[str, Option]:
    """The options of pooling, which every network of stages has, whether its class takes them or not."""
    return options_of(StagedNetwork.finish, without=("self",))


def later_options(builder: Callable[..., NamedNetwork]) -> dict[str, Option]:
    """The options that are set once a network of a class is there; what a function builds has those of stages."""
    known = isinstance(builder, type) and issubclass(builder, NamedNetwork)
    return builder.later_options() if known else StagedNetwork.later_options()  # type: ignore[attr-defined]


def built(builder: Callable[..., N], arguments: Mapping[str, Any]) -> N:
    """The network of a class with these arguments; those that its class does not take are set afterwards.

    Raises:
        TypeError: if the class does not take one of the others.
        ValueError: if one breaks its rule.
    """
    known, of_all = options_of(builder), later_options(builder)
    later = {name: value for name, value in arguments.items() if name in of_all and name not in known}
    network = builder(**{name: value for name, value in arguments.items() if name not in later})
    if later:
        network.set_later(later)
    return network
