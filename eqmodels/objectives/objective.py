"""What a network is pretrained for: the protocol between the trainer and every objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.backbones.named import Takes
from eqmodels.data import Source
from eqmodels.objectives.network import Network
from eqmodels.objectives.randomness import Randomness

__all__ = ["Batch", "Objective", "Term"]


@dataclass(frozen=True, eq=False)
class Batch:
    """The images of one step that this process computes.

    What is random for an image is drawn for the whole global batch, with generators that all processes share, and then
    cut: ``draw(batch.size, randomness.generator(purpose))[batch.rows]``. A run then does not depend on the number of
    its processes.

    Attributes:
        images: pixels in [0, 1], on the device that computes.
        labels: the classes of these images, on the CPU; None unless the objective says that it uses labels.
        size: images of the global batch, over all processes.
        rows: which rows of the global batch these images are.
    """

    images: Float[Tensor, "B C H W"]
    labels: Int[Tensor, " B"] | None
    size: int
    rows: slice


class Term(NamedTuple):
    """One summand of what is minimised, and what the log tells of it.

    Attributes:
        loss: a scalar, the mean over the images.
        correct: how many of the images were predicted right, a count, for the column ``accuracy_<name>``; None for no
            such column.
        separate: whether the loss has a column of its own, ``<name>_loss``, instead of counting into the column
            ``loss``; its gradient counts in either case.
    """

    loss: Float[Tensor, ""]
    correct: Tensor | None = None
    separate: bool = False

    def detached(self) -> Term:
        """The same numbers without their graph."""
        correct = None if self.correct is None else self.correct.detach()
        return Term(self.loss.detach(), correct, self.separate)


class Objective(nn.Module, ABC):
    """A pretraining objective: how views are made of images, and what is minimised over them.

    A subclass is registered with `register_objective`. Its arguments are ``(backbone, num_classes, *, options)``: the
    encoder that is pretrained (asked for its group and width; it must not become a child of the objective), the number
    of classes of the images (0 if unknown), and options with defaults, documented under ``Args:``, which configs and
    the command line take. Modules that learn with the backbone are its children; their state is saved beside the
    backbone's. A teacher that stays as it was built is kept in `Frozen`, one that moves in `Moving`. It must be
    buildable on the device ``meta``.

    Attributes:
        takes: what the encoder is shown: ``"images"``, or ``"points"``, clouds that come as `LabelledClouds` has them.
        optimisation: by name, the values of a config's optimisation that fit the objective: a config that names the
            objective, and no optimiser, has them where it does not say others. They hold together, so that whoever
            names an optimiser chooses all of them.
        uses_labels: whether batches are to hold the classes of their images.
        scaffold: names of children that training alone needs: checkpoints have them, the file of a finished run does
            not, and of a run that is loaded from it they are None.
        kept_passes: passes over the images whose views are kept in memory; those after them show the same views in the
            same batches, so that what is slow to make is made once. 0 for new views in every pass.
    """

    takes: ClassVar[Takes] = "images"
    optimisation: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    uses_labels: bool = False
    scaffold: tuple[str, ...] = ()
    kept_passes: int = 0

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuses values that break a rule or do not go together, before anything is loaded or built.

        Args:
            options: all of them, by name; defaults filled in, and of the right types.

        Raises:
            ValueError: if they do.
        """

    @classmethod
    def settled(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options that a run begins with and writes down, where a value means that something is to be asked for.

        No file is read by it: what a run wrote down is settled.

        Args:
            options: all of them, by name.

        Raises:
            ValueError, ModuleNotFoundError, StorageError: if it cannot be found out.
        """
        return options

    @classmethod
    def seen_size(cls, options: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG003
        """Height and width of what the network is given, which its preprocessing is to give it afterwards.

        Args:
            options: all of them, by name.
            size: height and width of the training images; an objective that cuts others out of them says which.
        """
        return size

    def check(self, data: Source) -> None:
        """Refuses training images that the objective cannot be asked about, before the first step.

        Raises:
            ValueError: if it cannot.
        """

    @abstractmethod
    def views(self, batch: Batch, randomness: Randomness) -> Any:  # noqa: ANN401 (each objective has its own)
        """What `loss` takes of the images of one step: augmented, transformed, labelled.

        Args:
            batch: the images.
            randomness: where every random number comes from.

        Returns:
            A tensor, or tensors in tuples, lists and dicts, each with as many rows as images, or a multiple: a step
            that is computed in parts cuts every tensor along its first axis.
        """

    @abstractmethod
    def loss(self, network: Network, views: Any) -> dict[str, Term]:  # noqa: ANN401
        """What is minimised: the sum of all terms. Runs under autocast, compiled or replicated if the run is.

        Args:
            network: the network that learns; takes pixels in [0, 1], any number of times.
            views: of `views`, or a part of their rows.

        Returns:
            The terms by name, always the same names in the same order. Logarithms want float32.
        """

    def param_groups(self, network: Network) -> list[dict[str, Any]]:
        """What the optimiser trains, as it takes it; every group's gradient is clipped for itself.

        Args:
            network: the network that learns.
        """
        every = [*network.parameters(), *self.parameters()]
        return [{"params": [parameter for parameter in every if parameter.requires_grad]}]

    def after_step(self, network: Network) -> None:
        """Called after every step of the optimiser, such as to move a teacher, a `Moving`, after the network.

        Args:
            network: the network that learned.
        """

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:  # noqa: ARG002
        """What its heads make of regular features, by name: those of a fixed image are stored with the weights.

        So that weights of heads that were exchanged, or that another version reads otherwise, are found out when a run
        is loaded. An objective without this method stores nothing of its heads.

        Args:
            features: of the backbone, see `StagedNetwork.regular_features`; in eval mode, without gradients.

        Returns:
            Tensors of one row an image.
        """
        return {}

    @property
    def pose(self) -> nn.Module | None:
        """What predicts the pose of regular features, for canonical ones: a logit an element of the group."""
        return None
