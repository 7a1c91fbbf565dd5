"""The same encoder with other options, for its weights to be carried over: what else was set of it comes along."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

from eqmodels.backbones.describe import rebuilt
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.overwritten import to_be_overwritten

__all__ = ["remade"]

N = TypeVar("N", bound=StagedNetwork)


def remade(encoder: N, what: str, **changed: Any) -> tuple[N, dict[str, Tensor]]:  # noqa: ANN401
    """An encoder of the same class with other options, and the weights that are to be carried over to it.

    Its own do not matter yet. It is where the encoder is, of its dtype, so that no weight is rounded on the way, and in
    its mode; licence, gradient checkpointing and drop rates are the encoder's.

    Args:
        encoder: as `create_model` builds it.
        what: is done to it, for the sentence: ``"made wider"``.
        **changed: options of its class that are to be others; with ``num_classes=0`` the classifier is left behind.

    Raises:
        ValueError: if an option breaks its rule, or the encoder has other layers than its class builds.
    """
    with to_be_overwritten():
        another = rebuilt(encoder, **changed)
    state = encoder.state_dict()
    if changed.get("num_classes") == 0:
        state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    if state.keys() != another.state_dict().keys():
        raise ValueError(
            f"only networks as create_model builds them can be {what}; this {type(encoder).__name__} has other layers. "
            "Do that first, and exchange children then."
        )
    reference = next(encoder.parameters())
    another.to(reference.device, reference.dtype).train(encoder.training)
    another.license = encoder.license
    another.set_grad_checkpointing(encoder.grad_checkpointing)
    another.regularise(encoder.drop_rate, encoder.drop_path_rate)
    return another, state
