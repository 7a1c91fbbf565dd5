"""The networks as models of transformers: ``Auto...`` classes, pipelines and Trainer load, run and save our folders.

A model is made of two classes: one of `transformers_classes`, which knows our files, and transformers' own, which is
imported when it is needed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch

from eqmodels.backbones.describe import check_bounds
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import build_for_images, resolve
from eqmodels.hub.transformers_classes import Classifier, FeatureModel, ImageProcessor, MapModel, Model
from eqmodels.storage import CONFIG, MODEL_TYPE, check_config

__all__ = ["register_transformers"]


def register_transformers() -> dict[str, type[Any]]:
    """Makes our folders and repositories known to transformers; none holds code that ``trust_remote_code`` would run.

    ``AutoConfig``, ``AutoModel``, ``AutoModelForImageClassification``, ``AutoBackbone``, ``AutoImageProcessor`` and the
    pipelines then take what ``save_pretrained``, `eqmodels pretrain` and `eqmodels publish` write. Files are checked as
    by `eqmodels.load`, and ``save_pretrained`` writes what `eqmodels.load` reads.

    Returns:
        The classes, by their names: ``EqmodelsConfig``, ``EqmodelsModel``, ``EqmodelsForImageClassification``,
        ``EqmodelsBackbone`` and ``EqmodelsImageProcessor``.

    Raises:
        ModuleNotFoundError: if transformers is not installed.
    """
    return dict(_registered())


@cache
def _registered() -> Mapping[str, type[Any]]:
    """The classes, made and registered once."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("transformers is not installed; run: pip install transformers") from error

    config = _config_class()

    def model(name: str, kind: type[Model]) -> type[Any]:
        return type(name, (kind, transformers.PreTrainedModel), {"__module__": __name__, "config_class": config})

    processor = type(
        "EqmodelsImageProcessor", (ImageProcessor, transformers.BaseImageProcessor), {"__module__": __name__}
    )
    classes: dict[str, type[Any]] = {
        "EqmodelsConfig": config,
        "EqmodelsModel": model("EqmodelsModel", FeatureModel),
        "EqmodelsForImageClassification": model("EqmodelsForImageClassification", Classifier),
        "EqmodelsBackbone": model("EqmodelsBackbone", MapModel),
        "EqmodelsImageProcessor": processor,
    }
    transformers.AutoConfig.register(MODEL_TYPE, config, exist_ok=True)
    transformers.AutoModel.register(config, classes["EqmodelsModel"], exist_ok=True)
    for_images = transformers.AutoModelForImageClassification
    for_images.register(config, classes["EqmodelsForImageClassification"], exist_ok=True)
    transformers.AutoBackbone.register(config, classes["EqmodelsBackbone"], exist_ok=True)
    register = transformers.AutoImageProcessor.register
    if "image_processor_classes" in inspect.signature(register).parameters:
        register(config, image_processor_classes={"pil": processor, "torchvision": processor}, exist_ok=True)
    else:  # before version 5
        register(config, slow_image_processor_class=processor, exist_ok=True)
    return classes


def __getattr__(name: str) -> type[Any]:
    """The classes by their names, as pickle looks for them.

    Raises:
        AttributeError: if there is no such name.
    """
    if name.startswith("Eqmodels") and name in (classes := _registered()):
        return classes[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _config_class() -> type[Any]:
    """What transformers calls a configuration, for what our ``config.json`` says."""
    from transformers import PretrainedConfig

    try:
        from transformers.backbone_utils import BackboneConfigMixin
    except ModuleNotFoundError:  # before version 5
        from transformers.utils.backbone_utils import BackboneConfigMixin

    class EqmodelsConfig(BackboneConfigMixin, PretrainedConfig):  # type: ignore[misc]  # transformers is untyped here
        """A network by its name and the options that the name does not say; the rest follows from it."""

        model_type = MODEL_TYPE

        def __init__(
            self,
            architecture: str = "c4_resnet18s",
            model_args: Mapping[str, Any] | None = None,
            out_features: Sequence[str] | None = None,
            out_indices: Sequence[int] | None = None,
            **options: Any,  # noqa: ANN401
        ) -> None:
            super().__init__(**options)
            self.architecture, self.model_args = architecture, dict(model_args or {})
            network = _outline(architecture, self.model_args)
            self.num_channels = network.in_chans
            self.stage_names = list(network.stages)
            self.hidden_sizes = [info["num_chs"] for info in network.feature_info]
            self.hidden_size = self.hidden_sizes[-1]
            if out_indices is None:
                self.out_features = list(out_features or self.stage_names[-1:])
            else:
                self.out_indices = list(out_indices)

        @classmethod
        def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> EqmodelsConfig:  # noqa: ANN401
            chosen = "num_labels" in kwargs or "id2label" in kwargs
            config: EqmodelsConfig = super().from_dict(_in_their_words(config_dict, classes=not chosen), **kwargs)
            return config

    EqmodelsConfig.__module__, EqmodelsConfig.__qualname__ = __name__, EqmodelsConfig.__name__
    return EqmodelsConfig


def _outline(architecture: str, model_args: Mapping[str, Any]) -> StagedNetwork:
    """A network without weights, whose name may stand in somebody's file: nothing is imported for it.

    Raises:
        ValueError: if it is no network, or is too large for a file.
        TypeError: if it has no such option.
    """
    name, _ = resolve(architecture, plugins=False)
    check_bounds(name, model_args)
    with torch.device("meta"):
        return build_for_images(architecture, plugins=False, num_classes=0, **model_args)


def _in_their_words(content: Mapping[str, Any], *, classes: bool) -> dict[str, Any]:
    """What transformers wants to know of our ``config.json``; what it wrote itself stays as it is.

    Args:
        content: of the file.
        classes: whether the classes of the file count.

    Raises:
        StorageError: if it breaks a rule of our files.
    """
    if "pretrained_cfg" not in content:
        return dict(content)
    check_config({name: value for name, value in content.items() if not name.startswith("_")}, CONFIG)
    arguments = {name: value for name, value in content["model_args"].items() if name != "num_classes"}
    words = {"architecture": content["architecture"], "model_args": arguments}
    if classes:
        names = content["pretrained_cfg"].get("label_names") or [f"LABEL_{i}" for i in range(content["num_classes"])]
        words |= {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    return words
