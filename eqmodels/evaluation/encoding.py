"""From images in [0, 1] to the feature vectors of any encoder, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Encoder
from eqmodels.backbones.foreign import ForeignEncoder
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.evaluation.orbits import UPRIGHT, View
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.evaluation.specimen import device_of
from eqmodels.fields import Field, Regular, Sum
from eqmodels.groups import PlanarGroup
from eqmodels.processes import World
from eqmodels.transforms import Preprocessing

__all__ = ["Encodable", "Subject", "encode", "features_of", "normalised"]

Encodable = Encoder | Pretrained | Callable[[Tensor], Tensor]
"""What can be evaluated: an encoder, one with its heads, or any function from images to feature vectors."""

BATCH = 100
"""Images at a time: activations of many do not fit a CPU's cache, 100 are a quarter faster than 500."""
PIXELS = 100_000
"""Of the images that a CPU computes at a time, for the same reason: 24 of 64x64."""


@dataclass(frozen=True)
class Subject:
    """What is evaluated: an encoder, and what is known of its features.

    Attributes:
        name: what it is called.
        encode: from normalised images ``(B, C, H, W)`` to features ``(B, F)``.
        field: what becomes of the features when the image moves; None if nobody declared it.
        in_chans: channels of the images; None if it does not say.
        preprocessing: what images go through first; None for none: they come as they are, in [0, 1].
        pose: from features to one logit an element of the field's group; None if nothing predicts the pose.
        turn: from features to four logits, by how many quarters the image is turned; None if nothing predicts it.
        modules: the networks that it is made of, for their device and their mode.
        own_group: the group that the encoder says it is made for; None if it names none.
    """

    name: str
    encode: Callable[[Tensor], Tensor]
    field: Field | None
    in_chans: int | None
    preprocessing: Preprocessing | None
    pose: nn.Module | None = None
    turn: nn.Module | None = None
    modules: tuple[nn.Module, ...] = ()
    own_group: PlanarGroup | None = None

    @classmethod
    def of(cls, encoder: Encodable | Subject) -> Subject:
        """An encoder as it declares itself; of one with heads, the features and the poses that they read and predict.

        Modules are put into eval mode.

        Raises:
            TypeError: if it cannot be called on images.
            ValueError: if it says that it takes something else.
        """
        if isinstance(encoder, Subject):
            return encoder
        if getattr(encoder, "takes", "images") != "images":
            raise ValueError(
                f"encoders are evaluated on images here; got {type(encoder).__name__}, which takes points of space. "
                "Pass an encoder of images; equivariance_report judges both."
            )
        pose = turn = None
        inner = encoder.network if isinstance(encoder, ForeignEncoder) else encoder
        name = getattr(inner, "__name__", type(inner).__name__)
        heads: tuple[nn.Module, ...] = ()
        if isinstance(encoder, Pretrained):
            name, heads = encoder.name, tuple(encoder.heads)
            pose, turn = encoder.pose, _turn_head(encoder)
            encoder = encoder.encoder("regular")
        if not callable(encoder):
            raise TypeError(
                f"encoder must be callable, from images (B, C, H, W) to features (B, F); got {type(encoder).__name__}. "
                "Pass a network, a function, or a run with its heads."
            )
        modules = tuple(part for part in (encoder, *heads) if isinstance(part, nn.Module))
        for module in modules:
            module.eval()
        return cls(
            name,
            encoder,
            getattr(encoder, "out_field", None),
            getattr(encoder, "in_chans", None),
            getattr(encoder, "preprocessing", None),
            pose,
            turn,
            modules,
            _group_of(encoder) or _group_of(inner),
        )

    @property
    def group(self) -> PlanarGroup:
        """The group under which the encoder is tested; C1 if it names none, and none acts on its features.

        Invariant features do not show by what they are invariant: the encoder says it.
        """
        acting = None if self.field is None else self.field.group
        return max(
            [group for group in (self.own_group, acting) if isinstance(group, PlanarGroup)],
            key=_order,
            default=PlanarGroup(1),
        )

    @property
    def is_invariant(self) -> bool:
        """Whether the features are declared not to change when the image moves."""
        return self.field is not None and self.field.group is None

    @property
    def has_fibres(self) -> bool:
        """Whether some features are permuted when the image moves: then there is something to pool."""
        parts = self.field.parts if isinstance(self.field, Sum) else (self.field,)
        return any(isinstance(part, Regular) and part.order > 1 for part in parts)

    @property
    def device(self) -> torch.device:
        """Where its networks are; the CPU if it has none."""
        return device_of(self.modules[0]) if self.modules else torch.device("cpu")

    @property
    def parameters(self) -> int:
        """Of the encoder alone; 0 of a function that shows none."""
        return sum(value.numel() for value in self.encode.parameters()) if isinstance(self.encode, nn.Module) else 0


def _group_of(encoder: object) -> PlanarGroup | None:
    group = getattr(encoder, "group", None)
    return group if isinstance(group, PlanarGroup) else None


def _order(group: PlanarGroup) -> int:
    return group.order


def _turn_head(pretrained: Pretrained) -> nn.Module | None:
    """The head that says by how many quarters an image is turned, its labels their number; None if there is none."""
    quarters = PlanarGroup(4)
    # Of an objective that predicts no task there are no heads.
    parts = zip(pretrained.task.components, pretrained.heads, strict=False)
    return next(
        (head for part, head in parts if part.group == quarters and part.elements == tuple(quarters.elements)), None
    )


def normalised(
    images: Float[Tensor, "B C H W"], preprocessing: Preprocessing | None, device: torch.device
) -> Float[Tensor, "B C H W"]:
    """Images in [0, 1] as a network takes them: on its device, normalised, channels last in memory."""
    images = images.to(device)
    images = images if preprocessing is None else preprocessing.normalise(images)
    return images.contiguous(memory_format=torch.channels_last)


def encode(
    encoder: Encodable | Subject,
    pixels: Callable[[slice], Float[Tensor, "B C H W"]],
    count: int,
    *,
    view: View = UPRIGHT,
    batch_size: int = BATCH,
    world: World | None = None,
) -> Float[Tensor, "N F"]:
    """Features of images that are made batch by batch, float32, on the CPU; of a run, those that its heads read.

    Args:
        encoder: an encoder, a run with its heads, or a function from normalised images to feature vectors.
        pixels: from a range of indices to images in [0, 1], such as the method of a `Source`.
        count: number of images.
        view: how they are shown to it.
        batch_size: images at a time.
        world: processes that compute the batches in turn and all get the features; None for this one alone.

    Raises:
        TypeError: if it cannot be called, or does not give floating-point numbers.
        ValueError: if it does not give one vector an image, or not of the field that it declares; or if there are not
            as many images.
    """
    check_arguments(encode, {"pixels": pixels, "count": count, "view": view, "batch_size": batch_size, "world": world})
    check_count("count", count)
    check_count("batch_size", batch_size)
    subject = Subject.of(encoder)

    @torch.no_grad()
    def batch(start: int) -> Tensor:
        wanted = min(start + batch_size, count) - start
        given = pixels(slice(start, start + wanted))
        if not isinstance(given, Tensor) or len(given) != wanted:
            found = len(given) if isinstance(given, Tensor) else shown(given)
            raise ValueError(
                f"pixels must give {wanted} images, those from number {start} on of {count}; got {found}. Pass the "
                "count of the source whose method it is."
            )
        return features_of(subject, view.of(given)).float().cpu()

    return torch.cat((World() if world is None else world).spread(batch, range(0, count, batch_size)))


def features_of(subject: Subject, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
    """Features of a batch of images in [0, 1], where the networks are; on a CPU of few large images at a time.

    Args:
        subject: the encoder.
        images: in the view in which it is to see them.

    Raises:
        TypeError: if it does not give floating-point numbers.
        ValueError: if it does not give one vector an image, or not of the field that it declares.
    """
    on_cpu = subject.device.type == "cpu"
    part = max(8, PIXELS // images[0, 0].numel()) if on_cpu and len(images) else max(1, len(images))
    given = (normalised(some, subject.preprocessing, subject.device) for some in images.split(part))
    return torch.cat([_checked(subject.encode(some), len(some), subject) for some in given])


def _checked(features: object, images: int, subject: Subject) -> Tensor:
    """The features themselves, if they are one vector an image, and of the declared field."""
    if not isinstance(features, Tensor) or not features.is_floating_point():
        kind = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise TypeError(
            f"{subject.name} must give feature vectors as one tensor of floating-point numbers; got {kind}. Wrap it in "
            "a function that returns the features alone."
        )
    if features.dim() != 2 or len(features) != images:
        raise ValueError(
            f"{subject.name} must give one vector an image, shape ({images}, features); got {tuple(features.shape)}. "
            "Take the mean of a feature map over space, and the class token of a sequence."
        )
    if subject.field is not None and features.shape[1] != subject.field.channels:
        raise ValueError(
            f"{subject.name} declares features of the field {subject.field}, {subject.field.channels} channels; got "
            f"{features.shape[1]}. Set out_field to what its output is, or to None."
        )
    return features
