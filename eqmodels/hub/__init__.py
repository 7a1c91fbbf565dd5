"""Pretrained encoders."""

from eqmodels.hub.zoo import list_pretrained, load_pretrained, pretrained_encoder

__all__ = ["list_pretrained", "load_pretrained", "pretrained_encoder"]
