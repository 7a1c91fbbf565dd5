"""Adapted networks in a file without the weights of others, which are named there and put in afterwards."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from eqmodels.adapt.provenance import holds_original, network_of
from eqmodels.adapt.weights import RANDOM, TIMM, original
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.backbones.card import encoder_card
from eqmodels.backbones.describe import describe_network
from eqmodels.backbones.formats import LEFT_OUT, left_out_of, network_config
from eqmodels.backbones.golden import golden_features
from eqmodels.backbones.loading import load_for_images
from eqmodels.objectives import TEACHERS
from eqmodels.remote import locate
from eqmodels.storage import CONFIG, NetworkFolder, StorageError, pack_weights, sha256_of_tensors, write_network

__all__ = ["completed", "save_apart"]

CARD = "README.md"


def save_apart(encoder: Backbone, folder: str | Path) -> None:
    """Writes an adapted network into a folder without the weights of others, which the config names by their sha256.

    For weights that may not be passed on, or that everybody has: what remains is the pose's and the classifier's, and
    of a symmetrised network often nothing. Nobody can load such a folder; `completed` makes an encoder of it.

    Args:
        encoder: of `symmetrise` or `canonicalise`, whose network has a name and the weights that it was adapted with.
        folder: is made if need be; a card that lies there is kept.

    Raises:
        TypeError: if it is no such encoder.
        ValueError: if nothing is known of its weights, or nobody else has them: they are random or were trained since.
        StorageError: if a value is no finite number, or a file cannot be written; the folder is then as it was.
    """
    check_arguments(save_apart, locals())
    if not holds_original(encoder):
        raise ValueError(
            "encoder must have the weights that it was adapted with, which others have too; this one's were trained or "
            "converted since. Use save_pretrained, which stores them."
        )
    place = f"{network_of(encoder)[0]}."
    if encoder.structure["original"]["weights"] == RANDOM:
        raise ValueError("encoder must have weights that others have too; this one's are random. Use save_pretrained.")
    description = describe_network(encoder)
    arguments = description["model_args"]
    noted = {**arguments["original"], LEFT_OUT: place}
    state = {name: value for name, value in encoder.state_dict().items() if not name.startswith(place)}
    golden = golden_features(encoder, pooled=True)
    content = {**description, "model_args": {**arguments, "original": noted}, "golden": golden}
    where = Path(folder)
    card = encoder_card(encoder)
    card.text = (
        f"\n# {type(encoder).__name__}\n\n{encoder.describe_output()}\n\nThe weights of {noted['source']} "
        f"({noted['weights']}) are not in this folder. With them it becomes an encoder:\n\n```\neqmodels adapt . "
        "--method complete --out complete\n```\n"
    )
    write_network(where, pack_weights(state), content, {} if (where / CARD).exists() else {CARD: str(card)})


def completed(folder: str | Path, weights: str | Path | None = None) -> Backbone:
    """The encoder of a folder that `save_apart` wrote, with the weights of others put in, in eval mode on the CPU.

    Args:
        folder: its path, or ``"hub:organisation/name[@revision]"``.
        weights: see `original`; None for those that the config names, which timm fetches or a package has.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the folder lacks no weights, or has to be told which file they are in.
        ModuleNotFoundError: if the package that has the network is not installed.
        StorageError: if files cannot be had, or the weights are others than those that it was adapted with.
    """
    check_arguments(completed, locals())
    held = NetworkFolder(locate(folder).folder)
    config = network_config(held)
    noted = left_out_of(config["model_args"])
    if noted is None:
        raise ValueError(f"folder must lack the weights of others; {folder} has its weights. Use eqmodels.load.")
    if absent := [name for name in ("source", "weights", "sha256", LEFT_OUT) if not isinstance(noted.get(name), str)]:
        raise StorageError(
            f"{held.file(CONFIG)} does not say the {absent[0]} of weights that it lacks. Fetch it again."
        )
    source, words = noted["source"], noted["weights"]
    if weights is None and "file_sha256" not in noted:  # of a module the sha256 decides whether these are its weights
        weights = next((word for word in (words, source) if word in TEACHERS or word.startswith(TIMM)), None)
    if weights is None:
        raise ValueError(
            f"weights must be the file of those of {source}, which nobody fetches; got none. Pass {words!r}, a "
            f"safetensors file of sha256 {noted.get('file_sha256', 'unknown')}."
        )
    named = str(weights) in TEACHERS or str(weights).startswith(TIMM)
    known = original(str(weights)) if named else original(source, weights)
    state = known.network.state_dict()
    if known.source != source or sha256_of_tensors(state) != noted["sha256"]:
        raise StorageError(
            f"weights of {source} must be those that it was adapted with, {words}, sha256 of the tensors "
            f"{noted['sha256'][:12]}; got {weights}, sha256 {sha256_of_tensors(state)[:12]}. Nothing was put in; pass "
            "the right file."
        )
    place = noted.pop(LEFT_OUT)
    content = {name: value for name, value in config.items() if name not in ("format", "sha256")}
    content["model_args"] = {**config["model_args"], "original": noted}
    whole = held.weights() | {f"{place}{name}": value for name, value in state.items()}
    with TemporaryDirectory(prefix="eqmodels-") as there:
        # Read back as any folder: every tensor is accounted for, and features are compared with those of the writer.
        write_network(Path(there), pack_weights(whole), content)
        encoder = load_for_images(Path(there))
    assert isinstance(encoder, Backbone)
    return encoder
