"""Any network as a backbone of this package, by the orbit of its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.noted import WITHOUT_IMAGES, made_of, note_original
from eqmodels.backbones.adapted.orbit import Orbit, check_exact
from eqmodels.backbones.adapted.origins import create_original, images_of, size_of, takes_one_size
from eqmodels.backbones.adapted.probing import answer_of
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.registry import register_backbone
from eqmodels.checks import check_count, check_images, check_placed, is_open
from eqmodels.errors import shown
from eqmodels.groups import PlanarGroup
from eqmodels.layers import AnyPoolMode, GroupPoolMode

__all__ = ["Symmetrised", "check_filters", "checked_size", "named_source"]

LARGEST = 4096
"""Pixels of a side of the image that a network is asked about once, which a file may say."""


@register_backbone("symmetrised")
class Symmetrised(Backbone):
    """A network of others as a backbone: its `Orbit` is the one stage, and pooling and classifier are as everywhere.

    The stage puts out regular features, so ``global_pool="regular"`` gives features that permute as those of every
    backbone here, which heads, tasks and canonical pooling understand, and ``"invariant"`` their mean (or, by
    `group_pool`, their maximum or norm) over the orbit.

    A network that is named by its source is built by that name when a file is loaded, and its weights are in the file.

    Args:
        group: whose elements permute pixels, C1, C2, C4, D1, D2 or D4, or its name.
        source: ``timm:<name>``, ``torchvision:<name>`` or a name in `ORIGINS`, with random weights; or a module or a
            function from images to vectors or maps, of which no file can be written.
        size: height and width of the images that the network is asked about once, to know its features; None for what
            it says itself, 32 x 32 if it says nothing.
        at_a_time: copies of each image in one batch, which bounds the memory; None for what `Orbit` chooses.
        drawn: copies, drawn anew at each call, that the network is asked about in train mode (see `Orbit`); None for
            all.
        original: where the network's weights are from, by name: in words as ``weights``, their `sha256_of_tensors` as
            ``sha256``, and what else is known; None if nothing is. It is noted and told, and changes nothing.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: how features are pooled, see `GlobalPool`.
        group_pool: how the fibre is pooled, see `GroupPool`.
        pose_hidden: of a canonical pooling, dense channels of the hidden layer of what predicts the pose.

    Raises:
        TypeError: if the source cannot be called, or a count is no integer.
        ValueError: if an argument breaks its rule, or the network does not run on its images; the sentence names it.
        ModuleNotFoundError: if the package that has the network is not installed.
    """

    orbit: Orbit
    without_images: ClassVar[str] = WITHOUT_IMAGES

    def __init__(
        self,
        group: PlanarGroup | str = "d4",
        *,
        source: str | Callable[[Tensor], object],
        size: tuple[int, int] | None = None,
        at_a_time: int | None = None,
        drawn: int | None = None,
        original: Mapping[str, str] | None = None,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: AnyPoolMode = "invariant",
        group_pool: GroupPoolMode = "mean",
        pose_hidden: int = 2048,
    ) -> None:
        super().__init__(check_exact(group), in_chans, num_classes)
        self.structure["source"] = named_source(source)
        note_original(self.structure, original)
        network = create_original(source, in_chans) if isinstance(source, str) else source
        self.preprocessing = images_of(network, in_chans)
        known = size_of(network) or (32, 32)
        fields, reduction = answer_of(network, in_chans, known if size is None else checked_size(size))
        only = known if takes_one_size(network) else None
        orbit = Orbit(network, self.group, fields, size=only, at_a_time=at_a_time, drawn=drawn)
        self.add_stage("orbit", orbit, self.group.order * fields, reduction)
        self.finish(global_pool, group_pool, pose_hidden)

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The regular maps of the orbit; vectors are maps of one pixel.

        Raises:
            TypeError: if the images are not floating point, or of another type than the network's filters.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps: Tensor = self.orbit(check_filters(check_images(images, self.in_chans), self.orbit))
        return maps

    def describe_output(self) -> str:
        """What the network was made of, and how maps, features and scores change when the image is turned."""
        copies = f"{self.group.order} moved copies of an image, those of {self.group}"
        return f"{made_of(self.structure)}, asked about {copies}, without any training. {super().describe_output()}"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trades time for memory: each batch of the orbit is recomputed in the backward pass."""
        super().set_grad_checkpointing(enable)
        self.orbit.recompute = enable


def named_source(source: object) -> str | None:
    """What a file says of a source: its name; None of a network of one's own, which has none.

    Raises:
        TypeError: if the source is neither a word nor can be called.
        ValueError: if the source is None, and so that of a file.
    """
    if source is None:
        raise ValueError(
            "source must be a network, or a word that names one; got None, as of a network of one's own, of which no "
            "file can be written. Pass source='timm:resnet18', or register a function that builds it: "
            "@ORIGINS.register('mine')."
        )
    if not isinstance(source, str) and not callable(source):
        raise TypeError(f"source must be a network, or a word such as 'timm:resnet18'; got {shown(source)}. Pass one.")
    return source if isinstance(source, str) else None


def check_filters(images: Float[Tensor, "B C H W"], network: nn.Module) -> Float[Tensor, "B C H W"]:
    """The images themselves, if they are of the type and on the device of a network's first filters.

    Raises:
        TypeError: if the type is another.
        ValueError: if the device is another.
    """
    filters = next(network.parameters(), None)
    # What shards, offloads or quantises puts other things in the place of parameters, until a layer is called.
    if type(filters) is nn.Parameter and filters.dim() == 4 and filters.is_floating_point() and not is_open():
        return images if filters.is_meta else check_placed(images, filters, "images")
    return images


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width themselves, if they are two counts.

    Raises:
        TypeError: if they are no two integers.
        ValueError: if one is below 1, or above `LARGEST`.
    """
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise TypeError(f"size must be height and width in pixels; got {shown(size)}. Pass, say, (224, 224).")
    height, width = check_count("size", size[0]), check_count("size", size[1])
    if max(height, width) > LARGEST:
        raise ValueError(f"size must be at most {LARGEST} pixels a side; got {shown(tuple(size))}. Pass (224, 224).")
    return height, width
