"""Pretrained encoders in one line."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from eqmodels import backbones
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.backbones.formats import network_config
from eqmodels.backbones.loading import check_folder, load_as, load_folder
from eqmodels.backbones.named import NamedNetwork, Takes
from eqmodels.backbones.registry import not_of_images
from eqmodels.hub.names import takes_images
from eqmodels.layers import GlobalPoolMode
from eqmodels.remote import is_pretrained, list_pretrained, locate, read_index
from eqmodels.storage import CHECKPOINT, CONFIG, PREVIOUS_CHECKPOINT, NetworkFolder
from eqmodels.training import Run, load_run, load_unfinished
from eqmodels.training.run import check_run

__all__ = ["check_files", "create_model", "list_models", "load", "load_for_images", "load_held", "load_pretrained"]


def load(
    source: str | Path,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    global_pool: GlobalPoolMode | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Backbone | Any:  # noqa: ANN401 (or of points: who names one knows which)
    """A pretrained encoder in eval mode on the CPU; its files are checked before anything is built of them.

    It is a `Backbone` of images, or a `PointBackbone` of points.

    Its images go through ``encoder.transform()``; how its output transforms, says ``encoder.describe_output()``. The
    encoder of a run needs nothing of what it was pretrained for: an objective of somebody's own need not be registered.
    Random numbers are drawn for a fresh classifier alone.

    Args:
        source: a name of the zoo; the path of a folder that `eqmodels pretrain` or ``save_pretrained`` wrote; or
            ``"hub:organisation/name[@revision]"``. A name of the zoo comes before a folder of that name, which is
            ``"./name"`` or a `Path`.
        num_classes: outputs of a fresh classifier, in the place of a trained one too; 0 for features; None for what was
            saved (the zoo: features).
        in_chans: channels of the images, if they are not those of the training: filters are summed or repeated.
        global_pool: how features are pooled, see `GlobalPool`; None for what was saved (the zoo: canonical features
            where a head predicts the pose). A classifier was trained on the features of one pooling: another one needs
            `num_classes` too.
        revision: of a repository of the Hub: a commit, tag or branch; None for that of the source, else the main branch
            or, for a name of the zoo, the commit of the index.
        token: of the Hub; None for the one that the Hub's client knows, False for none.
        cache_dir: where files of the Hub are kept; None for its standard cache.
        force_download: whether to fetch files of the Hub that the cache has.
        local_files_only: whether to ask the Hub nothing.

    Raises:
        StorageError: if the files cannot be had or are not what they should be; the sentence says which and why.
        ValueError: if there is no such network, or an argument breaks its rule or does not apply.
        TypeError: if the source is no name or path, or another argument is of another type.

    Example:
        >>> encoder = load("c4_resnet18s_w16.rot_fmnist_simclr", num_classes=10)
        >>> encoder.global_pool.mode, encoder.num_classes
        ('canonical', 10)
    """
    check_arguments(
        load,
        {
            "num_classes": num_classes,
            "in_chans": in_chans,
            "global_pool": global_pool,
            "cache_dir": cache_dir,
            "force_download": force_download,
            "local_files_only": local_files_only,
        },
    )
    return load_as(
        (Backbone, PointBackbone),
        source,
        read=_read_checked,
        num_classes=num_classes,
        in_chans=in_chans,
        global_pool=global_pool,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    )


def load_for_images(source: str | Path, **options: Any) -> Backbone:  # noqa: ANN401 (of `load`)
    """As `load`, for those who have images.

    Args:
        source: as `load` takes it.
        **options: of `load`.

    Raises:
        StorageError: as `load`.
        ValueError: as `load`; and if the encoder takes points.
        TypeError: as `load`.
    """
    encoder = load(source, **options)
    if isinstance(encoder, Backbone):
        return encoder
    raise ValueError(not_of_images(str(source)))


def load_held(folder: NetworkFolder) -> Backbone | Any:  # noqa: ANN401 (as `load`)
    """As `load` of its path, from files that are read once.

    Raises:
        StorageError: as `load`.
        TypeError: if it holds a network of another class.
    """
    return load_as((Backbone, PointBackbone), folder.path, read=lambda _: _read_checked(folder))


def _read_checked(folder: Path | NetworkFolder) -> NamedNetwork:
    """The encoder in a folder; of a run, the rest of the file must be its objective's, if this is known here."""
    held = NetworkFolder.of(folder)
    check_run(held)
    return load_folder(held)


def check_files(folder: Path | NetworkFolder) -> None:
    """Refuses a folder whose config or layout of weights is not its network's; no weight is read, however many.

    Raises:
        StorageError: if a file cannot be read, the config describes no network, or the weights have other names, types
            or shapes.
    """
    held = NetworkFolder.of(folder)
    check_folder(held, network_config(held))
    check_run(held)


def load_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Run:
    """A pretrained network with its heads and its history, in eval mode on the CPU.

    Args:
        source: as for `load`; also the folder of a run that is not done, of which the last checkpoint counts, or a
            checkpoint's file.
        revision: of a repository of the Hub: a commit, tag or branch; None for that of the source, else the main branch
            or, for a name of the zoo, the commit of the index.
        token: of the Hub; None for the one that the Hub's client knows, False for none.
        cache_dir: where files of the Hub are kept; None for its standard cache.
        force_download: whether to fetch files of the Hub that the cache has.
        local_files_only: whether to ask the Hub nothing.

    Raises:
        StorageError: if the files cannot be had or are not what they should be; or if what the network was pretrained
            for is not registered here, as nothing is imported because of a file (`load` gives the encoder).
        TrainingError: if a checkpoint is damaged or of another version.
        ValueError: if there is no such network (gives the nearest names), or an argument does not apply.
        TypeError: if the source is no name or path.

    Example:
        >>> run = load_pretrained("c4_resnet18s_w16.rot_fmnist_simclr")
        >>> run.encoder("canonical").head_hidden_size
        128
    """
    check_arguments(
        load_pretrained,
        {"cache_dir": cache_dir, "force_download": force_download, "local_files_only": local_files_only},
    )
    if isinstance(source, str | Path) and not is_pretrained(source) and revision is None:
        if str(source).endswith(".pt") and os.path.isfile(source):
            return load_unfinished(source)
        checkpoints = (os.path.join(source, name) for name in (CHECKPOINT, PREVIOUS_CHECKPOINT))
        if any(map(os.path.isfile, checkpoints)) and not os.path.isfile(os.path.join(source, CONFIG)):
            return load_unfinished(source)
    folder = locate(
        source,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    ).folder
    return load_run(folder)


OPTIONS = tuple(name for name in inspect.signature(load).parameters if name != "source")
"""Of a network with pretrained weights."""


def create_model(name: str, *, pretrained: bool = False, **options: Any) -> Backbone | Any:  # noqa: ANN401
    """Builds a network by its name, with random or with pretrained weights.

    Args:
        name: ``<group>_<architecture>[_w<width>]`` for random weights, see `eqmodels.backbones.create_model`; a name of
            the zoo, ``<architecture>.<task>_<data>``, for pretrained ones, of which the architecture is enough if the
            zoo has one set of weights for it.
        pretrained: whether to load the weights of the zoo.
        **options: of the network, where the `encoder` of a dense one (``"unet"``) comes with its weights if it is one
            of the zoo; with pretrained weights those of `load`: `num_classes`, `in_chans` and `global_pool`, and for
            the Hub `revision`, `token`, `cache_dir`, `force_download` and `local_files_only`.

    Raises:
        StorageError: if the files of the weights cannot be had or are not what they should be.
        ValueError: if the name is unknown (the nearest ones are given), has several sets of weights, or an option
            breaks its rule.
        TypeError: if the name is no string, or the network does not have such an option.

    Example:
        >>> create_model("c4_resnet18s_w16.rot_fmnist_simclr", pretrained=True, global_pool="regular").head_hidden_size
        128
    """
    check_arguments(create_model, {"pretrained": pretrained})
    if not pretrained:
        encoder = options.get("encoder")
        if isinstance(encoder, str) and is_pretrained(encoder):
            options["encoder"] = load(encoder)
        architecture = name
        # Only names of the zoo have a point, and its folders need not be read for the others.
        if isinstance(name, str) and "." in name and name in {*list_pretrained(), *read_index()}:
            architecture = name.split(".", maxsplit=1)[0]
        return backbones.create_model(architecture, **options)
    if not isinstance(name, str):
        raise TypeError(
            f"name must be a string such as 'c4_resnet18s_w16.rot_fmnist_simclr'; got {name!r}. "
            "list_models(pretrained=True) gives all names."
        )
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise TypeError(
            f"with pretrained=True the options are {', '.join(OPTIONS)}; got {unknown[0]!r}, and the weights fix the "
            "rest. Drop it."
        )
    if tagged := [known for known in list_pretrained() if known.split(".", maxsplit=1)[0] == name]:
        if len(tagged) > 1:
            raise ValueError(f"{name!r} has several sets of weights: {', '.join(tagged)}. Name one of them.")
        name = tagged[0]
    return load(name, **options)


def list_models(pattern: str = "*", *, pretrained: bool = False, takes: Takes | None = None) -> list[str]:
    """The names of the registered architectures, or of the zoo's networks, that match a shell pattern, sorted.

    Args:
        pattern: of the names.
        pretrained: whether to list the zoo's.
        takes: ``"images"`` or ``"points"`` for those that take these; None for all.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `takes` is none of these.

    Example:
        >>> list_models("c4*resnet18s")
        ['c4_resnet18s']
        >>> "c4_resnet18s_w16.rot_fmnist_simclr" in list_models("c4*", pretrained=True)
        True
    """
    check_arguments(list_models, locals())
    architectures = backbones.list_models(pattern, takes=takes)  # which checks what is asked for
    if not pretrained:
        return architectures
    return [name for name in list_pretrained(pattern) if takes in (None, "images" if takes_images(name) else "points")]
