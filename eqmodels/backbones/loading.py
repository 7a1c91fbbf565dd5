"""A network out of a folder, by the registry: checked before anything large is built, and never by an import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from eqmodels.backbones.describe import check_bounds, check_description, description_of, preprocessing_from
from eqmodels.backbones.formats import command_to_complete, left_out_of, network_config
from eqmodels.backbones.golden import check_golden
from eqmodels.backbones.input_channels import adapted_state, with_channels
from eqmodels.backbones.named import NamedNetwork
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.overwritten import to_be_overwritten
from eqmodels.backbones.registry import build, not_of_images, resolve
from eqmodels.layers import GlobalPoolMode
from eqmodels.remote import locate
from eqmodels.storage import CONFIG, WEIGHTS, NetworkFolder, StorageError, check_layout, printable

__all__ = [
    "build_described",
    "built_with",
    "check_folder",
    "described_tensors",
    "encoder_state",
    "load_as",
    "load_folder",
    "load_for_images",
]

BACKBONE, POSE = "backbone.", "global_pool.pose."
"""Before the names of the encoder's tensors in the file of a run, and of the pose's among the encoder's own."""

N = TypeVar("N", bound=NamedNetwork)
V = TypeVar("V")


def load_for_images(folder: Path) -> StagedNetwork:
    """As `load_folder`, for those who have images.

    Raises:
        StorageError: as `load_folder`.
        ValueError: if the folder holds a network of points.
    """
    network = load_folder(folder)
    if not isinstance(network, StagedNetwork):
        raise ValueError(not_of_images(str(folder)))
    return network


def load_as(
    kind: type[N] | tuple[type[N], ...],
    source: str | Path,
    *,
    read: Callable[[Path], NamedNetwork] | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    global_pool: GlobalPoolMode | None = None,
    **hub: Any,  # noqa: ANN401 (of `locate`)
) -> N:
    """A pretrained network of a class, in eval mode on the CPU, strictly loaded and checked.

    Args:
        kind: the class, or one that it is derived from; or several.
        source: a name of the zoo; the path of a folder that `eqmodels pretrain` or ``save_pretrained`` wrote; or
            ``"hub:organisation/name[@revision]"``. A name of the zoo comes before a folder of that name.
        read: from the folder to the network; None for `load_folder`.
        num_classes: outputs of a fresh classifier; 0 for features; None for what was saved.
        in_chans: channels of the images, if they are not those of the training: filters are summed or repeated.
        global_pool: how features are pooled, see `GlobalPool`; None for what was saved.
        **hub: options of `locate`.

    Raises:
        StorageError: if the files cannot be had or are not what they should be; the sentence says which and why.
        ValueError: if there is no such network, or an argument breaks its rule or does not apply.
        TypeError: if the source is no name or path, a count is no integer, or the network is of another class.
    """
    network = (read or load_folder)(locate(source, **hub).folder)
    if not isinstance(network, kind):
        held = type(network).__name__
        loads_itself = hasattr(network, "from_pretrained")
        way_out = f"Use {held}.from_pretrained, or eqmodels.load." if loads_itself else "Derive its class from it."
        raise TypeError(f"{source} holds a {held}, not a {_name_of(kind)}. {way_out}")
    return _adapted(network, str(source), num_classes=num_classes, in_chans=in_chans, global_pool=global_pool)


def _name_of(kind: type | tuple[type, ...]) -> str:
    return kind[0].__name__ if isinstance(kind, tuple) else kind.__name__


def _adapted(
    network: N,
    source: str,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    global_pool: GlobalPoolMode | None = None,
) -> N:
    """A loaded network with another classifier, other image channels or another pooling, in eval mode.

    Args:
        network: as it was saved.
        source: what the sentence calls it.
        num_classes: outputs of a fresh classifier; 0 for features; None for what was saved.
        in_chans: channels of the images, if they are not those of the training: filters are summed or repeated.
        global_pool: how features are pooled, see `GlobalPool`; None for what was saved.

    Raises:
        ValueError: if an argument breaks its rule, or the saved classifier does not know the pooling.
        TypeError: if a count is no integer.
    """
    # Dense networks pool nothing, and have no setting of it.
    saved = network.pool_settings().get("global_pool", "regular")
    if global_pool not in (None, saved) and network.num_classes and num_classes is None:
        raise ValueError(
            f"the classifier of {source} was trained on {saved} features, and knows no others; got "
            f"global_pool={global_pool!r}. Add num_classes={network.num_classes} for a fresh one, or num_classes=0 for "
            "features."
        )
    if in_chans is not None and in_chans != network.in_chans:
        if not isinstance(network, StagedNetwork):
            raise ValueError(
                f"in_chans adapts filters of images, and {source} takes points of {network.in_chans} numbers each; got "
                f"in_chans={in_chans}. Drop it."
            )
        network = with_channels(network, in_chans)
    if global_pool not in (None, saved):
        network.reset_classifier(num_classes or 0, global_pool)
    elif num_classes is not None:
        network.reset_classifier(num_classes)
    return network.eval()


def load_folder(folder: Path | NetworkFolder) -> NamedNetwork:
    """The network in a folder that `save_network` or a pretraining run wrote, in eval mode on the CPU.

    Of a run the backbone is taken, and the pose of the head that predicts it, if the config says that features are
    turned back by it. Each of its tensors is accounted for; what else the file holds is the run's.

    Raises:
        StorageError: if a file cannot be read, the config describes no network or contradicts itself, or the weights
            are not those that it describes.
    """
    held = NetworkFolder.of(folder)
    return held.once("encoder", lambda: _loaded(held))


def _loaded(folder: NetworkFolder) -> NamedNetwork:
    config = network_config(folder)
    own = check_folder(folder, config)
    state = folder.weights()
    return built_with(folder, config, _of_encoder(state, own) if "pretraining" in config else state)


def built_with(folder: NetworkFolder, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> NamedNetwork:
    """The network of a config that was checked, with these weights, in eval mode; its features are the golden ones.

    Raises:
        StorageError: if they are others.
    """
    with to_be_overwritten():
        network = build_described(config)
    network.load_state_dict(state)
    network.eval()
    check_golden(network, config["golden"], str(folder.file(WEIGHTS)))
    return network


def check_folder(folder: Path | NetworkFolder, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Refuses a folder whose weights have other names, types or shapes than its network. No weight is read.

    Args:
        folder: with config and weights.
        config: its content, as `read_network_config` gives it.

    Returns:
        The network's own tensors, on the device ``meta``.

    Raises:
        StorageError: if the config describes no network or contradicts itself, or the header of the weights is broken
            or names other tensors.
    """
    held = NetworkFolder.of(folder)
    return held.once("tensors of the encoder", lambda: _checked(held, config))


def _checked(folder: NetworkFolder, config: Mapping[str, Any]) -> dict[str, Tensor]:
    layout = folder.layout()
    if (noted := left_out_of(config["model_args"])) is not None:
        way = command_to_complete(noted, folder, "FOLDER")
        raise StorageError(
            f"{folder} lacks the weights of {printable(str(noted.get('source')))}, which its config names. Put them "
            f"in: {way}."
        )
    own = described_tensors(folder, config)
    check_layout(folder.file(WEIGHTS), _of_encoder(layout, own) if "pretraining" in config else layout, own)
    return own


def described_tensors(folder: NetworkFolder, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the network that a config describes, on the device ``meta``; no weight is looked at.

    Raises:
        StorageError: if it describes no network or contradicts itself.
    """
    place = folder.file(CONFIG)
    try:
        with torch.device("meta"):
            expected = build_described(config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise StorageError(f"{place} describes no network: {error} Nothing was built.") from error
    except ModuleNotFoundError as error:
        # No file names a module: it names one of our own backends, whose code alone knows that it is built of escnn.
        raise StorageError(f"the network of {folder} cannot be built here: {error}") from error
    description = description_of(expected, config["pretrained_cfg"].get("license"))
    check_description(description, config, place, pooled=expected.head_hidden_size)
    own: dict[str, Tensor] = expected.state_dict()
    return own


def build_described(config: Mapping[str, Any]) -> NamedNetwork:
    """A network with random weights as `describe_network` describes it. Nothing is imported for it.

    Raises:
        ValueError: if the description breaks a rule of the network, nothing is registered under its name (the sentence
            names the distribution that has it), or it is too large.
        TypeError: if the network has no such argument.
    """
    name, _ = resolve(config["architecture"], plugins=False)
    check_bounds(name, config["model_args"])
    network = build(config["architecture"], plugins=False, **config["model_args"])
    network.preprocessing = preprocessing_from(config["preprocessing"])
    network.license = config["pretrained_cfg"].get("license")
    network.classes = tuple(config["pretrained_cfg"].get("label_names", ()))
    if network.classes and len(network.classes) != network.num_classes:
        raise ValueError(
            f"label_names must name each of the {network.num_classes} classes, or none; got {len(network.classes)}."
        )
    return network


def encoder_state(state: Mapping[str, Tensor], encoder: NamedNetwork) -> dict[str, Tensor]:
    """The weights of an encoder out of a file of a whole run, or of the encoder alone, its image channels adapted."""
    own = encoder.state_dict()
    return adapted_state(_of_encoder(state, own), own)


def _of_encoder(entries: Mapping[str, V], own: Mapping[str, Tensor]) -> dict[str, V]:
    """The entries of a file that are an encoder's, by its own names.

    In the file of a run they are ``backbone.stem...`` and the pose of a head, ``heads.0.pose...``; that of an encoder
    alone has no others.

    Args:
        entries: tensors, or what is known of them, by their names in the file.
        own: the encoder's tensors.
    """
    backbone = {name.removeprefix(BACKBONE): value for name, value in entries.items() if name.startswith(BACKBONE)}
    if not backbone:
        return dict(entries)
    tails = [name.removeprefix(POSE) for name in own if name.startswith(POSE)]
    place = _place_of_pose(entries, tails) if tails else None
    return backbone | ({} if place is None else {f"{POSE}{tail}": entries[f"{place}{tail}"] for tail in tails})


def _place_of_pose(entries: Mapping[str, object], tails: Sequence[str]) -> str | None:
    """What stands before the names of the pose's tensors in the file of a run, whose objective may be unknown here.

    It is the only module called ``pose``, or else the only one that has tensors of all these names; None if there is
    none, or no telling.
    """
    places = [name.removesuffix(tails[0]) for name in entries if name.endswith(f".{tails[0]}")]
    whole = [
        place
        for place in places
        if not place.startswith(BACKBONE) and all(f"{place}{tail}" in entries for tail in tails)
    ]
    candidates = [place for place in whole if place.endswith(".pose.")] or whole
    return candidates[0] if len(candidates) == 1 else None
