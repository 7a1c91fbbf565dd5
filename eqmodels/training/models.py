"""The options of a backbone that a pretraining config may set: all but those that the images and the run decide."""

from __future__ import annotations

from eqmodels.backbones.registry import resolve
from eqmodels.options import Option, options_of

__all__ = ["model_options"]

DECIDED = ("architecture", "group", "in_chans", "num_classes", "global_pool", "group_pool", "pose_hidden", "initialize")
"""Arguments of a backbone that its name, the images or the evaluation decide."""


def model_options(name: str, *, backend: str | None = None) -> dict[str, Option]:
    """The options of a backbone, by name; among them `backend`, where there are several.

    Args:
        name: of the backbone, see `create_model`.
        backend: what it is built by; None for this package.

    Raises:
        ValueError: if the name is unknown (gives the nearest), or has no such backend.
        TypeError: if it is no string.
    """
    parsed, architecture = resolve(name)
    having = {own for with_group, own in architecture.builders if with_group == (parsed.group is not None)}
    backends = tuple(sorted(having or {"native"}, key=lambda own: (own != "native", own)))
    choice = Option("backend", (), backends[0], backends, False, "whose modules it is built of")
    if backend is not None:
        choice.check(backend)
    builder = architecture.builder(parsed.group is not None, backend or backends[0])
    # What a part of the name says already cannot be said again.
    options = options_of(builder, without=(*DECIDED, *parsed.options))
    return options if len(backends) == 1 else options | {"backend": choice}
