"""Adapted networks in a file without the weights of others, which are named there and put in afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqmodels.adapt.provenance import holds_original, network_of
from eqmodels.adapt.weights import PRETRAINED, RANDOM, TIMM, Original, original
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.backbones.card import encoder_card
from eqmodels.backbones.describe import describe_network
from eqmodels.backbones.formats import LEFT_OUT, command_to_complete, left_out_of, network_config
from eqmodels.backbones.golden import golden_features
from eqmodels.backbones.loading import built_with, described_tensors
from eqmodels.objectives import TEACHERS
from eqmodels.remote import locate
from eqmodels.storage import (
    CONFIG,
    WEIGHTS,
    NetworkFolder,
    StorageError,
    check_layout,
    pack_weights,
    printable,
    sha256_of_tensors,
    write_network,
)

__all__ = ["completed", "save_apart"]

CARD = "README.md"


def save_apart(encoder: Backbone, folder: str | Path) -> None:
    """Writes an adapted network into a folder without the weights of others, which the config names by their sha256.

    For weights that may not be passed on, or that everybody has: what remains is the pose's and the classifier's, and
    of a symmetrised network often nothing. Nobody can load such a folder; `completed` makes an encoder of it.

    Args:
        encoder: of `symmetrise` or `canonicalise`, whose network has a name and the weights that it was adapted with.
        folder: without a network; is made if need be. A card that lies there is kept.

    Raises:
        TypeError: if it is no such encoder.
        ValueError: if nothing is known of its weights, or nobody else has them: they are random or were trained since;
            or if the folder has a network, whose card would be of other files.
        StorageError: if a value is no finite number, or a file cannot be written; the folder is then as it was.
    """
    check_arguments(save_apart, locals())
    place = f"{network_of(encoder)[0]}."
    if not holds_original(encoder):
        raise ValueError(
            "encoder must have the weights that it was adapted with, in float32, which others have too; those of this "
            "one were trained or converted since. Use save_pretrained, which stores them."
        )
    noted = {**encoder.structure["original"], LEFT_OUT: place}
    if noted["weights"] == RANDOM:
        raise ValueError("encoder must have weights that others have too; this one's are random. Use save_pretrained.")
    where = Path(folder)
    if (where / CONFIG).exists():
        raise ValueError(f"folder must hold no network; got {folder}, which does. Name a new one.")
    description = describe_network(encoder)
    arguments = {**description["model_args"], "original": noted}
    state = {name: value for name, value in encoder.state_dict().items() if not name.startswith(place)}
    content = {**description, "model_args": arguments, "golden": golden_features(encoder, pooled=True)}
    card = {} if (where / CARD).exists() else {CARD: str(encoder_card(encoder, way=_way(noted)))}
    write_network(where, pack_weights(state), content, card)


def _way(noted: dict[str, str]) -> str:
    """How an encoder is made of the folder, for its card."""
    if "file_sha256" in noted:
        which = f"the file of sha256 {noted['file_sha256']}"
    else:
        which = f"tensors of sha256 {noted['sha256']} by `eqmodels.storage.sha256_of_tensors`"
    return (
        f"The weights of {noted['source']} are not in this folder: {which}. With them it becomes an encoder:\n\n"
        f"```\n{command_to_complete(noted, '.', 'complete')}\n```\n"
    )


def completed(folder: str | Path, weights: str | Path | None = None) -> Backbone:
    """The encoder of a folder that `save_apart` wrote, with the weights of others put in, in eval mode on the CPU.

    Args:
        folder: its path, or ``"hub:organisation/name[@revision]"``.
        weights: a safetensors file, see `original`; None, or ``"pretrained"``, for those that the config names, which
            timm fetches or a package has.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the folder lacks no weights, or has to be told which file they are in.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if files cannot be had, the config describes no network or contradicts itself, or the weights are
            others than those that it was adapted with.
    """
    check_arguments(completed, locals())
    held = NetworkFolder(locate(folder).folder)
    config = network_config(held)
    noted = left_out_of(config["model_args"])
    if noted is None:
        raise ValueError(f"{folder} lacks no weights of others, and is used as it is: see eqmodels.load.")
    if not isinstance(place := noted.pop(LEFT_OUT), str) or noted.get("source") != config["model_args"].get("source"):
        raise StorageError(f"{held.file(CONFIG)} contradicts itself in what it lacks. Fetch it again.")
    config = {**config, "model_args": {**config["model_args"], "original": noted}}
    # Before anything is fetched it is known that nothing but these weights is missing.
    own = described_tensors(held, config)
    lacked = {name.removeprefix(place): value for name, value in own.items() if name.startswith(place)}
    kept = {name: value for name, value in own.items() if not name.startswith(place)}
    check_layout(held.file(WEIGHTS), held.layout(), kept)
    state = _right(held, noted, weights, config["model_args"].get("in_chans", 3)).network.state_dict()
    if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in lacked.items()}:
        raise StorageError(f"{held.file(CONFIG)} lacks other tensors than those of {noted['source']}. Fetch it again.")
    encoder = built_with(held, config, held.weights() | {f"{place}{name}": value for name, value in state.items()})
    assert isinstance(encoder, Backbone)
    return encoder


def _right(held: NetworkFolder, noted: dict[str, str], weights: str | Path | None, in_chans: int) -> Original:
    """The network of others with the weights that a config names.

    Raises:
        ValueError: if nobody fetches them, and no file was named.
        StorageError: if they cannot be had, or are others.
    """
    source, words = noted["source"], noted["weights"]
    given: dict[str, Any] = {"in_chans": in_chans}
    if weights is not None and str(weights) != PRETRAINED:
        known = original(source, weights, **given)
    else:
        # Of a module that was given the sha256 decides whether it had the weights that timm fetches.
        named = [word for word in (words, source) if word in TEACHERS or word.startswith(TIMM)]
        if "file_sha256" in noted or not named:
            which = noted.get("file_sha256", f"{noted['sha256']} by sha256_of_tensors")
            raise ValueError(
                f"weights must be the file of those of {printable(source)}, which nobody fetches; got none. Pass a "
                f"safetensors file of sha256 {which}."
            )
        known = original(named[0], **given)
    found = sha256_of_tensors(known.network.state_dict())
    if known.source != source or found != noted["sha256"]:
        raise StorageError(
            f"{held} was adapted with weights of sha256 {noted['sha256'][:12]} ({printable(words)}); got "
            f"{weights or named[0]}, of sha256 {found[:12]}. Nothing was put in; pass the right file."
        )
    return known
