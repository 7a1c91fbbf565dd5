"""What is pretrained: a network and its objective, wrapped together where they are compiled or replicated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, create_model
from eqmodels.objectives import Moving, Network, Objective, Term, create_objective
from eqmodels.training.config import PretrainConfig
from eqmodels.training.initial import InitialWeights
from eqmodels.transforms import Preprocessing

__all__ = ["Learner", "build_learner", "kept_state", "load_moving_state", "moving_state", "without_scaffold"]


class Learner(nn.Module):
    """A network and its objective: from views to the terms of the loss.

    Its state has the names of the backbone's tensors with ``backbone.`` before them, and those of the objective's as
    they are (``heads.``, ``class_information.``): that of a file of weights.

    Args:
        network: what learns.
        objective: what it learns for, with the modules that learn beside it.

    Raises:
        ValueError: if the objective has a child called ``backbone``, whose tensors' names would be the backbone's.
    """

    def __init__(self, network: Network, objective: Objective) -> None:
        super().__init__()
        if "backbone" in dict(objective.named_children()):
            raise ValueError(
                f"{type(objective).__name__} must have no child called 'backbone', as the network's is; got one. Use "
                "the network that loss is given, and keep teachers in Frozen or Moving under another name."
            )
        self.network, self.objective = network, objective

    @property
    def backbone(self) -> Backbone | Any:  # noqa: ANN401
        """The encoder that is pretrained: a `Backbone`, or a `PointBackbone`."""
        return self.network.backbone

    def forward(self, views: Any) -> dict[str, Term]:  # noqa: ANN401 (each objective has its own)
        """The terms of the loss, by name."""
        return self.objective.loss(self.network, views)

    def state_dict(self, *arguments: Any, **options: Any) -> dict[str, Tensor]:  # type: ignore[override]  # noqa: ANN401
        """The tensors by the names that files have."""
        return {_written(name): value for name, value in super().state_dict(*arguments, **options).items()}

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True, assign: bool = False) -> Any:  # noqa: ANN401
        """Takes on what `state_dict` gave.

        Raises:
            RuntimeError: if it is that of another network, unless `strict` is False.
        """
        own = {_own(name): value for name, value in state.items()}
        return super().load_state_dict(own, strict=strict, assign=assign)


def kept_state(learner: Learner) -> dict[str, Tensor]:
    """The tensors that the file of a finished run has: all but those of the objective's `scaffold`."""
    dropped = learner.objective.scaffold
    return {name: value for name, value in learner.state_dict().items() if name.partition(".")[0] not in dropped}


def without_scaffold(learner: Learner) -> Learner:
    """The same learner, of which nothing is left that the file of a finished run does not have."""
    for name in learner.objective.scaffold:
        setattr(learner.objective, name, None)
    return learner


def moving_state(objective: Objective) -> dict[str, dict[str, Tensor]]:
    """The state of each teacher of an objective that moves, by its place in it: what checkpoints add to the model."""
    return {name: teacher.module.state_dict() for name, teacher in _moving(objective).items()}


def load_moving_state(objective: Objective, state: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Puts the teachers of an objective that move where `moving_state` had them.

    Raises:
        RuntimeError: if it is that of other teachers.
    """
    teachers = _moving(objective)
    if odd := sorted(teachers.keys() ^ state.keys()):
        raise RuntimeError(f"the teacher {odd[0]!r} is {'not in it' if odd[0] in teachers else 'in it alone'}")
    for name, teacher in teachers.items():
        teacher.module.load_state_dict(state[name])


def _moving(objective: Objective) -> dict[str, Moving]:
    return {name: module for name, module in objective.named_modules() if isinstance(module, Moving)}


def _written(name: str) -> str:
    return name.removeprefix("network.").removeprefix("objective.")


def _own(name: str) -> str:
    return f"network.{name}" if name.startswith("backbone.") else f"objective.{name}"


def build_learner(
    config: PretrainConfig, preprocessing: Preprocessing, num_classes: int = 0, initial: InitialWeights | None = None
) -> Learner:
    """The network and the objective of a config, with random weights or those to begin with.

    Args:
        config: names them.
        preprocessing: of the images; has as many means as they have channels.
        num_classes: of the images; 0 if they have none.
        initial: weights to begin with; None for random ones, whatever the config names.

    Raises:
        ValueError: if a name is unknown, the objective does not fit the backbone, or the weights are of another one.
        TypeError: if the backbone has no such option.
    """
    check_arguments(build_learner, locals())
    model, objective = config.model, config.objective
    backbone = create_model(model.name, in_chans=len(preprocessing.mean), num_classes=0, **model.options)
    if initial is not None:  # before the objective is made, which may copy the backbone
        initial.put_into(backbone)
    memory_format = torch.channels_last if config.run.channels_last else torch.contiguous_format
    network = Network(backbone, preprocessing, memory_format)
    made = create_objective(objective.name, backbone, num_classes, **objective.options)
    if initial is not None:
        initial.put_into_heads(made, objective)
    return Learner(network, made)
