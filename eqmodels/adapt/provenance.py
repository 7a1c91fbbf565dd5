"""Where the weights of an adapted network are from: noted when it is adapted, told and compared afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from torch import nn

from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone, Canonicalised, Symmetrised, TurnedUpright
from eqmodels.errors import shown
from eqmodels.storage import sha256_of_tensors

__all__ = ["holds_original", "network_of", "record_of"]

OF_A_MODULE = "of a module that was given"
"""What is known of weights that came in a module, beside their sha256."""


def record_of(source: str, network: nn.Module, weights: str, file_sha256: str | None = None) -> dict[str, str]:
    """What a config says of the weights that were adapted, in words by name.

    Args:
        source: the word that names the network.
        network: with its weights.
        weights: where they are from.
        file_sha256: of the file that they were read from, if it was one.

    Returns:
        ``source``, ``weights``, ``sha256`` (that of the tensors, see `sha256_of_tensors`); ``library`` with its
        version, if it is one; and ``file_sha256``.
    """
    record = {"source": source, "weights": weights, "sha256": sha256_of_tensors(network.state_dict())}
    library, colon, _ = source.partition(":")
    if colon:
        with suppress(PackageNotFoundError):  # an origin of one's own
            record["library"] = f"{library} {version(library)}"
    return record if file_sha256 is None else {**record, "file_sha256": file_sha256}


def network_of(encoder: Backbone) -> tuple[str, object]:
    """The network of others in an adapted encoder, and the name of its place there.

    Raises:
        TypeError: if it is no such encoder.
    """
    if isinstance(encoder, Symmetrised):
        return "orbit.network", encoder.orbit.network
    if isinstance(encoder, Canonicalised):
        return "canonical.orbit.network", encoder.canonical.orbit.network
    raise TypeError(f"encoder must be what symmetrise or canonicalise gives; got {shown(encoder)}. Pass such a one.")


def holds_original(encoder: Backbone) -> bool:
    """Whether the network in an adapted encoder has, bit for bit, the weights that it was adapted with.

    After fine-tuning it has not. In float32: an encoder in another type has other weights.

    Args:
        encoder: of `symmetrise`, `canonicalise` or `turn_upright`, or loaded from a file of one.

    Raises:
        TypeError: if it is no such encoder.
        ValueError: if nothing is known of what it was adapted with.
    """
    check_arguments(holds_original, locals())
    if isinstance(encoder, TurnedUpright):
        network: object = encoder.upright.encoder
    else:
        network = network_of(encoder)[1]
    known: Mapping[str, str] | None = encoder.structure.get("original")
    if known is None or not isinstance(network, nn.Module):
        raise ValueError(
            "encoder must know what it was adapted with; this one does not say it. Adapt a network that is named, "
            "symmetrise('timm:resnet18'), or pass its source."
        )
    return sha256_of_tensors(network.state_dict()) == known["sha256"]
