"""Pretrained encoders."""

from eqmodels.hub.zoo import list_pretrained, load_pretrained

__all__ = ["list_pretrained", "load_pretrained"]
