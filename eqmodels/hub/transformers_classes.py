"""What transformers' own classes of models and image processors are joined with, to read and write our folders."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone, create_model
from eqmodels.backbones.describe import preprocessing_from
from eqmodels.errors import shown
from eqmodels.hub.loading import load_for_images as load
from eqmodels.remote import HUB
from eqmodels.storage import CONFIG

__all__ = ["Classifier", "FeatureModel", "ImageProcessor", "MapModel", "Model"]

ENCODER = "encoder."
"""Before the names of the network's tensors inside a model of transformers; its file has them without."""

OF_THE_HUB = ("cache_dir", "force_download", "local_files_only", "revision", "token")
"""Options of loading that are ours too, under the same names."""

WITHOUT_EFFECT = (
    *("adapter_kwargs", "attn_implementation", "low_cpu_mem_usage", "trust_remote_code", "use_safetensors"),
    "weights_only",
)
"""Options that every model of transformers is given, and that change nothing here: our files hold no code."""

M = TypeVar("M", bound="Model")


class Model(nn.Module):
    """What our models have in common: the network as the child `encoder`, and our files."""

    base_model_prefix = "encoder"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    config: Any
    config_class: ClassVar[Any]
    post_init: Any
    encoder: Backbone

    def __init__(self, config: Any, encoder: Backbone | None = None) -> None:  # noqa: ANN401
        super().__init__(config)
        classes = self.wanted_classes()
        if encoder is None:
            encoder = create_model(config.architecture, num_classes=classes, **config.model_args)
        if encoder.num_classes != classes:
            encoder.reset_classifier(classes)
        self.encoder = encoder
        self.post_init()

    def wanted_classes(self) -> int:
        """Outputs of the network."""
        return 0

    @classmethod
    def check_classes(cls, encoder: Backbone, config: Any, replace: bool) -> None:  # noqa: ANN401
        """Refuses a loaded network whose classifier is not what the config says."""

    @classmethod
    def from_pretrained(
        cls: type[M],
        pretrained_model_name_or_path: str | Path,
        *_: Any,  # noqa: ANN401
        config: Any = None,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> M:
        """A pretrained network, strictly loaded and checked as by `eqmodels.load`, in eval mode.

        Args:
            pretrained_model_name_or_path: a folder, a repository ``organisation/name`` or a name of the zoo.
            *_: what other models of transformers are built of.
            config: None for that of the source.
            **options: `cache_dir`, `force_download`, `local_files_only`, `revision` and `token` of the Hub; `dtype` and
                `device_map` (one device); `ignore_mismatched_sizes`; or attributes of the config.

        Raises:
            TypeError: if there is no such option.
            ValueError: if the classifier is another than the config says, or `device_map` names several devices.
            StorageError: if the files cannot be had or are not what they should be.
        """
        source = str(pretrained_model_name_or_path)
        here = {name: options.pop(name) for name in OF_THE_HUB if options.get(name) is not None}
        dtype = options.pop("dtype", options.pop("torch_dtype", None))
        device, replace = _one_device(options.pop("device_map", None)), bool(options.pop("ignore_mismatched_sizes", 0))
        if not hasattr(config, "model_args"):
            config, options = cls.config_class.from_pretrained(source, return_unused_kwargs=True, **here, **options)
        unknown = [name for name in options if not name.startswith("_") and name not in (*OF_THE_HUB, *WITHOUT_EFFECT)]
        if unknown:
            raise TypeError(
                f"{cls.__name__}.from_pretrained has no option {unknown[0]!r}. Drop it, or use eqmodels.load."
            )
        encoder = load(f"{HUB}{source}" if "/" in source and not os.path.isdir(source) else source, **here)
        cls.check_classes(encoder, config, replace)
        model = cls(config, encoder).to(device=device, dtype=_type_of_numbers(dtype))
        return model.eval()

    def save_pretrained(
        self,
        save_directory: str | Path,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        push_to_hub: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Writes weights and config of the network, which `eqmodels.load` reads; classes have the config's names.

        Args:
            save_directory: is made if need be.
            is_main_process: whether this process is the one that writes.
            state_dict: what to write in the place of the model's own tensors.
            push_to_hub: whether to push to the Hub afterwards.
            **options: of ``push_to_hub``.

        Raises:
            StorageError: if a weight is no finite number, or a file cannot be written.
        """
        if not is_main_process:
            return
        encoder = copy.copy(self.encoder)
        if state_dict is not None:
            encoder = copy.deepcopy(self.encoder)
            encoder.load_state_dict({name.removeprefix(ENCODER): value for name, value in state_dict.items()})
        names = tuple(self.config.id2label[i] for i in range(encoder.num_classes))
        if any(name != f"LABEL_{i}" for i, name in enumerate(names)):
            encoder.classes = names
        encoder.save_pretrained(save_directory, push_to_hub=push_to_hub, **(options if push_to_hub else {}))

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """As every module; the names may be those of our files, as a Trainer finds them in its own checkpoints."""
        own = self.state_dict().keys()
        given = {name if name in own else f"{ENCODER}{name}": value for name, value in state_dict.items()}
        return super().load_state_dict(given, *arguments, **options)

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: a network draws its own weights when it is built."""

    def _set_gradient_checkpointing(self, enable: bool = True, *_: Any, **__: Any) -> None:  # noqa: ANN401
        self.encoder.set_grad_checkpointing(enable)

    def get_input_embeddings(self) -> None:
        """None: images are not embedded."""

    def ready(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The images where the weights are, in their type."""
        weight = next(self.encoder.parameters())
        return images.to(weight.device, weight.dtype)

    def maps_of(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        """The map of every stage, in order."""
        maps: Any = self.encoder.forward_intermediates(self.ready(images), intermediates_only=True)
        return tuple(maps)

    def wants(self, hidden_states: bool | None, return_dict: bool | None) -> tuple[bool, bool]:
        """Whether the maps of all stages are asked for, and a dictionary; None for what the config says."""
        config = self.config
        return (
            bool(config.output_hidden_states if hidden_states is None else hidden_states),
            bool(config.return_dict if return_dict is None else return_dict),
        )


class FeatureModel(Model):
    """Maps and pooled features: ``last_hidden_state`` and ``pooler_output``."""

    def forward(
        self,
        pixel_values: Float[Tensor, "B C H W"],
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The last feature map, the pooled features ``(B, F)`` and, if wanted, the map of every stage."""
        from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention as Output

        all_maps, as_dict = self.wants(output_hidden_states, return_dict)
        every = self.maps_of(pixel_values) if all_maps else None
        last = every[-1] if every else self.encoder.forward_features(self.ready(pixel_values))
        pooled = self.encoder.forward_head(last, pre_logits=True)
        output = Output(last_hidden_state=last, pooler_output=pooled, hidden_states=every)
        return output if as_dict else output.to_tuple()


class Classifier(Model):
    """Class scores, and the loss if there are labels."""

    loss_function: Any

    def wanted_classes(self) -> int:
        """Outputs of the network.

        Raises:
            ValueError: if the config has no classes.
        """
        if not self.config.num_labels:
            raise ValueError(
                f"a network for classification needs classes; that of {shown(self.config.architecture)} has none. Pass "
                "num_labels=10, say, for a fresh classifier, or use AutoModel for features."
            )
        return int(self.config.num_labels)

    @classmethod
    def check_classes(cls, encoder: Backbone, config: Any, replace: bool) -> None:  # noqa: ANN401
        """Refuses to drop a trained classifier, unless that is wished.

        Raises:
            ValueError: if the trained classifier has another number of classes than the config.
        """
        if encoder.num_classes not in (0, config.num_labels) and not replace:
            raise ValueError(
                f"the trained classifier has {encoder.num_classes} classes; got num_labels={config.num_labels}. Pass "
                "ignore_mismatched_sizes=True for a fresh one."
            )

    def forward(
        self,
        pixel_values: Float[Tensor, "B C H W"],
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Class scores, the loss if `labels` are given and, if wanted, the map of every stage."""
        from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention as Output

        all_maps, as_dict = self.wants(output_hidden_states, return_dict)
        every = self.maps_of(pixel_values) if all_maps else None
        logits = self.encoder.forward_head(every[-1]) if every else self.encoder(self.ready(pixel_values))
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        output = Output(loss=loss, logits=logits, hidden_states=every)
        return output if as_dict else output.to_tuple()


class MapModel(Model):
    """The maps of the stages that the config names, for detectors and segmenters."""

    has_attentions = False

    @property
    def stage_names(self) -> list[str]:
        """The names of the stages, in order."""
        return list(self.config.stage_names)

    @property
    def out_features(self) -> list[str]:
        """The names of the stages whose maps are put out."""
        return list(self.config.out_features)

    @property
    def out_indices(self) -> list[int]:
        """Their places among the stages."""
        return list(self.config.out_indices)

    @property
    def num_features(self) -> list[int]:
        """The channels of every stage."""
        return list(self.config.hidden_sizes)

    @property
    def channels(self) -> list[int]:
        """The channels of the stages whose maps are put out."""
        return [self.num_features[self.stage_names.index(name)] for name in self.out_features]

    def forward_with_filtered_kwargs(self, *images: Any, **options: Any) -> Any:  # noqa: ANN401
        """`forward`, which drops what other backbones take."""
        return self(*images, **options)

    def forward(
        self,
        pixel_values: Float[Tensor, "B C H W"],
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The maps of `out_features` and, if wanted, of every stage."""
        from transformers.modeling_outputs import BackboneOutput

        all_maps, as_dict = self.wants(output_hidden_states, return_dict)
        every = self.maps_of(pixel_values)
        chosen = tuple(every[self.stage_names.index(name)] for name in self.out_features)
        output = BackboneOutput(feature_maps=chosen, hidden_states=every if all_maps else None)
        return output if as_dict else output.to_tuple()


class ImageProcessor:
    """The preprocessing that belongs to pretrained weights, as `Backbone.transform` has it."""

    model_input_names: ClassVar[list[str]] = ["pixel_values"]
    get_image_processor_dict: ClassVar[Any]

    def __init__(self, preprocessing: Mapping[str, Any] | None = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.preprocessing = None if preprocessing is None else dict(preprocessing)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options: Any) -> ImageProcessor:  # noqa: ANN401
        """What the ``config.json`` of a folder or a repository says of the images.

        Raises:
            ValueError: if it says nothing.
        """
        content, _ = cls.get_image_processor_dict(source, image_processor_filename=CONFIG, **options)
        if content.get("preprocessing") is None:
            raise ValueError(
                f"{source} says nothing of the images that the network was trained on. Set encoder.preprocessing "
                "before it is saved."
            )
        return cls(content["preprocessing"])

    def preprocess(self, images: Any, return_tensors: str | None = "pt", **_: Any) -> Any:  # noqa: ANN401
        """One picture or a list of them (PIL, numpy or pixels of torch) as ``pixel_values``, ``(B, C, H, W)``.

        Raises:
            ValueError: if nothing is known of the images.
        """
        from transformers.image_processing_utils import BatchFeature

        preprocessing = preprocessing_from(self.preprocessing)
        if preprocessing is None:
            raise ValueError("nothing is known of the images: load the processor by from_pretrained.")
        transform = preprocessing.transform()
        pictures = images if isinstance(images, list | tuple) else [images]
        return BatchFeature({"pixel_values": torch.stack([transform(p) for p in pictures])}, tensor_type=return_tensors)

    def save_pretrained(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Nothing: what is known of the images is in the ``config.json`` that the network writes."""


def _type_of_numbers(dtype: Any) -> torch.dtype | None:  # noqa: ANN401
    """The type that transformers' `dtype` names; None if it is that of the file.

    Raises:
        ValueError: if it is none.
    """
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if found in (None, "auto") or isinstance(found, torch.dtype):
        return found if isinstance(found, torch.dtype) else None
    raise ValueError(f"dtype must be a floating-point type of torch; got {shown(dtype)}. Pass torch.bfloat16, say.")


def _one_device(device_map: Any) -> torch.device | None:  # noqa: ANN401
    """The device that transformers' `device_map` names; None if it names none.

    Raises:
        ValueError: if it names several.
    """
    if isinstance(device_map, Mapping):
        if list(device_map) != [""]:
            raise ValueError(
                f"device_map must name one device, as an encoder fits on one; got {shown(device_map)}. Pass 'cuda:0'."
            )
        device_map = device_map[""]
    if device_map == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return None if device_map is None else torch.device(device_map)
