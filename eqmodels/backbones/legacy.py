"""Names of networks as files of before have them."""

from __future__ import annotations

import re

__all__ = ["modern_name"]

SMALL_STEM = re.compile(r"^((?:[cd]\d+_)?resnet(?:18|34|50))(?=_w\d+$|$)")


def modern_name(name: str) -> str:
    """Today's name of a network that a file of before names: its ``resnet18`` had the small stem, our ``resnet18s``.

    Only for names in files whose format says that they are of before: today ``resnet18`` has the ImageNet stem.

    Example:
        >>> modern_name("c4_resnet18_w16"), modern_name("wide_resnet16_8")
        ('c4_resnet18s_w16', 'wide_resnet16_8')
    """
    return SMALL_STEM.sub(r"\1s", name)
