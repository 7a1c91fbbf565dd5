"""Pretrained encoders: the zoo and the Hugging Face Hub."""

from pathlib import Path
from typing import Any

from eqmodels.backbones import Encoder
from eqmodels.hub.index import ZooEntry, entry_of, read_index
from eqmodels.hub.load import create_model, list_models, load, load_pretrained
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


def _load_folder_or_repository(source: str | Path, **options: Any) -> Encoder:  # noqa: ANN401
    """What `Encoder.from_pretrained` does: the Hub's mixin names folders and repositories alike."""
    return load(source if Path(source).is_dir() else f"hub:{source}", **options)


Encoder.hub_loader = staticmethod(_load_folder_or_repository)
Encoder.hub_pusher = staticmethod(push_encoder)
