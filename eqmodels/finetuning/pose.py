"""What becomes of canonical features while all layers learn.

The choice of a pose has no gradient, so the head that predicts it would stay as it is while the features that it reads
change. Averaged over the predicted poses, features have one, and the head learns along.
"""

from __future__ import annotations

from eqmodels.backbones.network import StagedNetwork

__all__ = ["let_pose_learn", "pooling_that_learns"]


def pooling_that_learns(network: StagedNetwork) -> str:
    """The pooling to train all layers with: ``"canonical-soft"`` for ``"canonical"``, any other as it is."""
    mode = network.global_pool.mode
    return "canonical-soft" if mode == "canonical" else mode


def let_pose_learn(network: StagedNetwork) -> None:
    """Makes hard canonical pooling soft, with a fresh classifier; leaves every other network as it is."""
    if network.global_pool.mode == "canonical":
        network.reset_classifier(network.num_classes, "canonical-soft")
