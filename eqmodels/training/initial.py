"""Weights that a pretraining begins with instead of random ones: of the zoo, of a run, or of a network's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.backbones.describe import name_of
from eqmodels.backbones.formats import read_network_config
from eqmodels.backbones.input_channels import with_channels
from eqmodels.backbones.loading import BACKBONE, load_folder
from eqmodels.backbones.named import CHANGEABLE
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.width import with_width
from eqmodels.objectives import Objective
from eqmodels.remote import locate
from eqmodels.storage import CONFIG, WEIGHTS, read_weights
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError
from eqmodels.training.formats import nested
from eqmodels.training.models import model_options
from eqmodels.training.parts import ModelConfig, ObjectiveConfig

__all__ = ["InitialWeights", "initial_model", "initial_weights"]


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """Weights to begin with.

    Attributes:
        name: where they are from.
        encoder: the network whose they are.
        others: the other tensors of a run's file, such as ``heads.0...``, by name.
        objective: what the run was pretrained for; None of a network alone.
        taken: the modules beside the backbone that have got weights so far, such as ``"heads.0"``.
    """

    name: str
    encoder: StagedNetwork | PointBackbone
    others: Mapping[str, Tensor]
    objective: ObjectiveConfig | None
    taken: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """Where the weights are from, whose they are, and which of the run's found no place."""
        left = sorted({_part_of(name) for name in self.others} - {*self.taken})
        return f"{self.name}: {', '.join(('backbone', *self.taken))}" + (
            f", without its {', '.join(left)}" if left else ""
        )

    def put_into(self, backbone: Backbone | PointBackbone) -> None:
        """Gives a backbone these weights, all but those of pooling and of the classifier behind it.

        Lifting filters are adapted to the channels of its images, and weights of a narrower network to the width, where
        this is a multiple of theirs, see `with_width`; points must have as many numbers as those there.

        Raises:
            ValueError: if it is another network.
        """
        theirs, own = self.encoder, str(name_of(backbone))
        here, there = ({k: v for k, v in one.structure.items() if k not in CHANGEABLE} for one in (backbone, theirs))
        if isinstance(theirs, Backbone) and there | {"width": None} == here | {"width": None}:
            wider, narrower = here.get("width"), there.get("width")
            if wider != narrower and isinstance(wider, int) and isinstance(narrower, int) and wider % narrower == 0:
                theirs, there = with_width(theirs, wider), here
        if type(theirs) is not type(backbone) or here != there:
            name = str(name_of(theirs))
            odd = [f"{k}={there.get(k)!r}" for k in {**here, **there} if here.get(k) != there.get(k)]
            difference = f", with {', '.join(odd)}" if name == own else ""
            raise ValueError(
                "init must be the network that is pretrained, or one whose width divides its own; "
                f"{self.name} is a {name}{difference}, and model is {own}. Pass model={name!r} and the options of its "
                "layers, or leave out init (--init)."
            )
        if isinstance(theirs, PointBackbone):
            if theirs.in_chans != backbone.in_chans:
                raise ValueError(
                    f"init must be of points of {backbone.in_chans} numbers, as model is; {self.name} is of "
                    f"{theirs.in_chans}. Leave out init (--init)."
                )
            taken = {name: v for name, v in theirs.state_dict().items() if not name.startswith(("global_pool.", "fc."))}
        else:
            assert isinstance(backbone, StagedNetwork), "networks of two types were refused"
            adapted = with_channels(theirs, backbone.in_chans).state_dict()
            stages = tuple(f"{stage}." for stage in backbone.stages)
            taken = {name: value for name, value in adapted.items() if name.startswith(stages)}
        backbone.load_state_dict(backbone.state_dict() | taken)

    def put_into_heads(self, objective: Objective, config: ObjectiveConfig) -> None:
        """Gives the modules of an objective the weights of the run's, where these are of the same task and shape.

        Args:
            objective: whose modules learn beside the backbone.
            config: of it.
        """
        if self.objective is None or _meaning(self.objective) != _meaning(config):
            return
        own: dict[str, Tensor] = objective.state_dict()
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in own.items():
            parts.setdefault(_part_of(name), {})[name] = value
        for part, tensors in parts.items():
            if all(name in self.others and self.others[name].shape == value.shape for name, value in tensors.items()):
                with torch.no_grad():
                    for name, value in tensors.items():
                        value.copy_(self.others[name])
                self.taken.append(part)


def _part_of(name: str) -> str:
    """The module that has a tensor; heads are a list, of which each fits or does not."""
    first, second, *_ = (*name.split("."), "")
    return f"{first}.{second}" if second.isdecimal() else first


def _meaning(config: ObjectiveConfig) -> tuple[object, ...]:
    """What the outputs of an objective's heads mean."""
    return config.name, *(config.options.get(name) for name in ("task", "preset"))


def initial_weights(model: ModelConfig) -> InitialWeights | None:
    """The weights that a config names; None if it names none.

    Raises:
        TrainingError: if the weights there are others than those of the config.
        StorageError: if they cannot be had, or are not what they should be.
        ValueError: if there is no such network.
    """
    if model.init is None:
        return None
    folder = locate(model.init).folder
    content = read_network_config(folder / CONFIG)
    if model.init_sha256 not in (None, content["sha256"]):
        raise TrainingError(
            f"{model.init} holds other weights, of sha256 {content['sha256'][:12]}..., than this run begins with, of "
            f"{str(model.init_sha256)[:12]}.... Fetch these, or begin another run without init_sha256."
        )
    encoder, objective = load_folder(folder), None
    if not isinstance(encoder, StagedNetwork | PointBackbone):
        raise ValueError(f"init must be an encoder; {model.init} holds another network. Leave out init (--init).")
    others: dict[str, Tensor] = {}
    if "pretraining" in content:
        state = read_weights(folder / WEIGHTS, content["sha256"])
        others = {name: value for name, value in state.items() if not name.startswith(BACKBONE)}
        try:
            objective = PretrainConfig.from_dict(content["pretraining"]).objective
        except (ValueError, TypeError):  # of somebody's own objective, which is not registered here: the backbone alone
            others = {}
    return InitialWeights(model.init, encoder, others, objective)


def initial_model(name: str) -> dict[str, Any]:
    """The part ``model`` of a config for the network of that name, as it lies there.

    Args:
        name: of the zoo, a folder, or ``hub:...``.

    Raises:
        StorageError: if it cannot be had, or is not what it should be.
        ValueError: if there is no such network.
    """
    content = read_network_config(locate(name).folder / CONFIG)
    if "pretraining" in content:
        model = nested(content["pretraining"])["model"]
        return {key: value for key, value in model.items() if key in ("name", "options")}
    arguments = content["model_args"]
    known = model_options(content["architecture"], backend=arguments.get("backend"))
    return {"name": content["architecture"], "options": {k: v for k, v in arguments.items() if k in known}}
