"""Pretrained networks: the zoo and the Hugging Face Hub, with their runs, results and cards."""

from eqmodels.hub.entries import entry_of
from eqmodels.hub.loading import create_model, list_models, load, load_pretrained
from eqmodels.hub.publishing import Publication, publish
from eqmodels.hub.timm_models import register_timm
from eqmodels.hub.verification import Check, Verification, verify
from eqmodels.remote import ZooEntry, list_pretrained, locate, read_index

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
    "verify",
]
