"""The objective of E-SSL: predict what was done to the image, and leave out the turning where a theorem allows it.

**The strict theorem.** Let a backbone be equivariant under a group G, a task apply an element ``k`` of a subgroup H of
it whose every element moves pixels to pixels, and the head be equivariant: ``logit_h(k x) = logit_{k^-1 h}(x)``. Then
the cross-entropy of the turned image with its label *equals* that of the upright image with the identity's label,

    ``-log softmax(logit(k x))_k = -log softmax(logit(x))_e``,

as the logits of the one are those of the other, permuted, and so are their gradients equal. No image needs to be turned
in training: where RotNet computes all four turned copies of an image, one pass over the upright one is all. `is_strict`
says where this holds.

Source: Wang et al. 2024, arXiv 2411.06508 (E-SSL); Gidaris et al. 2018, arXiv 1803.07728 (rotations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.data import Source
from eqmodels.errors import shown
from eqmodels.fields import Regular
from eqmodels.heads import HEADS, EquivariantHead, create_head
from eqmodels.objectives.class_information import ClassInformation, check_weight
from eqmodels.objectives.losses import predicted, prediction_loss
from eqmodels.objectives.network import Network
from eqmodels.objectives.objective import Batch, Objective, Term
from eqmodels.objectives.pitfalls import check_augmentation, check_classes, check_colours
from eqmodels.objectives.randomness import Purpose, Randomness
from eqmodels.objectives.registry import check_given, register_objective
from eqmodels.options import Suggested, options_of
from eqmodels.tasks import TASKS, Preset, Task, create_task
from eqmodels.transforms import AUGMENTATIONS, create_augmentation

__all__ = ["Prediction", "is_strict"]


def is_strict(task: Task, heads: Sequence[nn.Module], *, class_head: bool = False) -> bool:
    """Whether the strict theorem of this module holds, so that images need not be turned.

    Args:
        task: what is predicted.
        heads: one a component of the task, on an equivariant backbone; an equivariant one declares as its `out_field`
            the task's `label_field`.
        class_head: whether a class head learns from the same images.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is not one head a component.
    """
    check_arguments(is_strict, locals())
    if len(heads) != len(task.components):
        raise ValueError(
            f"heads must be one a component of the task, {len(task.components)} of {task.name!r}; got {len(heads)}. "
            "Pass the heads of the objective."
        )
    exact = task.group is not None and all(task.group.is_exact(g) for g in task.elements)
    # Of several tasks at once, each head sees what all of them did, so its loss depends on the other labels too. A
    # class head is not equivariant: its loss on an upright image is not that on the turned one. From upright images it
    # would learn to read the class in one pose, and eliminate it from the features of that pose only. A weight of 0 is
    # no exception: it is a point of the curve over weights, which are to differ in nothing else.
    alone = len(task.components) == 1 and not class_head
    return exact and alone and is_equivariant(task, heads[0])


def is_equivariant(task: Task, head: nn.Module) -> bool:
    """Whether a head declares that its logits permute as the labels of the task do when the image moves."""
    return isinstance(task.label_field, Regular) and getattr(head, "out_field", None) == task.label_field


@register_objective("prediction")
class Prediction(Objective):
    """A head for each task on the regular features of the backbone, and one for the class if it is asked for.

    Heads read *regular* features, the mean of the last map over space, ``|G| fields`` channels: invariant ones know
    nothing of the pose.

    Args:
        backbone: the encoder that is pretrained.
        num_classes: of the images, for a class head; without one it does not matter.
        task: what is predicted: a task, ``rotation<N>`` for N angles up to 36, or several joined by ``+``.
        preset: of jigsaw and blur: ``"paper"`` as published, ``"fixed"`` without its shortcuts.
        head: ``"linear"``, ``"mlp"`` (the paper's), or ``"equivariant"`` (its predictions turn with the image, so that
            images need not be turned in training).
        head_hidden: channels of the head's hidden layer.
        head_dropout: dropout in the hidden layer of ``"mlp"``.
        head_options: further options of the head, by their names; None for their defaults.
        turn: ``"always"`` turns images even where an equivariant head makes it superfluous.
        class_weight: also train a head that predicts the class, which takes labels, and let so many times its gradient
            into the backbone: above 0 adds class information (0.5 in the paper), 0 only observes it, below 0 eliminates
            it (-9 in the paper; the head itself still learns, see `class_information_loss`). Images are then always
            turned.
        class_hidden: channels of the class head's hidden layer; 0 for a linear head.
        augment: augmentation before the task.

    Attributes:
        task: what the heads predict.
        heads: one module a task, ``(B, channels) -> (B, labels)``.
        class_information: the class head; None for none.
        strict: whether images are left unturned, because the loss is that of turned ones.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is unknown, a number is out of its range, the augmentation hides the task, the head
            does not fit the task and the backbone, or there are fewer than two classes for a class head.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int = 0,
        *,
        task: Annotated[str, Suggested(TASKS)] = "rotation",
        preset: Preset = "fixed",
        head: Annotated[str, HEADS] = "equivariant",
        head_hidden: int = 2048,
        head_dropout: float = 0.0,
        head_options: Mapping[str, Any] | None = None,
        turn: Literal["auto", "always"] = "auto",
        class_weight: float | None = None,
        class_hidden: int = 2048,
        augment: Annotated[str, AUGMENTATIONS] = "simclr",
    ) -> None:
        check_given(Prediction, locals())
        super().__init__()
        self.task = create_task(task, preset=preset)
        self.augmentation = create_augmentation(augment)
        self.uses_labels = class_weight is not None
        self.group = backbone.group
        options: dict[str, Any] = {"hidden": head_hidden, "dropout": head_dropout}
        options = {name: options[name] for name in options_of(HEADS.find(head)) if name in options}
        options |= head_options or {}
        if HEADS.find(head) is EquivariantHead:  # in the words of this objective
            check_count("head_hidden", head_hidden, backbone.group.order)
        parts = self.task.components
        self.heads = nn.ModuleList(create_head(head, backbone.map_field, one.label_field, **options) for one in parts)
        if len(parts) > 1 and any(is_equivariant(part, one) for part, one in zip(parts, self.heads, strict=True)):
            raise ValueError(
                f"an equivariant head predicts one task, as a flip before a turn changes what the turn looks like; got "
                f"task={task!r}. Use task='dihedral', or head='mlp'."
            )
        self.strict = turn == "auto" and is_strict(self.task, list(self.heads), class_head=class_weight is not None)
        self.class_information: ClassInformation | None = None
        if class_weight is not None:
            if num_classes < 2:
                raise ValueError(
                    f"class_weight={class_weight:g} needs images labelled with at least two classes; got {num_classes}."
                    " Use labelled images, such as a folder with one folder of images a class, or class_weight=None."
                )
            # Last, so that backbone and heads have the weights that they have without it.
            self.class_information = ClassInformation(
                backbone.map_field.channels, num_classes, weight=class_weight, hidden=class_hidden
            )

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuses an augmentation that hides what the task did, and numbers out of range.

        Raises:
            ValueError: if there are such values; the sentence names them.
        """
        check_count("head_hidden", options["head_hidden"], 1)
        check_count("class_hidden", options["class_hidden"], 0)
        if not 0 <= options["head_dropout"] < 1:
            raise ValueError(
                f"head_dropout must be at least 0 and below 1; got {shown(options['head_dropout'])}. Pass 0."
            )
        if options["class_weight"] is not None:
            check_weight("class_weight", options["class_weight"])
        if twice := sorted({"hidden", "dropout"} & set(options["head_options"] or {})):
            raise ValueError(
                f"head_options are those beside hidden and dropout; got {twice[0]!r}. Use head_{twice[0]} for it."
            )
        check_augmentation(options["augment"], options["task"])

    def check(self, data: Source) -> None:
        """Refuses images that the task cannot be asked about, and images of one class for a class head.

        Raises:
            ValueError: if they are such.
        """
        if self.class_information is not None:
            check_classes(self.class_information.weight, data)
        self.task.check(data.pixels(slice(0, 1)))
        check_colours(self.task, data)

    def views(self, batch: Batch, randomness: Randomness) -> tuple[Float[Tensor, "B C H W"], Int[Tensor, "B L"]]:
        """Augmented and transformed images, and their labels: a column a task, and last the class if there is a head.

        Augmentation and labels are drawn for the global batch; what a task draws beside its labels (the offsets of a
        jigsaw) is each process's own.
        """
        uniforms = self.augmentation.draw(batch.size, randomness.generator(Purpose.AUGMENTATION))[batch.rows]
        labels = self.task.sample(batch.size, randomness.generator(Purpose.LABELS))[batch.rows]
        if self.strict:
            # The equivariant head's loss on a turned image and its label equals that on the upright one and label 0.
            labels = torch.zeros_like(labels)
        augmented = self.augmentation.apply(batch.images, uniforms)
        images = self.task.apply(augmented, labels, randomness.own(Purpose.NUISANCE))
        labels = labels.reshape(len(labels), -1)
        if self.class_information is not None:
            assert batch.labels is not None  # because of `uses_labels`
            labels = torch.cat([labels, batch.labels[:, None].long()], 1)
        return images, labels.to(images.device)

    def loss(self, network: Network, views: tuple[Float[Tensor, "B C H W"], Int[Tensor, "B L"]]) -> dict[str, Term]:
        """The cross-entropy of every head in nats; that of the class has a column of its own.

        The class's has no weight here: its gradient is weighted where it enters the features.
        """
        images, labels = views
        # Labels are uniform, so log|A| - loss is a lower bound on I(A; Z), in nats.
        terms = {}
        for (name, logits), label in zip(self.logits(network(images)).items(), labels.unbind(1), strict=True):
            right = predicted(logits, label).sum()
            terms[name] = Term(prediction_loss(logits, label), right, separate=name == "class")
        return terms

    def logits(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """The logits of every head on regular features, ``(B, labels)``, by task, and last those of the ``class``."""
        parts = zip(self.task.components, self.heads, strict=True)
        found = {part.name: head(features) for part, head in parts}
        return found if self.class_information is None else found | {"class": self.class_information(features)}

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """The logits of every head."""
        return self.logits(features)

    def param_groups(self, network: Network) -> list[dict[str, Any]]:
        """Backbone and heads, and the class head for itself.

        So the class head's own gradient does not shorten the backbone's step where gradients are clipped: at a weight
        of 0 it is an observer.
        """
        groups: list[dict[str, Any]] = [{"params": [*network.parameters(), *self.heads.parameters()]}]
        own = self.class_information
        return groups if own is None else [*groups, {"params": list(own.parameters())}]

    @property
    def pose(self) -> nn.Module | None:
        """What predicts the pose, for canonical features; None if no head learns all rotations of the group."""
        # A rotation that is no label of its own is summed up with another in one logit: as many labels are not enough.
        rotations = set(range(self.group.rotations))
        return next(
            (
                head.pose
                for head in self.heads
                if isinstance(head, EquivariantHead) and rotations <= {coset[0] for coset in head.cosets}
            ),
            None,
        )
