"""Pretrained encoders in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqmodels import backbones
from eqmodels.backbones import Encoder
from eqmodels.backbones.files import load_encoder
from eqmodels.backbones.input_channels import with_channels
from eqmodels.hub.index import read_index
from eqmodels.hub.source import list_pretrained, locate
from eqmodels.layers import GlobalPoolMode
from eqmodels.storage import CONFIG, read_config
from eqmodels.training import CHECKPOINT, Run, load_run, load_unfinished

__all__ = ["create_model", "list_models", "load", "load_pretrained"]


def load(
    source: str | Path,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    global_pool: GlobalPoolMode | None = None,
    **options: Any,  # noqa: ANN401 (the fields of `Fetch`)
) -> Encoder:
    """A pretrained encoder in eval mode on the CPU; its files are checked before anything is built of them.

    Its images go through ``encoder.transform()``; how its output transforms, says ``encoder.describe_output()``.

    Args:
        source: a name of the zoo; the path of a folder that `eqmodels pretrain` or ``save_pretrained`` wrote; or
            ``"hub:organisation/name[@revision]"``.
        num_classes: outputs of a fresh classifier; 0 for features; None for what was saved (the zoo: features).
        in_chans: channels of the images, if they are not those of the training: filters are summed or repeated.
        global_pool: how features are pooled, see `GlobalPool`; None for what was saved (the zoo: canonical features
            where a head predicts the pose).
        **options: `revision`, `token`, `cache_dir`, `force_download` and `local_files_only`, for the Hub.

    Raises:
        StorageError: if the files cannot be had or are not what they should be; the sentence says which and why.
        ValueError: if there is no such network, or an argument breaks its rule.

    Example:
        >>> encoder = load("c4_resnet18_w16.rot_fmnist_simclr", num_classes=10)
        >>> encoder.global_pool.mode, encoder.num_classes
        ('canonical', 10)
    """
    folder = locate(source, **options).folder
    config = read_config(folder / CONFIG)
    if "pretraining" in config:
        encoder = load_run(folder).encoder(global_pool or config["model_args"]["global_pool"])
    else:
        encoder = load_encoder(folder, config)
        if global_pool is not None:
            encoder.reset_classifier(encoder.num_classes, global_pool)
    if in_chans is not None and in_chans != encoder.in_chans:
        encoder = with_channels(encoder, in_chans)
    if num_classes is not None and num_classes != encoder.num_classes:
        encoder.reset_classifier(num_classes)
    return encoder.eval()


def load_pretrained(source: str | Path, **options: Any) -> Run:  # noqa: ANN401 (the fields of `Fetch`)
    """A pretrained network with its heads and its history, in eval mode on the CPU.

    Args:
        source: as for `load`; also the folder of a run that is not done, of which the last checkpoint counts, or a
            checkpoint's file.
        **options: as for `load`.

    Raises:
        StorageError: if the files cannot be had or are not what they should be.
        TrainingError: if a checkpoint is damaged or of another version.
        ValueError: if there is no such network; gives the nearest names.

    Example:
        >>> run = load_pretrained("c4_resnet18_w16.rot_fmnist_simclr")
        >>> run.encoder("canonical").num_features
        128
    """
    path = Path(source)
    if path.suffix == ".pt" and path.is_file():
        return load_unfinished(path)
    folder = locate(source, **options).folder
    if (folder / CHECKPOINT).is_file() and not (folder / CONFIG).is_file():
        return load_unfinished(folder / CHECKPOINT)
    return load_run(folder)


def create_model(name: str, *, pretrained: bool = False, **options: Any) -> Encoder:  # noqa: ANN401
    """Builds a network by its name, with random or with pretrained weights.

    Args:
        name: ``<group>_<architecture>[_w<width>]`` for random weights, see `eqmodels.backbones.create_model`; a name of
            the zoo, ``<architecture>.<task>_<data>``, for pretrained ones.
        pretrained: whether to load the weights of the zoo.
        **options: of the network; with pretrained weights `num_classes`, `in_chans` and `global_pool`, see `load`.

    Raises:
        StorageError: if the files of the weights cannot be had or are not what they should be.
        ValueError: if the name is unknown (the nearest ones are given), has several sets of weights, or an option
            breaks its rule.
        TypeError: if the network does not have such an option.

    Example:
        >>> create_model("c4_resnet18_w16.rot_fmnist_simclr", pretrained=True, global_pool="regular").num_features
        128
    """
    if not pretrained:
        architecture = name
        if isinstance(name, str) and name in {*list_pretrained(), *read_index()}:
            architecture = name.split(".", maxsplit=1)[0]
        return backbones.create_model(architecture, **options)
    known = ("num_classes", "in_chans", "global_pool", "revision", "token", "cache_dir", "local_files_only")
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(
            f"with pretrained=True the options are {', '.join(known[:3])}; got {unknown[0]!r}, which the weights fix. "
            "Drop it."
        )
    if "." not in name and (tagged := list_pretrained(f"{name}.*")):
        if len(tagged) > 1:
            raise ValueError(f"{name!r} has several sets of weights: {', '.join(tagged)}. Name one of them.")
        name = tagged[0]
    return load(name, **options)


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """The names of the registered architectures, or of the zoo's networks, that match a shell pattern, sorted.

    Example:
        >>> list_models("c4*resnet18")
        ['c4_resnet18']
        >>> "c4_resnet18_w16.rot_fmnist_simclr" in list_models("c4*", pretrained=True)
        True
    """
    return list_pretrained(pattern) if pretrained else backbones.list_models(pattern)
