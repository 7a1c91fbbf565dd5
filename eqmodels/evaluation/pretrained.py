"""An encoder with the heads that it was pretrained with: what evaluation reads of a run, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import nn

from eqmodels.backbones import Encoder
from eqmodels.layers import GlobalPoolMode
from eqmodels.objectives import ClassInformation
from eqmodels.tasks import Task
from eqmodels.transforms import Preprocessing

__all__ = ["Pretrained", "SavedConfig"]


@runtime_checkable
class SavedConfig(Protocol):
    """What decides a training, in a form that files have."""

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""


@runtime_checkable
class Pretrained(Protocol):
    """A pretrained network, its heads and what is known of its training; `eqmodels.training.Run` is one.

    Attributes:
        name: of the network.
        sha256: of its file of weights; empty if it has none.
        config: of the training.
        task: what the heads predict.
        heads: one a component of the task, from regular features ``(B, C)`` to its logits.
        class_information: the class head; None if there is none.
        pose: from regular features to one logit an element of the encoder's group; None if no head predicts the pose.
        preprocessing: what images go through first.
        augmentation: of the training images, as `create_augmentation` takes it.
        log: one row an epoch, with ``accuracy_<task>``.
        provenance: of the training; under ``data`` the names of the ``classes``.
    """

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def sha256(self) -> str:
        """Of its file of weights; empty if it has none."""

    @property
    def config(self) -> SavedConfig:
        """What decided the training."""

    @property
    def task(self) -> Task:
        """What the heads predict."""

    @property
    def heads(self) -> Iterable[nn.Module]:
        """One a component of the task, from regular features to its logits."""

    @property
    def class_information(self) -> ClassInformation | None:
        """The class head; None if there is none."""

    @property
    def pose(self) -> nn.Module | None:
        """From regular features to one logit an element of the group; None if no head predicts the pose."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What images go through first."""

    @property
    def augmentation(self) -> str:
        """That of the training images."""

    @property
    def log(self) -> Sequence[Mapping[str, Any]]:
        """One row an epoch."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, machine and data of the training."""

    def encoder(self, global_pool: GlobalPoolMode = "invariant") -> Encoder:
        """The encoder alone, in eval mode; with ``"regular"`` its features are those that the heads read."""
