"""What is pretrained: a backbone and a prediction head for each task."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone, create_model
from eqmodels.checks import check_count
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.heads import HEADS, EquivariantHead, create_head
from eqmodels.objectives import ClassInformation
from eqmodels.options import options_of
from eqmodels.tasks import Task, create_task
from eqmodels.training.config import PretrainConfig

__all__ = ["EsslModel", "build_model", "is_strict"]


class EsslModel(nn.Module):
    """A backbone and one head a task: images to the logits of every task, and of the class if there is a head for it.

    Heads read the *regular* features, the mean of the last map over space, ``|G| fields`` channels: invariant ones know
    nothing of the pose.

    Args:
        backbone: the encoder that is pretrained.
        heads: one module a task, ``(B, channels) -> (B, labels)``.
        class_information: the class head, which adds class information or eliminates it; None for none.
    """

    def __init__(
        self, backbone: Backbone, heads: list[nn.Module], class_information: ClassInformation | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(heads)
        self.class_information = class_information

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Regular features, group-major."""
        return self.backbone.forward_features(images).mean((-2, -1))

    def forward(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        """Logits of every task, ``(B, labels)`` each, and last of the class, if there is a head for it."""
        features = self.features(images)
        logits = tuple(head(features) for head in self.heads)
        return logits if self.class_information is None else (*logits, self.class_information(features))

    def separate_parameters(self) -> list[list[nn.Parameter]]:
        """The parameters that learn the tasks, and those of the class head if there is one."""
        parts: list[list[nn.Parameter]] = [[*self.backbone.parameters(), *self.heads.parameters()]]
        return parts if self.class_information is None else [*parts, list(self.class_information.parameters())]

    @property
    def pose(self) -> nn.Module | None:
        """What predicts the pose, for canonical features; None if no head learns all rotations of the group."""
        # A rotation that is no label of its own is summed up with another in one logit: as many labels are not enough.
        rotations = set(range(self.backbone.group.rotations))
        return next(
            (
                head.pose
                for head in self.heads
                if isinstance(head, EquivariantHead) and rotations <= {coset[0] for coset in head.cosets}
            ),
            None,
        )


def is_strict(config: PretrainConfig, task: Task) -> bool:
    """Whether images need not be turned: the one head is equivariant and every label moves pixels to pixels.

    Of several tasks at once, each head sees what all of them did, so its loss depends on the other labels too.
    """
    exact = task.group is not None and all(task.group.is_exact(g) for g in task.elements)
    # A class head is not equivariant: its loss on an upright image is not that on the turned one. From upright images
    # it would learn to read the class in one pose, and eliminate it from the features of that pose only. A weight of 0
    # is no exception: it is a point of the curve over weights, which are to differ in nothing else.
    alone = len(task.components) == 1 and config.class_weight is None
    return config.turn == "auto" and config.head == "equivariant" and exact and alone


def build_model(config: PretrainConfig, channels: int, num_classes: int = 0) -> tuple[EsslModel, Task]:
    """The network of a config, with random weights, and its task.

    Args:
        config: names the model, the task and the head.
        channels: of the images.
        num_classes: of the images, for a class head; without one it does not matter.

    Raises:
        ValueError: if a name is unknown, the head does not fit the task and the backbone, or there are fewer than two
            classes for a class head.
        TypeError: if the backbone has no such norm.
    """
    task = create_task(config.task, preset=config.preset)
    # The standard networks have batch norm alone, and no such option.
    options = {} if config.norm == "batch" else {"norm": config.norm}
    try:
        backbone = create_model(config.model, in_chans=channels, num_classes=0, **options)
    except TypeError as error:
        raise ValueError(f"model={config.model!r} cannot have norm={config.norm!r}: {error}") from error
    if config.head == "equivariant" and len(task.components) > 1:
        raise ValueError(
            f"an equivariant head predicts one task, as a flip before a turn changes what the turn looks like; got "
            f"task={config.task!r}. Use task='dihedral', or head='mlp'."
        )
    if config.head == "equivariant":
        check_count("head_hidden", config.head_hidden, backbone.group.order)
    features = backbone.feature_info[-1]["num_chs"]
    options_of_head = {"hidden": config.head_hidden, "dropout": config.head_dropout}
    options_of_head = {
        name: options_of_head[name] for name in options_of(HEADS.find(config.head)) if name in options_of_head
    }
    heads = [
        create_head(config.head, backbone.map_field, _label_field(part), **options_of_head) for part in task.components
    ]
    if config.class_weight is None:
        return EsslModel(backbone, heads), task
    # Last, so that backbone and heads have the weights that they have without it.
    class_information = ClassInformation(features, num_classes, weight=config.class_weight, hidden=config.class_hidden)
    return EsslModel(backbone, heads, class_information), task


def _label_field(task: Task) -> Field:
    """How a task's labels change when the image moves."""
    return Scalars(task.num_labels) if task.group is None else Regular(task.group, 1, task.elements)
