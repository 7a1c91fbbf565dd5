"""The options of a backbone that a pretraining config may set: all but those that the images and the run decide."""

from __future__ import annotations

from eqmodels.backbones.registry import _family, _parsed
from eqmodels.options import Option, options_of

__all__ = ["model_options"]

DECIDED = ("architecture", "group", "in_chans", "num_classes", "global_pool", "group_pool", "pose_hidden", "initialize")
"""Arguments of a backbone that its name, the images or the evaluation decide."""

BACKEND = Option("backend", (), "native", ("native", "escnn"), False, "layers of this package, or of escnn")


def model_options(name: str, *, backend: str = "native") -> dict[str, Option]:
    """The options of a backbone, by name.

    Args:
        name: of the backbone, see `create_model`.
        backend: ``"native"`` or ``"escnn"``.

    Raises:
        ValueError: if the name is unknown (gives the nearest), or has no such backend.
        TypeError: if it is no string.
    """
    BACKEND.check(backend)
    match = _parsed(name)
    family = _family(name, match["group"], match["architecture"], backend)
    return options_of(family, without=DECIDED) | {"backend": BACKEND}
