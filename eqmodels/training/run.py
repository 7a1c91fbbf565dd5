"""A finished run on the disk: weights as safetensors, and what is needed to use them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.backbones.describe import check_bounds, check_description, describe_network, preprocessing_from
from eqmodels.backbones.formats import network_config
from eqmodels.backbones.golden import check_golden, golden_features
from eqmodels.backbones.overwritten import to_be_overwritten
from eqmodels.backbones.registry import resolve
from eqmodels.fields import Regular
from eqmodels.layers import GlobalPoolMode
from eqmodels.layers.pool import reads_pose
from eqmodels.objectives import ClassInformation, Objective, Prediction
from eqmodels.registry import UnknownNameError, without_imports
from eqmodels.storage import (
    CONFIG,
    WEIGHTS,
    NetworkFolder,
    StorageError,
    check_layout,
    fault_of,
    pack_weights,
    printable,
    reason_of,
    write_network,
)
from eqmodels.tasks import Task, Unasked
from eqmodels.training.checkpoint import last_checkpoint, open_checkpoint, progress_of
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import NoRunError, TrainingError
from eqmodels.training.formats import nested
from eqmodels.training.images import marks_of
from eqmodels.training.learner import Learner, build_learner, kept_state, load_moving_state, without_scaffold
from eqmodels.training.log import Row
from eqmodels.training.parts import ModelConfig
from eqmodels.transforms import Preprocessing

__all__ = ["Run", "check_run", "check_savable", "load_run", "load_unfinished", "save_run"]


@dataclass
class Run:
    """A pretrained network and where it comes from.

    Attributes:
        config: of the run.
        model: network and objective, in eval mode.
        preprocessing: what images go through first.
        log: one row an epoch.
        provenance: versions, machine, duration and data of the training.
        sha256: of the file of weights.
    """

    config: PretrainConfig
    model: Learner
    preprocessing: Preprocessing
    log: list[Row]
    provenance: dict[str, Any]
    sha256: str = ""

    @property
    def backbone(self) -> Backbone | Any:  # noqa: ANN401
        """The encoder that was pretrained, a `Backbone` or a `PointBackbone`; it is the run's own, not a copy."""
        return self.model.backbone

    @property
    def objective(self) -> Objective:
        """What it was pretrained for, with the modules that learned beside it."""
        return self.model.objective

    @property
    def pose(self) -> nn.Module | None:
        """What predicts the pose of regular features, for canonical ones; None if nothing does."""
        return self.objective.pose

    @property
    def task(self) -> Task:
        """What the heads predict, `Unasked` of an objective that is no prediction."""
        return self.objective.task if isinstance(self.objective, Prediction) else Unasked()

    @property
    def heads(self) -> nn.ModuleList:
        """The heads of a prediction, one a component of the task; none of another objective."""
        return self.objective.heads if isinstance(self.objective, Prediction) else nn.ModuleList()

    @property
    def class_information(self) -> ClassInformation | None:
        """The class head of a prediction; None for none."""
        return self.objective.class_information if isinstance(self.objective, Prediction) else None

    @property
    def name(self) -> str:
        """The backbone's name."""
        return self.config.model.name

    @property
    def augmentation(self) -> str:
        """That of the training images, as `create_augmentation` takes it; ``"none"`` of an objective without one."""
        return str(self.config.objective.options.get("augment", "none"))

    def encoder(self, global_pool: GlobalPoolMode = "invariant", *, num_classes: int = 0) -> Backbone | Any:  # noqa: ANN401
        """The backbone alone, a copy in eval mode: from normalised images to feature vectors.

        Args:
            global_pool: how features are pooled; the canonical ways turn them back by the pose that the head predicts,
                of which ``"canonical"`` keeps it as it is in training and ``"canonical-soft"`` trains it too, as does
                ``"weighted"``, which weighs them by it.
            num_classes: outputs of a fresh classifier; 0 for features.

        Raises:
            ValueError: if the pooling is unknown, or reads the pose and no head predicts it.
        """
        encoder, pose = copy.deepcopy(self.model.backbone), None
        if encoder.takes == "points":
            return self._of_points(cast("PointBackbone", encoder), global_pool, num_classes)
        if reads_pose(global_pool):
            pose = copy.deepcopy(self.pose)
        encoder.reset_classifier(num_classes, global_pool, pose=pose)
        encoder.preprocessing = self.preprocessing
        return encoder.eval()

    def _of_points(self, encoder: PointBackbone, global_pool: str, num_classes: int) -> PointBackbone:
        """The encoder of points with such a pooling: ``"equivariant"`` are those that heads read, ``"regular"``."""
        words = {"regular": "equivariant"}
        mode: Any = None if isinstance(encoder.map_field, Regular) else words.get(global_pool, global_pool)
        pose: Any = copy.deepcopy(self.pose) if mode == "canonical" else None
        encoder.reset_classifier(num_classes, mode, pose=pose)
        encoder.preprocessing = self.preprocessing
        return encoder.eval()

    def description(self, *, license_name: str | None = None) -> dict[str, Any]:
        """What its config says of the encoder: canonical features, if a head predicts the pose.

        Args:
            license_name: of the weights; None for none, as nobody but their owner can say it.
        """
        return describe_network(self.described_encoder(), license_name=license_name)

    def described_encoder(self) -> Backbone | Any:  # noqa: ANN401
        """The encoder that a config tells of and `load` gives: canonical features, if a head predicts the pose."""
        # Of points, a pose is predicted by networks of a group alone.
        canonical = self.pose is not None and (self.backbone.takes == "points" or self.backbone.group.order > 1)
        return self.encoder("canonical" if canonical else "invariant")

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """What the heads make of regular features, by name, see `Objective.outputs`; on whatever device they are."""
        reference = next(self.objective.parameters(), features)
        return self.objective.outputs(features.to(reference.device, reference.dtype))

    def content(self) -> dict[str, Any]:
        """What `save_run` writes into the config.

        Raises:
            StorageError: if a feature of the fixed image is no finite number.
        """
        return {
            **self.description(),
            "golden": golden_features(self.described_encoder(), pooled=True, heads=self.outputs),
            "pretraining": self.config.to_dict(),
            "log": self.log,
            "provenance": self.provenance,
        }

    def image_marks(self) -> dict[str, object]:
        """What tells the images that it was trained on from others, see `marks_of`."""
        return marks_of(_data_of(self.provenance).get("images"), self.preprocessing)


def check_savable(run: Run) -> None:
    """Refuses a run that could not be saved when it is done.

    Args:
        run: as it is before its first step.

    Raises:
        TrainingError: if its config would break a rule of the file; names the rule.
        StorageError: if a feature of the fixed image is no finite number.
    """
    if fault := fault_of(run.content()):
        raise TrainingError(
            f"this run could not be saved when it is done, and was not started: {CONFIG} {fault}. Pass a value within "
            "the rule: pose_hidden is made of head_hidden, and sizes are those of the images."
        )


def save_run(folder: str | Path, run: Run) -> str:
    """Writes weights and config, both or none: a folder with a config is complete. Sets and returns the run's sha256.

    The tensors are those of `Learner`: ``backbone.`` and, of a prediction, ``heads.`` and ``class_information.``, but
    for those of the objective's `scaffold`; the config is that of the encoder (see `describe_network`) with
    ``pretraining``, ``log`` and ``provenance`` of the run.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if a weight is no finite number, or a file cannot be written.
    """
    check_arguments(save_run, locals())
    weights = pack_weights(kept_state(run.model))
    run.sha256 = write_network(Path(folder), weights, run.content())
    return run.sha256


def load_run(folder: str | Path | NetworkFolder) -> Run:
    """The network of a finished run, in eval mode on the CPU; checked before anything large is built.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if the folder is not that of a finished run, or a file of it is not what it should be; or if a
            name in it is not registered here.
    """
    check_arguments(load_run, locals())
    held = NetworkFolder.of(folder)
    if not held.has(CONFIG) or not held.has(WEIGHTS):
        raise StorageError(
            f"{folder} holds no finished run: it needs {CONFIG} and {WEIGHTS}. Name a folder that eqmodels pretrain "
            "wrote, once it is done."
        )
    content = network_config(held)
    if "pretraining" not in content:
        raise NoRunError(
            f"{folder} holds an encoder without the run that pretrained it. Use eqmodels.load({str(folder)!r})."
        )
    return held.once("run", lambda: _loaded(held, content))


def _loaded(folder: NetworkFolder, content: Mapping[str, Any]) -> Run:
    described = _described(folder, content)
    state = folder.weights()
    with to_be_overwritten():
        model = _learner(described.config, described.preprocessing, described.provenance).eval()
    model.load_state_dict(state)
    run = replace(described, model=model)
    check_golden(run.described_encoder(), content["golden"], str(folder.file(WEIGHTS)), run.outputs)
    return run


def check_run(folder: Path | NetworkFolder) -> None:
    """Refuses the folder of a run whose file holds other tensors than the network and the objective that it describes.

    Nothing is said of an encoder alone, nor of a run that names what is not registered here: an objective, a head, a
    task, an augmentation or an optimiser of somebody's own. No weight is read.

    Raises:
        StorageError: if a file cannot be read, or the config describes no run, another one, or other tensors.
    """
    held = NetworkFolder.of(folder)
    content = network_config(held)
    if "pretraining" not in content:
        return
    try:
        _described(held, content)
    except StorageError as error:
        if not isinstance(error.__cause__, UnknownNameError) or not _has_known_model(content["pretraining"]):
            raise


def _has_known_model(pretraining: Mapping[str, Any]) -> bool:
    """Whether the network that a run pretrained is one that is registered here, whatever else is not."""
    try:
        with without_imports():
            ModelConfig(**nested(pretraining)["model"])
    except (ValueError, TypeError):
        return False
    return True


def _described(folder: NetworkFolder, content: Mapping[str, Any]) -> Run:
    """The run that a folder's config describes, its model on the device ``meta``; the file has the model's tensors.

    Raises:
        StorageError: if the config describes no run or contradicts itself, or the file has other tensors.
    """
    return folder.once("described run", lambda: _checked(folder, content))


def _checked(folder: NetworkFolder, content: Mapping[str, Any]) -> Run:
    layout = folder.layout()
    try:
        config = PretrainConfig.from_dict(content["pretraining"])
        preprocessing = preprocessing_from(content["preprocessing"])
        if preprocessing is None:
            raise ValueError("a run has a preprocessing, and this one has none")
        with torch.device("meta"):
            model = _learner(config, preprocessing, content["provenance"])
    except (ValueError, TypeError) as error:
        way_out = " eqmodels.load gives the encoder." if isinstance(error, UnknownNameError) else ""
        raise StorageError(f"{folder.file(CONFIG)} describes no run: {error} Nothing was built.{way_out}") from error
    except ModuleNotFoundError as error:  # of escnn, as in `load_folder`
        raise StorageError(f"the network of {folder} cannot be built here: {error}") from error
    check_layout(folder.file(WEIGHTS), layout, model.state_dict())
    run = Run(config, model, preprocessing, content["log"], content["provenance"], content["sha256"])
    description = run.description(license_name=content["pretrained_cfg"].get("license"))
    check_description(description, content, folder.file(CONFIG), pooled=run.described_encoder().head_hidden_size)
    return run


def _learner(config: PretrainConfig, preprocessing: Preprocessing, sources: Mapping[str, Any]) -> Learner:
    """The model of a run's file with random weights, see `_built`; without what training alone needed."""
    return without_scaffold(_built(config, preprocessing, _num_classes(sources)))


def _built(config: PretrainConfig, preprocessing: Preprocessing, num_classes: int) -> Learner:
    """The model that a file describes, with random weights. Nothing is imported for it, whatever the file names.

    Raises:
        ValueError: if it is too large for a file, see `check_bounds`, or cannot be built.
    """
    with without_imports():
        name, _ = resolve(config.model.name)
        check_bounds(name, {**config.model.options, "in_chans": len(preprocessing.mean)})
        return build_learner(config, preprocessing, num_classes)


def _num_classes(sources: Mapping[str, Any]) -> int:
    """The classes of the data of a run; 0 if the provenance does not name them."""
    classes = _data_of(sources).get("classes")
    return len(classes) if isinstance(classes, list) else 0


def _data_of(sources: Mapping[str, Any]) -> dict[str, Any]:
    """What provenance says of the data; empty if it says nothing."""
    data = sources.get("data")
    return data if isinstance(data, dict) else {}


def load_unfinished(file: str | Path) -> Run:
    """The network of a checkpoint, of a run that is not done or was stopped, in eval mode on the CPU.

    Args:
        file: the checkpoint; or the folder of the run, whose last one that can be read counts, see `last_checkpoint`.

    Raises:
        TypeError: if an argument is of another type.
        TrainingError: if the file is no checkpoint, is damaged, does not say how images are normalised, or holds other
            tensors than the network that it describes; nothing large is built then. If it names what is not registered
            here, as nothing is imported because of a file.
    """
    check_arguments(load_unfinished, locals())
    found = last_checkpoint(Path(file)) if Path(file).is_dir() else None
    file, content, config = found or (Path(file), *open_checkpoint(Path(file)))
    try:
        preprocessing = preprocessing_from(content["images"])
        if preprocessing is None:
            raise ValueError("it does not say how images are normalised")
        classes = content["images"].get("classes", 0)
        with torch.device("meta"):
            _check_tensors(content["model"], _built(config, preprocessing, classes).state_dict())
        with to_be_overwritten():
            model = _built(config, preprocessing, classes)
        model.load_state_dict(content["model"])
        load_moving_state(model.objective, content.get("teachers", {}))
        progress = progress_of(content, model.objective)
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"{file} cannot be loaded ({reason_of(error)}). Let its run go on to the end first."
        ) from error
    return Run(config, model.eval(), preprocessing, progress.log, {"unfinished": True, "epochs": progress.epoch})


def _check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuses tensors of other names and shapes than a network has, before it is built.

    Args:
        found: those of a checkpoint.
        expected: those of the network, on the device ``meta``.

    Raises:
        ValueError: if they differ, or a tensor says that it is larger than what the file holds of it.
    """
    shapes, own = ({name: tuple(value.shape) for name, value in state.items()} for state in (found, expected))
    if odd := [name for name in {**own, **shapes} if own.get(name) != shapes.get(name)]:
        there, here = shapes.get(odd[0], "nothing"), own.get(odd[0], "nothing")
        raise ValueError(f"{printable(odd[0])} is {there} in it, and {here} in the network that it describes")
    for name, value in found.items():
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f"it holds less of {name} than its shape, {shapes[name]}, says")
