"""The card of an encoder of one's own: what it puts out, and how it is loaded."""

from __future__ import annotations

from huggingface_hub import ModelCard, ModelCardData

from eqmodels.backbones.named import NamedNetwork
from eqmodels.storage import for_markdown

__all__ = ["encoder_card"]


MOST = 50
"""Classes that a card names."""


def encoder_card(network: NamedNetwork, repository: str | None = None, way: str | None = None) -> ModelCard:
    """A card that says what the network's outputs mean, with metadata for the Hub.

    Args:
        network: of any class.
        repository: that the card's code loads, ``organisation/name``; None for the folder that the card lies in.
        way: how the network is had, in Markdown; None for the code that loads it.
    """
    tags = ["eqmodels", "equivariant", network.group.name]
    task = "image-classification" if network.classes else "image-feature-extraction"
    if network.takes != "images":
        task = "feature-extraction"
    data = ModelCardData(library_name="eqmodels", license=network.license, pipeline_tag=task, tags=tags)
    known = "" if network.preprocessing is None else f"Pictures are {network.preprocessing.describe()}.\n\n"
    count = len(network.classes)
    classes = ", ".join(for_markdown(name) for name in network.classes[:MOST])
    more = f" and {count - MOST:,} more" if count > MOST else ""
    known += f"Its {count:,} classes: {classes}{more}.\n\n" if count else ""
    source = "." if repository is None else f"hub:{repository}"
    way = way or f'```python\nimport eqmodels\n\nencoder = eqmodels.load("{source}")\n```\n'
    return ModelCard(
        f"---\n{data.to_yaml()}\n---\n\n# {type(network).__name__}\n\n{network.describe_output()}\n\n{known}{way}"
    )
