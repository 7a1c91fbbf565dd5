"""A network written into a folder: weights, config and card, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eqmodels.backbones.describe import describe_network
from eqmodels.backbones.golden import golden_features
from eqmodels.backbones.named import NamedNetwork
from eqmodels.storage import pack_weights, write_network

__all__ = ["save_network"]


def save_network(network: NamedNetwork, folder: str | Path, texts: Mapping[str, str] | None = None) -> str:
    """Writes ``model.safetensors`` in float32, ``config.json`` and other texts; returns the sha256 of the first.

    Args:
        network: of any floating-point type, on any device.
        folder: is made if need be.
        texts: of more files, by their names.

    Raises:
        ValueError: if the network is not as its class builds it.
        StorageError: if a weight or a feature is no finite number, or a file cannot be written; the folder is then as
            it was.
    """
    description = describe_network(network)
    weights = pack_weights(network.state_dict())
    golden = golden_features(network, pooled=True)
    return write_network(Path(folder), weights, {**description, "golden": golden}, texts)
