"""The names that other libraries are told: every architecture at its usual widths, and the zoo's with their tags."""

from __future__ import annotations

from eqmodels.backbones.registry import list_models, resolve
from eqmodels.errors import UnknownNameError
from eqmodels.groups import PlanarGroup
from eqmodels.options import options_of
from eqmodels.remote import list_pretrained, read_index

__all__ = ["takes_images", "usual_names", "zoo_tags"]

WIDTHS = (16, 32, 64)
"""Of the first stage, of the names that are registered beside those without a width."""


def usual_names() -> list[str]:
    """Every architecture with the listed groups, at its default width and at the usual ones, and those of the zoo."""
    names = set(list_models(takes="images"))
    for name in tuple(names):
        try:
            parsed, architecture = resolve(name, plugins=False)
        except UnknownNameError:  # of another distribution, which is not imported for it
            continue
        known = options_of(architecture.builder(parsed.group is not None))
        order = PlanarGroup.parse(parsed.group or "c1").order
        if "width" in known:
            names |= {f"{name}_w{width}" for width in WIDTHS if width % order == 0}
    return sorted(names | set(zoo_tags()))


def takes_images(name: str) -> bool:
    """Whether a name, perhaps with a tag, is that of a network of images; so is one that nobody here knows."""
    try:
        return resolve(name.partition(".")[0], plugins=False)[1].takes == "images"
    except UnknownNameError:
        return True


def zoo_tags() -> dict[str, list[str]]:
    """The tags of the zoo's networks of images, by architecture; what cannot be loaded here comes last."""
    here = list_pretrained()
    tags: dict[str, list[str]] = {}
    for name in filter(takes_images, (*here, *sorted(set(read_index()) - set(here)))):
        architecture, _, tag = name.partition(".")
        tags.setdefault(architecture, []).append(tag)
    return tags
