"""Any network as a backbone of this package, asked about its images as they stand upright."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.adapted.canonical import Canonical, CanonicalMode
from eqmodels.backbones.adapted.noted import WITHOUT_IMAGES, made_of, note_original
from eqmodels.backbones.adapted.orbit import check_exact
from eqmodels.backbones.adapted.origins import create_original, images_of, size_of, takes_one_size
from eqmodels.backbones.adapted.posing import PoseNetwork
from eqmodels.backbones.adapted.probing import answer_of
from eqmodels.backbones.adapted.symmetrised import check_filters, checked_size, named_source
from eqmodels.backbones.backbone import Backbone
from eqmodels.backbones.describe import check_bounds, description_of, preprocessing_from
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import build_for_images, register_backbone, resolve
from eqmodels.checks import check_images
from eqmodels.errors import shown
from eqmodels.fields import Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import AnyPoolMode
from eqmodels.transforms import Preprocessing

__all__ = ["ENERGY", "Canonicalised"]

ENERGY = "energy"
"""The word for a pose that the network itself chooses."""


@register_backbone("canonicalised")
class Canonicalised(Backbone):
    """A network of others as a backbone, which sees images upright: `Canonical` is the one stage.

    Its maps turn with the image, its features do not change: there is no fibre, so the pooling is ``"regular"``, the
    mean over space as it is.

    A network that is named by its source is built by that name when a file is loaded, and so is the encoder that
    predicts the pose; the weights of both are in the file.

    Args:
        group: that of the pose, whose elements permute pixels, or its name.
        source: ``timm:<name>``, ``torchvision:<name>`` or a name in `ORIGINS`, with random weights; or a module or a
            function from images to vectors or maps, of which no file can be written.
        by: what predicts the pose: ``"energy"``, the network itself; the name of a model, with random weights; an
            encoder with a canonical pooling; or a module or a function from images to logits ``(B, |G|)`` that permute
            as a regular field, of which no file can be written.
        by_args: of a model that is named, further options.
        by_images: of a model that is named, the preprocessing of its images.
        mode: how the pose is chosen, see `Canonical`.
        size: height and width of the images that the network is asked about once, to know its features; None for what
            it says itself, 32 x 32 if it says nothing.
        at_a_time: copies of each image in one batch where there are several; None for what `Orbit` chooses.
        original: where the network's weights are from, by name: in words as ``weights``, their `sha256_of_tensors` as
            ``sha256``, and what else is known; None if nothing is. It is noted and told, and changes nothing.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 for features.
        global_pool: ``"regular"``.

    Raises:
        TypeError: if source or `by` cannot be called, or a count is no integer.
        ValueError: if an argument breaks its rule, or the network does not run on its images; the sentence names it.
        ModuleNotFoundError: if the package that has the network is not installed.
    """

    canonical: Canonical
    without_images: ClassVar[str] = WITHOUT_IMAGES

    def __init__(
        self,
        group: PlanarGroup | str = "c4",
        *,
        source: str | Callable[[Tensor], object],
        by: str | Callable[[Tensor], Tensor],
        by_args: Mapping[str, Any] | None = None,
        by_images: Mapping[str, Any] | None = None,
        mode: CanonicalMode = "hard",
        size: tuple[int, int] | None = None,
        at_a_time: int | None = None,
        original: Mapping[str, str] | None = None,
        in_chans: int = 3,
        num_classes: int = 0,
        global_pool: AnyPoolMode = "regular",
    ) -> None:
        check_arguments(Canonicalised, {"by_args": by_args, "by_images": by_images})
        super().__init__(check_exact(group), in_chans, num_classes)
        self.structure["source"] = named_source(source)
        note_original(self.structure, original)
        network = create_original(source, in_chans) if isinstance(source, str) else source
        known = images_of(network, in_chans)
        pose = self._pose(by, by_args, by_images)
        asked = size_of(network) or (32, 32)
        fields, reduction = answer_of(network, in_chans, asked if size is None else checked_size(size))
        only = asked if takes_one_size(network) else None
        stage = Canonical(network, pose, self.group, fields, mode=mode, size=only, at_a_time=at_a_time)
        self.add_stage("canonical", stage, fields, reduction)
        self.preprocessing = known
        self.finish(global_pool)

    def pass_on(self, images: Preprocessing | None) -> None:
        """What predicts the pose sees the same images, and undoes what was done to them.

        Args:
            images: the new value of `preprocessing`.
        """
        if isinstance(self.canonical.pose, PoseNetwork):
            self.canonical.pose.images = images

    def _pose(
        self, by: object, arguments: Mapping[str, Any] | None, images: Mapping[str, Any] | None
    ) -> Callable[[Tensor], Tensor] | None:
        """What predicts the pose, None for the network itself; noted in `structure` as a file can hold it.

        Raises:
            TypeError: if it cannot be called.
            ValueError: if there is no such model, it predicts no pose or another group's, or the file has none.
        """
        if by is None:
            raise ValueError(
                "by must be what predicts the pose; got None, as of a function of one's own, of which no file can be "
                "written. Pass an encoder with a canonical pooling, or the name of a model."
            )
        if by == ENERGY:
            return None
        if isinstance(by, str):
            by = _built(by, arguments, images)
        self.structure |= {"by": None, "by_args": None, "by_images": None}
        if not isinstance(by, StagedNetwork):
            if not callable(by):
                raise TypeError(f"by must be an encoder, or a function from images to logits; got {shown(by)}.")
            return by
        if by.group != self.group:
            raise ValueError(f"by must be an encoder of the group {self.group}; got one of {by.group}. Use its group.")
        if type(by).__dict__.get("architectures"):
            description = description_of(by, None)
            self.structure |= {
                "by": description["architecture"],
                "by_args": description["model_args"],
                "by_images": description["preprocessing"],
            }
        return PoseNetwork(by, None, self.in_chans)

    @property
    def map_field(self) -> Scalars:
        """Scalars: elements move the pixels of maps, and leave their channels."""
        return Scalars(self.feature_info[-1]["num_chs"])

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H2 W2"]:
        """The network's answers about upright images, maps turned back; vectors are maps of one pixel.

        Raises:
            TypeError: if the images are not floating point, or of another type than the network's filters.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        maps: Tensor = self.canonical(check_filters(check_images(images, self.in_chans), self.canonical.orbit))
        return maps

    def describe_output(self) -> str:
        """What the network was made of, and how maps, features and scores change when the image is turned."""
        sees = f"{made_of(self.structure)}, which sees images turned upright by the pose that"
        by = self.structure["by"] or "a function of one's own"
        by = "its own energy chooses" if by == ENERGY else f"{by} predicts"
        scores = f" fc: {self.num_classes} scores, invariant too." if self.num_classes else ""
        return (
            f"{sees} {by} ({self.canonical.mode}). "
            f"forward_features: {self.num_features} channels that the elements of {self.group} leave, and whose pixels "
            f"they move, exactly where the pose is decided. global_pool: {self.head_hidden_size} features that do not "
            f"change when the image moves.{scores}"
        )


def _built(by: str, arguments: Mapping[str, Any] | None, images: Mapping[str, Any] | None) -> StagedNetwork:
    """The model of a name, with random weights, which no file imports anything for.

    Raises:
        TypeError: if it has no such option.
        ValueError: if there is no such model, or it is too large for a file.
    """
    options = {"num_classes": 0, "global_pool": "canonical", **(arguments or {})}
    check_bounds(resolve(by, plugins=False)[0], options)
    network = build_for_images(by, plugins=False, **options)
    network.preprocessing = preprocessing_from(images)
    return network
