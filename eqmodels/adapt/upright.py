"""A network with a head of the angle made an encoder that turns its pictures upright, in one call."""

from __future__ import annotations

from pathlib import Path

from eqmodels.arguments import check_arguments
from eqmodels.backbones import TurnedUpright
from eqmodels.backbones.formats import read_network_config
from eqmodels.heads import AngleHead
from eqmodels.hub.loading import load_pretrained
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.remote import locate
from eqmodels.storage import CONFIG, sha256_of_tensors
from eqmodels.training import Run

__all__ = ["turn_upright"]


def turn_upright(network: Run | str | Path, features: GlobalPoolMode = "canonical") -> TurnedUpright:
    """An encoder that turns every picture upright by the network's own head of the angle, and sees it again.

    Two passes; the features stay exactly when the picture is turned by quarters, and between them as far as the head
    tells the angle. See `Upright` for the formula. What tells the angle stays as it is when the encoder is fine-tuned.

    Args:
        network: a pretrained network with a head of the angle, or its name or folder, see `load_pretrained`: one that
            was distilled with an ``angle_weight``. It is copied.
        features: how those of the upright picture are pooled, see `GlobalPool`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has no head of the angle, or cannot pool so.
        StorageError: if its files cannot be had.

    Example:
        >>> import torch
        >>> encoder = turn_upright("c4_resnet18_w32.distil_lite0")
        >>> images = torch.rand(1, 3, 64, 64)
        >>> torch.allclose(encoder(images.rot90(1, (-2, -1))), encoder(images), atol=1e-3)
        True
    """
    check_arguments(turn_upright, {"network": network, "features": features})
    run = network if isinstance(network, Run) else load_pretrained(network)
    name = run.name if isinstance(network, Run) else str(network)
    heads = [module for module in run.objective.modules() if isinstance(module, AngleHead)]
    if not heads:
        raise ValueError(
            f"network must have a head of the angle; {name} has none. Use c4_resnet18_w32.distil_lite0, or a network "
            "that was distilled with angle_weight=0.1 (--angle-weight 0.1)."
        )
    pooled = run.encoder(features)
    record = {"source": name, "weights": "its own", "sha256": sha256_of_tensors(pooled.state_dict())}
    encoder = TurnedUpright(
        network=pooled, angle_hidden=heads[0].hidden.out_channels, original=record, in_chans=pooled.in_chans
    )
    encoder.upright.angle.load_state_dict(heads[0].state_dict())
    # Of a run itself nobody but its owner can say it.
    if not isinstance(network, Run):
        encoder.license = read_network_config(locate(network).folder / CONFIG)["pretrained_cfg"].get("license")
    return encoder.eval()
