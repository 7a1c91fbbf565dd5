"""Pretrained encoders: the zoo and the Hugging Face Hub."""

from eqmodels.backbones import Encoder
from eqmodels.hub.index import ZooEntry, entry_of, read_index
from eqmodels.hub.load import create_model, list_models, load, load_folder_or_repository, load_pretrained
from eqmodels.hub.publish import Publication, publish
from eqmodels.hub.push import push_encoder
from eqmodels.hub.source import list_pretrained, locate
from eqmodels.hub.timm_models import register_timm
from eqmodels.hub.verify import Check, Verification, verify

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
    "push_encoder",
    "read_index",
    "register_timm",
    "verify",
]


Encoder.hub_loader = staticmethod(load_folder_or_repository)
Encoder.hub_pusher = staticmethod(push_encoder)
