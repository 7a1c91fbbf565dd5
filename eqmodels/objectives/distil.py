"""The objective of distillation: an equivariant student learns what a pretrained teacher sees.

**The law.** Let the student be equivariant under a group G, ``f(g x) = rho(g) f(x)``, and the pose ``g`` of an image be
known. Then for every element that moves pixels to pixels

    ``|W rho(g)^-1 f(g x) - t(x)| = |W f(x) - t(x)|``,

so that upright passes suffice: what the student learns of upright images holds for turned ones once their features are
turned back. The head that tells the pose learns beside it on the same single pass, by the strict theorem of
`eqmodels.objectives.prediction`; canonical features of a turned photograph then predict what the teacher sees upright.
For the angles between such elements there is no law, only training: there the student sees the image turned by a random
angle, and the teacher sees it upright.

Source: distillation on augmented patches: Asano and Saeed 2023, arXiv 2112.00725; of logits: Hinton, Vinyals and Dean
2015, arXiv 1503.02531; CutMix: Yun et al. 2019, arXiv 1905.04899; views kept with the teacher's outputs: Shen and Xing
2022, arXiv 2112.01528.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float, Int
from eqmodels.backbones import Backbone
from eqmodels.backbones.memory import machine_memory
from eqmodels.checks import check_count
from eqmodels.data import Source
from eqmodels.errors import shown
from eqmodels.fields import Regular, Vectors
from eqmodels.groups import circular_mask
from eqmodels.heads import AngleHead, create_head
from eqmodels.objectives.frozen import Frozen
from eqmodels.objectives.losses import distillation_divergence, predicted, prediction_loss
from eqmodels.objectives.network import Network
from eqmodels.objectives.objective import Batch, Objective, Term
from eqmodels.objectives.randomness import Purpose, Randomness
from eqmodels.objectives.registry import check_given, register_objective
from eqmodels.objectives.teachers import TEACHERS, Teacher, create_teacher
from eqmodels.objectives.turned_views import crop_boxes, paste_masks, previous_chosen
from eqmodels.options import Suggested
from eqmodels.storage import reason_of
from eqmodels.transforms import ColourJitter
from eqmodels.transforms.cutting import cut

__all__ = ["Distil"]

WIDEST = 45.0
"""Degrees: beyond it another quarter turn is nearer."""

NEAR = 15.0
"""Degrees below which a predicted angle counts as right, for the log."""

MOST = 1e30
"""Of a weight or a temperature: what is larger leaves nothing of float32."""

PARTS = (3, 2, 4)
"""Uniform numbers of a view: where it is cut; whether it is turned, by which angle; whether it is mixed, and where."""


@register_objective("distil")
class Distil(Objective):
    """The student's regular features predict a teacher's features and logits by linear maps, and a head their pose.

    Up to four terms: ``features``, the mean squared error of the teacher's pooled features, each vector normalised to
    mean 0 and variance 1; ``logits``, `distillation_divergence`; and, of a backbone with a group, ``pose``, the
    cross-entropy of the strict head on the same pass, in nats, and, if it is asked for, ``angle``, the squared error of
    an `AngleHead`, a vector that turns with the image and should show where up is.

    Views are random resized crops with colour jitter, and CutMix of two of them; both networks see the same one, but
    for the angle between -45 and 45 degrees that the student's is turned by, and the circle that it may be seen
    through. Its pose is the nearest rotation of the group. A left-right flip is never drawn: where a reflection is an
    element of the group it is a pose.

    Args:
        backbone: the student.
        num_classes: of the images; not used.
        teacher: what teaches, or ``timm:<name>`` for a pretrained network of timm.
        teacher_width: length of the teacher's features; 0 for what it puts out, which is found out before the first
            step and written down.
        teacher_classes: number of the teacher's classes; 0 of one without a classifier.
        view_size: side of the views in pixels, which the student is made for; the images should be larger, half as
            large again if they are turned.
        teacher_size: side of what the teacher sees in pixels: the same crops, larger; 0 for that of the views.
        smallest_area: of a crop, as a part of the image's largest square.
        jitter: strength of the changes of brightness, contrast and saturation; a quarter of it of the hue.
        cutmix: share of the upright views that another upright view is pasted into.
        residual: share of the views that the student sees turned by a random angle.
        circle: share of the views that the student sees through the inscribed circle, black outside. These may show
            the whole image at every angle; others are crops from within it, at 45 degrees of half its area at most, so
            that no corner tells the angle.
        features_weight: of the term ``features``; 0 for logits alone.
        logits_weight: of the term ``logits``.
        pose_weight: of the term ``pose``.
        angle_weight: of the term ``angle``; 0 for no such head.
        temperature: that softens the probabilities.
        kept_passes: passes over the images whose views are kept, with what the teacher sees in them, and shown again
            in the passes after them, which are then almost twice as fast; more so with a large teacher. A view of
            three channels and 96 pixels takes 32 KB of memory. 0 for new views in every pass.
        pose_hidden: dense channels of the hidden layer of the pose head.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a number is out of its range, the hidden layer is narrower than the order of the group, or the
            features are not regular.
    """

    optimisation = MappingProxyType(
        {
            "batch_size": 64,
            "optimiser": "adamw",
            "learning_rate": 2e-3,
            "weight_decay": 0.02,
            "warmup_epochs": 0.3,
            "clip_norm": 1.0,
        }
    )
    scaffold = ("features", "logits")

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int = 0,
        *,
        teacher: Annotated[str, Suggested(TEACHERS)] = "lite0",
        teacher_width: int = 0,
        teacher_classes: int = 1000,
        view_size: int = 96,
        teacher_size: int = 0,
        smallest_area: float = 0.35,
        jitter: float = 0.4,
        cutmix: float = 0.5,
        residual: float = 0.5,
        circle: float = 0.0,
        features_weight: float = 1.0,
        logits_weight: float = 0.02,
        pose_weight: float = 0.1,
        angle_weight: float = 0.0,
        temperature: float = 8.0,
        kept_passes: int = 0,
        pose_hidden: int = 512,
    ) -> None:
        check_given(Distil, locals())
        super().__init__()
        self.teacher_name, self.teacher_outputs = teacher, (teacher_width, teacher_classes)
        self.teacher: Frozen | None = None
        self.view_size, self.teacher_size = view_size, teacher_size or view_size
        self.smallest_area, self.cutmix = smallest_area, cutmix
        self.residual, self.circle = residual, circle
        self.features_weight, self.logits_weight = features_weight, logits_weight
        self.pose_weight, self.angle_weight = pose_weight, angle_weight
        self.temperature, self.kept_passes = temperature, kept_passes
        self.jitter = ColourJitter(jitter, jitter, jitter, jitter / 4)
        self.group, self.field = backbone.group, backbone.map_field
        self.features = nn.Linear(self.field.channels, teacher_width) if teacher_width else None
        self.logits = nn.Linear(self.field.channels, teacher_classes) if teacher_classes else None
        # Where files of a run have the pose that canonical pooling needs: in the first of the heads.
        self.heads = nn.ModuleList()
        if self.group.order > 1:
            check_count("pose_hidden", pose_hidden, self.group.order)
            self.heads.append(create_head("equivariant", self.field, Regular(self.group, 1), hidden=pose_hidden))
            if angle_weight:
                self.heads.append(create_head("angle", self.field, Vectors(self.group, 1), hidden=pose_hidden))

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuses numbers out of range.

        Raises:
            TypeError: if a count is not an integer.
            ValueError: if a value breaks its rule; the sentence names the first.
        """
        for name in ("view_size", "pose_hidden"):
            check_count(name, options[name])
        for name in ("teacher_width", "teacher_classes", "teacher_size", "kept_passes"):
            check_count(name, options[name], 0)
        for name in ("jitter", "cutmix", "residual", "circle"):
            if not 0 <= options[name] <= 1:
                raise ValueError(f"{name} must lie in 0 .. 1; got {shown(options[name])}. Pass 0.5.")
        if not 0 < options["smallest_area"] <= 1:
            raise ValueError(
                f"smallest_area must be above 0 and at most 1; got {shown(options['smallest_area'])}. "
                "Pass smallest_area=0.35."
            )
        for name in ("features_weight", "logits_weight", "pose_weight", "angle_weight"):
            if not 0 <= options[name] < MOST:
                raise ValueError(f"{name} must be a finite number of at least 0; got {shown(options[name])}. Pass 0.1.")
        if not 0 < options["temperature"] < MOST:
            raise ValueError(
                f"temperature must be a positive finite number; got {shown(options['temperature'])}. Pass 8."
            )

    @classmethod
    def settled(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options with the width of the teacher's features.

        Raises:
            ValueError: if the teacher is unknown or does not take the views.
            ModuleNotFoundError: if its package is not installed.
            StorageError: if its weights cannot be had.
        """
        if options["teacher_width"]:
            return options
        _, (width, _) = _asked(options["teacher"], options["teacher_size"] or options["view_size"])
        return {**options, "teacher_width": width}

    @classmethod
    def seen_size(cls, options: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG003
        """That of the views, whatever the images' is."""
        return options["view_size"], options["view_size"]

    def check(self, data: Source) -> None:
        """Fetches the teacher, and refuses images and widths that do not suit it.

        Raises:
            ValueError: if the images have no three channels or are smaller than the views, the teacher is unknown,
                does not take the views, or puts out another number of features or classes than the options say, or the
                machine has not the memory for the views that are to be kept.
            ModuleNotFoundError: if the teacher's package is not installed.
            StorageError: if its weights cannot be had.
        """
        if data.channels != 3:
            raise ValueError(
                f"teacher={self.teacher_name!r} takes images of 3 channels; {data.name} has {data.channels}. Pass "
                "to_rgb=True (--to-rgb), or use other images."
            )
        if min(data.size) < self.view_size:
            raise ValueError(
                f"view_size must be at most the smaller side of the images, {min(data.size)} of {data.name}; got "
                f"{self.view_size}. Pass view_size={min(data.size)}, or use larger images."
            )
        teacher, found = _asked(self.teacher_name, self.teacher_size)
        width, classes = self.teacher_outputs
        if self.features is None:  # of an objective that no run settled
            width, self.features = found[0], nn.Linear(self.field.channels, found[0])
        if found != (width, classes):
            raise ValueError(
                f"teacher_width and teacher_classes must be those of teacher={self.teacher_name!r}; got {width} and "
                f"{classes}. Pass teacher_width={found[0]} and teacher_classes={found[1]}."
            )
        needed = self.kept_passes * len(data) * (3 * self.view_size**2 + 2 * sum(found))
        if needed > (memory := machine_memory()):
            fitting = int(self.kept_passes * memory / needed / 2)
            raise ValueError(
                f"kept_passes={self.kept_passes} over {len(data)} images keeps {needed / 1e9:.1f} GB of views; this "
                f"machine has {memory / 1e9:.1f} GB of memory. Pass kept_passes={fitting}."
            )
        self.teacher = Frozen(teacher)

    def views(self, batch: Batch, randomness: Randomness) -> dict[str, Tensor]:
        """The views of ``student`` and ``teacher``, which differ in angle, circle and size, and the student's labels.

        These are ``pose``, an element of the group, and ``up``, the unit vector upwards. Where views are kept, those of
        the student have 256 values a pixel, and what the teacher makes of its own stands for these, in half precision:
        ``vectors`` and ``logits``.

        Where and how they are cut is drawn for the global batch; CutMix pairs the images of one process.
        """
        count = sum(PARTS) + self.jitter.numbers
        generator = randomness.generator(Purpose.AUGMENTATION)
        drawn = torch.rand(batch.size, count, generator=generator)[batch.rows]
        # Drawn behind the others: runs without a circle draw what they drew before there was one.
        circular = torch.rand(batch.size, generator=generator)[batch.rows] < self.circle
        place, turn, paste, colours = drawn.split([*PARTS, self.jitter.numbers], 1)
        degrees = torch.where(turn[:, 0] < self.residual, WIDEST * (2 * turn[:, 1] - 1), 0.0)
        reaching = torch.where(circular, 0.0, degrees)  # a circle stays within its square however it is turned

        upright = degrees == 0
        other, mixed = previous_chosen(upright), (upright & (paste[:, 0] < self.cutmix))[:, None, None, None]
        device = batch.images.device

        def seen(rows: Tensor, angles: Tensor, size: int) -> Tensor:
            images = self._coarse(batch.images[rows.to(device)], size)
            boxes = crop_boxes(place[rows], reaching[rows], self.smallest_area, (images.shape[-2], images.shape[-1]))
            return self.jitter.apply(cut(images, boxes, angles[rows], size).clamp(0, 1), colours[rows])

        def pasted(views: Tensor) -> Tensor:
            mask = paste_masks(paste[:, 1:], views.shape[-1]) & mixed
            return torch.where(mask.to(device), views[other.to(device)], views)

        every = torch.arange(len(degrees))
        teacher = seen(every, torch.zeros_like(degrees), self.teacher_size)
        if self.teacher_size == self.view_size:
            # Both share the upright views: sampling and colours are a sixth of a step.
            student, turned = teacher.clone(), every[~upright]
            if len(turned):
                student[turned.to(device)] = seen(turned, degrees, self.view_size)
        else:
            student = seen(every, degrees, self.view_size)
        student, teacher = pasted(student), pasted(teacher)
        outside = circular[:, None, None, None] & (circular_mask(self.view_size, self.view_size) == 0)
        student = student.masked_fill(outside.to(device), 0)
        labels = {"pose": self._nearest(degrees), "up": AngleHead.label(degrees)}
        views = {"student": student} | {name: one.to(device) for name, one in labels.items()}
        if not self.kept_passes:
            return views | {"teacher": teacher}
        vectors, logits = self._taught(teacher)
        return views | {"student": (255 * student).round().byte(), "vectors": vectors.half(), "logits": logits.half()}

    def _taught(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B K"]]:
        """What the teacher makes of images: features of mean 0 and variance 1, and logits of mean 0."""
        assert self.teacher is not None  # `check` comes before the first step
        vectors, logits = (_precise(outputs) for outputs in self.teacher(images))
        # What is common to all logits is without meaning, and might leave half precision.
        return F.layer_norm(vectors, vectors.shape[1:]), logits - logits.mean(1, keepdim=True)

    def _coarse(self, images: Float[Tensor, "B C H W"], size: int) -> Float[Tensor, "B C h w"]:
        """Images of which the smallest crop is hardly larger than a view: bilinear sampling skips pixels of others."""
        factor = int(math.sqrt(self.smallest_area) * min(images.shape[-2:]) / size)
        return F.avg_pool2d(images, factor) if factor > 1 else images

    def _nearest(self, degrees: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The rotation of the group that is the nearest to each angle."""
        rotations = self.group.rotations
        return (degrees * rotations / 360).round().long() % rotations

    def loss(self, network: Network, views: dict[str, Tensor]) -> dict[str, Term]:
        """The terms of the class; features are turned back by the known pose."""
        assert self.features is not None  # nobody trains what was loaded from a file
        if self.kept_passes:
            student, vectors, logits = views["student"] / 255, views["vectors"].float(), views["logits"].float()
        else:
            student, (vectors, logits) = views["student"], self._taught(views["teacher"])
        regular, pose = network.regular_features(student), views["pose"]
        known = F.one_hot(pose, self.group.order).to(regular.dtype)
        canonical = self.field.turned_back(regular, known)
        error = _precise(self.features(canonical)) - vectors
        terms = {"features": Term(self.features_weight * error.square().mean())}
        if self.logits is not None:
            found = distillation_divergence(_precise(self.logits(canonical)), logits, self.temperature)
            terms["logits"] = Term(self.logits_weight * found)
        # By the laws of both heads these are also the losses of the view turned by any element, with its labels.
        for head in self.heads[:1]:
            scores = head(regular)
            terms["pose"] = Term(self.pose_weight * prediction_loss(scores, pose), predicted(scores, pose).sum())
        for head in self.heads[1:]:
            up, known_up = _precise(head(regular)), views["up"]
            near = F.cosine_similarity(up.detach(), known_up) > math.cos(math.radians(NEAR))
            terms["angle"] = Term(self.angle_weight * (up - known_up).square().sum(1).mean(), near.sum())
        return terms

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """Logits of the pose, and the vector upwards: what predicts the teacher is of no use later, and in no file."""
        return {name: head(features) for name, head in zip(("pose", "angle"), self.heads, strict=False)}

    @property
    def pose(self) -> nn.Module | None:
        """From regular features to one logit an element of the group; None without a group."""
        return self.heads[0].get_submodule("pose") if len(self.heads) else None


def _asked(name: str, size: int) -> tuple[Teacher, tuple[int, int]]:
    """The teacher of a name, and how many features and classes it puts out of views of a size.

    Raises:
        ValueError: if it is unknown or does not take such views.
        ModuleNotFoundError: if its package is not installed.
        StorageError: if its weights cannot be had.
    """
    teacher = create_teacher(name)
    try:
        with torch.no_grad():
            features, logits = teacher(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"teacher={name!r} must take views of {size}x{size} pixels; it does not ({reason_of(error)}). Pass the "
            "teacher_size that it was trained with, or another teacher."
        ) from error
    return teacher, (features.shape[1], logits.shape[1])


def _precise(values: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
    """Values in float32 at least: those of autocast have too few digits for logarithms and variances."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
