"""Pretrained networks: the zoo and the Hugging Face Hub, with their runs, results and cards.

What publishes, verifies and measures is loaded when it is first used: `create_model` needs none of it.
"""

from typing import TYPE_CHECKING

from eqmodels.hub.loading import create_model, list_models, load, load_pretrained
from eqmodels.lazy import names_from
from eqmodels.remote import ZooEntry, list_pretrained, locate, read_index

if TYPE_CHECKING:
    from eqmodels.hub.entries import entry_of
    from eqmodels.hub.publishing import Publication, publish
    from eqmodels.hub.timm_models import register_timm
    from eqmodels.hub.torchvision_models import register_torchvision
    from eqmodels.hub.transformers_models import register_transformers
    from eqmodels.hub.verification import Check, Verification, verify

__all__ = [
    "Check",
    "Publication",
    "Verification",
    "ZooEntry",
    "create_model",
    "entry_of",
    "list_models",
    "list_pretrained",
    "load",
    "load_pretrained",
    "locate",
    "publish",
    "read_index",
    "register_timm",
    "register_torchvision",
    "register_transformers",
    "verify",
]

__getattr__ = names_from(
    __name__,
    {
        "Check": "eqmodels.hub.verification",
        "Publication": "eqmodels.hub.publishing",
        "Verification": "eqmodels.hub.verification",
        "entry_of": "eqmodels.hub.entries",
        "publish": "eqmodels.hub.publishing",
        "register_timm": "eqmodels.hub.timm_models",
        "register_torchvision": "eqmodels.hub.torchvision_models",
        "register_transformers": "eqmodels.hub.transformers_models",
        "verify": "eqmodels.hub.verification",
    },
)
