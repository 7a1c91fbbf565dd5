"""The interface that every backbone shares, whatever it is built of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypedDict, TypeVar

import torch
from huggingface_hub import ModelCard, ModelCardData, PyTorchModelHubMixin
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.checks import check_count, check_images
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import GlobalPool, GlobalPoolMode, GroupPoolMode, pose_predictor
from eqmodels.transforms import Preprocessing

__all__ = ["Encoder", "FeatureInfo"]

torch.fx.wrap("check_images")

Self = TypeVar("Self", bound="Encoder")

LICENSE = "mit"
"""Of an encoder's weights, an SPDX identifier in lower case, as its config and its card say it."""


class FeatureInfo(TypedDict):
    """One stage's output: its channels, how much smaller it is than the image, and the child that computes it."""

    num_chs: int
    reduction: int
    module: str


class Encoder(nn.Module, PyTorchModelHubMixin, library_name="eqmodels", tags=["equivariant"]):
    """An image encoder: the children `stem`, `layer1` .. `layer4`, `global_pool` and `fc`, in this order.

    Every child takes a tensor and returns a tensor, with nothing between them, so that
    ``nn.Sequential(*encoder.children())`` is the same network. A subclass builds its stages, hands each to
    `_add_stage`, and ends with `_finish`.

    Attributes:
        group: the group under which the output is equivariant (C1: none).
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        feature_info: channels, reduction and child of every stage, in order.
        grad_checkpointing: whether stages are recomputed in the backward pass.
        structure: the arguments that fix the layers, from `architecture` to `norm`, defaults filled in.
        preprocessing: what images went through in training; None if nothing is known of it.
    """

    STAGES: ClassVar[tuple[str, ...]] = ("stem", "layer1", "layer2", "layer3", "layer4")

    stem: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module
    global_pool: GlobalPool
    fc: nn.Module

    hub_loader: ClassVar[Callable[..., Encoder]]
    hub_pusher: ClassVar[Callable[..., str]]
    """What `from_pretrained` and `push_to_hub` call; the package `eqmodels.hub`, which knows the Hub, sets them."""

    def __init__(self, group: PlanarGroup | str, in_chans: int, num_classes: int) -> None:
        super().__init__()
        self.group = PlanarGroup.parse(group)
        self.in_chans = check_count("in_chans", in_chans, 1)
        self.num_classes = check_count("num_classes", num_classes, 0)
        self.feature_info: list[FeatureInfo] = []
        self.grad_checkpointing = False
        self.structure: dict[str, Any] = {}
        self.preprocessing: Preprocessing | None = None

    def _add_stage(self, name: str, stage: nn.Module, channels: int, reduction: int) -> None:
        """Adds a child and what it puts out: so many channels, so many times smaller than the image."""
        self.add_module(name, stage)
        self.feature_info.append({"num_chs": channels, "reduction": reduction, "module": name})

    def _finish(self, global_pool: GlobalPoolMode, group_pool: GroupPoolMode, pose_hidden: int = 2048) -> None:
        """Builds `global_pool` and `fc`, once the stages are there."""
        channels = self.feature_info[-1]["num_chs"]
        canonical = str(global_pool).startswith("canonical")
        pose = pose_predictor(self.group, channels // self.group.order, pose_hidden) if canonical else None
        self.global_pool = GlobalPool(self.group, global_pool, group_pool, pose=pose)
        self.fc = self._classifier(self.num_classes)

    def _classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    @property
    def num_features(self) -> int:
        """The length of the pooled feature vector."""
        return self.global_pool.num_features(self.feature_info[-1]["num_chs"])

    @property
    def out_field(self) -> Field | None:
        """What the output is: regular fields, scalars, or a sum of these; None if a pooling leaves it open."""
        channels = self.feature_info[-1]["num_chs"]
        regular = Regular(self.group, channels // self.group.order)
        if self.num_classes:
            invariant = self.group.order > 1 and "regular" not in self.global_pool.mode
            return Scalars(self.num_classes) if invariant else None
        if self.global_pool.mode == "regular":
            return regular
        if self.global_pool.mode == "invariant+regular":
            return Scalars(channels // self.group.order) + regular
        return Scalars(self.num_features)

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The last feature map: regular fields of `group`, group-major.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps = check_images(images, self.in_chans)
        for name in self.STAGES:
            stage = getattr(self, name)
            if self.grad_checkpointing and self.training and torch.is_grad_enabled():
                maps = checkpoint(stage, maps, use_reentrant=False, context_fn=partial(_recomputation, stage))
            else:
                maps = stage(maps)
        return maps

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

    def get_classifier(self) -> nn.Module:
        """The child `fc`: a ``Linear``, or an ``Identity`` if `num_classes` is 0."""
        return self.fc

    def reset_classifier(
        self, num_classes: int, global_pool: GlobalPoolMode | None = None, *, pose: nn.Module | None = None
    ) -> None:
        """A fresh `fc` for another number of classes (0: features) and, if given, another pooling before it.

        Args:
            num_classes: outputs of the new `fc`.
            global_pool: the new pooling; None keeps the old one.
            pose: for a canonical pooling, what predicts the pose; None keeps the one that is there.

        Raises:
            TypeError: if `num_classes` is not an integer.
            ValueError: if it is negative, the pooling unknown, canonical without anything that predicts the pose, or
                another with it.
        """
        count = check_count("num_classes", num_classes, 0)
        if global_pool is not None or pose is not None:
            old = self.global_pool
            known = getattr(old, "pose", None) if pose is None else pose
            mode = old.mode if global_pool is None else global_pool
            new = GlobalPool(self.group, mode, old.fibre.mode, pose=known)
            if pose is not None and not new.is_canonical:
                raise ValueError(
                    f"pose is what a canonical pooling turns features back by; got one for global_pool={new.mode!r}. "
                    "Add global_pool='canonical', or leave pose out."
                )
            self.global_pool = new
        self.num_classes = count
        reference = next(self.parameters())
        self.fc = self._classifier(count).to(reference.device, reference.dtype)

    def transform(self) -> v2.Compose:
        """From a PIL image of any mode, or 8-bit pixels, to this network's input; see `Preprocessing.transform`.

        Raises:
            ValueError: if nothing is known of the images it was trained on.
        """
        if self.preprocessing is None:
            raise ValueError(
                "transform is the preprocessing that belongs to pretrained weights; this network has none. Load it "
                "with pretrained=True, or set encoder.preprocessing."
            )
        return self.preprocessing.transform()

    @classmethod
    def from_pretrained(  # type: ignore[override]  # with the options of a network instead of any
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        num_classes: int | None = None,
        in_chans: int | None = None,
        global_pool: GlobalPoolMode | None = None,
    ) -> Self:
        """A pretrained encoder: of the zoo, from a folder or from the Hugging Face Hub, strictly loaded and checked.

        Args:
            pretrained_model_name_or_path: a name of the zoo, a folder, or a repository ``organisation/name``.
            force_download: as this and the next four arguments of `huggingface_hub.ModelHubMixin.from_pretrained`.
            token: see there.
            cache_dir: see there.
            local_files_only: see there.
            revision: see there.
            num_classes: as this and the next two arguments of `eqmodels.load`.
            in_chans: see there.
            global_pool: see there.

        Raises:
            TypeError: if the encoder is of another class.
            ValueError: if an argument breaks its rule.
            StorageError: if there are no such files, or they are not what they should be.
        """
        encoder = cls.hub_loader(
            pretrained_model_name_or_path,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
            num_classes=num_classes,
            in_chans=in_chans,
            global_pool=global_pool,
        )
        if not isinstance(encoder, cls):
            raise TypeError(
                f"{pretrained_model_name_or_path} holds a {type(encoder).__name__}, not a {cls.__name__}. Use "
                f"{type(encoder).__name__}.from_pretrained, or eqmodels.load."
            )
        return encoder

    def save_pretrained(  # type: ignore[override]  # without what the network says of itself
        self,
        save_directory: str | Path,
        *,
        config: None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: None = None,
        **push_to_hub_kwargs: Any,  # noqa: ANN401
    ) -> str | None:
        """Writes weights (in float32), config and, if there is none, a card into a folder, which `eqmodels.load` reads.

        Everything is checked before anything is written, and files that are there are replaced by whole ones: unlike
        the Hub's mixin, which deletes the config first, a failure leaves the folder as it was.

        Args:
            save_directory: the folder; is made if need be.
            config: None: the config follows from the network.
            repo_id: where to push, ``organisation/name``; None for the name of the folder, in the token's account.
            push_to_hub: whether to push to the Hub afterwards.
            model_card_kwargs: None: the card follows from the network.
            **push_to_hub_kwargs: of `push_to_hub`.

        Returns:
            The address of the commit on the Hub, if it was pushed.

        Raises:
            TypeError: if an option is given that would change nothing.
            ValueError: if the encoder is not as `create_model` builds it.
            StorageError: if a weight is no finite number, or a file cannot be written.
        """
        given = {"config": config, "model_card_kwargs": model_card_kwargs} | ({} if push_to_hub else push_to_hub_kwargs)
        if ignored := [name for name, value in given.items() if value is not None]:
            raise TypeError(
                f"config and card follow from the network, and other options are for push_to_hub=True; got "
                f"{ignored[0]!r}, which would change nothing. Drop it."
            )
        from eqmodels.backbones.files import save_encoder  # which needs the registry, and that every family

        folder = Path(save_directory)
        card = {} if os.path.exists(folder / "README.md") else {"README.md": str(self.generate_model_card())}
        save_encoder(self, folder, card)
        if not push_to_hub:
            return None
        address: str = self.push_to_hub(repo_id or folder.name, **push_to_hub_kwargs)
        return address

    def push_to_hub(self, repo_id: str, **options: Any) -> str:  # noqa: ANN401
        """Writes the encoder into a repository of the Hugging Face Hub, in one commit, and returns its address.

        The arguments are those of `huggingface_hub.ModelHubMixin.push_to_hub`, see `eqmodels.hub.push_encoder`.

        Raises:
            ValueError: if an argument breaks its rule, or the encoder is not as `create_model` builds it.
            StorageError: if the encoder cannot be saved, or the Hub refuses.
        """
        return self.hub_pusher(self, repo_id, **options)

    def generate_model_card(self, *_: Any, repo_id: str | None = None, **__: Any) -> ModelCard:  # noqa: ANN401
        """A card that says what the encoder is, for `save_pretrained` and `push_to_hub`.

        Args:
            repo_id: the repository that the card's code loads; None for the folder that the card lies in.
        """
        tags = ["eqmodels", "equivariant", self.group.name]
        data = ModelCardData(
            library_name="eqmodels", license=LICENSE, pipeline_tag="image-feature-extraction", tags=tags
        )
        source = "." if repo_id is None else f"hub:{repo_id}"
        return ModelCard(
            f"---\n{data.to_yaml()}\n---\n\n# {type(self).__name__}\n\n{self.describe_output()}\n\n"
            f'```python\nimport eqmodels\n\nencoder = eqmodels.load("{source}")\n```\n'
        )

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory: stages are recomputed in the backward pass, with the same losses and statistics."""
        self.grad_checkpointing = enable

    def describe_output(self) -> str:
        """How maps, features and scores change when the image is turned, in one paragraph."""
        channels = self.feature_info[-1]["num_chs"]
        if self.group.order == 1:
            return (
                f"forward_features: {channels} ordinary channels. The network has no group: nothing is known of how "
                "its maps, features and scores change when the image turns."
            )
        group, pool = self.group, self.global_pool
        fields, exact = channels // group.order, len(group.exact_elements)
        accuracy = (
            "exactly."
            if exact == group.order
            else f"exactly for the {exact} of its {group.order} elements that permute the pixels, else approximately."
        )
        maps = (
            f"forward_features: {fields} regular fields of {group} in {fields * group.order} group-major channels "
            f"(channel h * {fields} + c); for every g in {group} the map of the moved image is the moved map with its "
            f"fibre permuted, {accuracy}"
        )
        invariant = f"{fields} features that do not change when the image moves ({pool.fibre.mode} over the fibre)"
        regular = f"{fields * group.order} features that permute as the fibre does"
        canonical = (
            f"{fields * group.order} features that do not change when the image moves "
            "(the fibre turned back by the predicted pose)"
        )
        vector = {
            "invariant": invariant,
            "regular": regular,
            "invariant+regular": f"{invariant}, then {regular}",
            "canonical": canonical,
            "canonical-soft": canonical,
        }
        invariant_scores = pool.mode == "invariant" or pool.is_canonical
        nature = "invariant too." if invariant_scores else "a learned function of the pose as well."
        scores = f" fc: {self.num_classes} scores, {nature}" if self.num_classes else ""
        return f"{maps} global_pool: {vector[pool.mode]}.{scores}"

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:  # noqa: ANN401
        # Called by every `load_state_dict`, of this module or of one that contains it, before any child has loaded.
        own = {key: value for key, value in state_dict.items() if key.startswith(prefix) and isinstance(value, Tensor)}
        broken = [key for key, value in own.items() if not value.is_meta and not value.isfinite().all()]
        if broken:
            raise ValueError(
                f"weights must be finite; {len(broken)} of {len(own)} tensors hold NaN or infinity, the first is "
                f"{broken[0]!r}. Nothing of the encoder was loaded: use a checkpoint from before the divergence."
            )
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _recomputation(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of the first forward pass and of the recomputation, which must not update statistics once more."""
    return nullcontext(), _statistics_held(stage)


@contextmanager
def _statistics_held(stage: nn.Module) -> Iterator[None]:
    norms = [module for module in stage.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    counts = [count for norm in norms if (count := norm.num_batches_tracked) is not None]
    # A momentum of zero leaves the statistics as they are, bit for bit; without them the recomputation would save other
    # tensors than the first pass did, which `checkpoint` refuses. It may end early: the count is put back, not lowered.
    momenta, tracked = [norm.momentum for norm in norms], [count.clone() for count in counts]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for count, before in zip(counts, tracked, strict=True):
            count.copy_(before)
