"""What is compared: networks by their names, whosever they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from eqmodels.adapt import original
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Encoder, as_encoder, create_model, list_models
from eqmodels.backbones.registry import check_name
from eqmodels.bench.adapted import ADAPTATIONS, adapted, split_adapted
from eqmodels.errors import nearest_names
from eqmodels.hub.loading import list_models as pretrained_models
from eqmodels.hub.loading import load_for_images
from eqmodels.remote import list_pretrained, read_index
from eqmodels.storage import CONFIG, WEIGHTS, sha256_of

__all__ = ["Contender", "chosen_models"]

RANDOM, ESCNN, HUB = "random:", "escnn:", "hub:"
ORIGINS = ("timm:", "torchvision:")
NEEDS = {"timm:": "timm", f"{RANDOM}timm:": "timm", ESCNN: "escnn"}
"""The package that networks of a prefix are built of, where it is none that this package needs itself."""
_WIDTH = re.compile(r"_w[0-9]+$")


@dataclass(frozen=True)
class Contender:
    """A network that is compared.

    Attributes:
        name: a name of the zoo, a folder, ``hub:organisation/name``, ``timm:name`` (with the weights that timm
            fetches), an architecture of this package (as it is initialised), ``random:timm:name`` or
            ``random:torchvision:name`` (as they are), or ``escnn:`` and an architecture, of escnn's own modules. Any of
            them behind ``symmetrised:c4:`` is averaged over the orbit of that group; behind ``canonicalised:by:`` it
            sees images that were turned upright by a pretrained network with a pose, or an architecture.
    """

    name: str

    @cached_property
    def made_of(self) -> tuple[Contender, ...]:
        """The network that is adapted, first, and the one that predicts the pose, if there is one; else nothing."""
        if not self.name.startswith(ADAPTATIONS):
            return ()
        kind, by, inner = split_adapted(self.name)
        return (Contender(inner), *((Contender(by),) if kind == ADAPTATIONS[1] else ()))

    @property
    def origin(self) -> Contender:
        """The network that is adapted, itself if it is not."""
        return self.made_of[0].origin if self.made_of else self

    @property
    def missing(self) -> str:
        """The package that it is built of and that is not installed; empty if nothing is missing."""
        name = self.origin.name
        needed = [package for prefix, package in NEEDS.items() if name.startswith(prefix)]
        return next((package for package in needed if find_spec(package) is None), "")

    @property
    def is_random(self) -> bool:
        """Whether its weights, or those of a part, are drawn anew for every seed."""
        if self.made_of:
            return any(part.is_random for part in self.made_of)
        return self.name.startswith((RANDOM, ESCNN)) or not (
            self.is_folder or self.name.startswith((HUB, *ORIGINS)) or self.name in list_pretrained()
        )

    @property
    def is_folder(self) -> bool:
        """Whether it lies in a folder of the user's."""
        return self.name not in list_pretrained() and (Path(self.name) / CONFIG).is_file()

    def weights(self) -> str:
        """What tells its weights from those of before: the sha256 of a folder's or of the zoo's, as they may be new.

        Empty where the name says all.
        """
        if self.made_of:
            return "".join(part.weights() for part in self.made_of)
        if (entry := read_index().get(self.name)) is not None:
            return entry.sha256[:16]
        file = Path(self.name) / WEIGHTS
        return sha256_of(file)[:16] if self.is_folder and file.is_file() else ""

    def build(self, seed: int = 0, channels: int | None = None) -> Encoder:
        """The encoder, in eval mode on the CPU, without a classifier.

        Args:
            seed: of random weights.
            channels: of the images of one of our architectures, as it is initialised; None for three.

        Raises:
            ValueError: if there is no such network.
            StorageError: if its files cannot be had or are damaged.
            ModuleNotFoundError: if what it is built of is not installed.
        """
        check_arguments(Contender.build, {"seed": seed, "channels": channels})
        if self.made_of:
            network = self.made_of[0].build(seed, channels)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return adapted(self.name, network)
        if not self.is_random:
            if self.name.startswith(ORIGINS):
                return as_encoder(original(self.name).network)
            return load_for_images(self.name, num_classes=0)
        wanted: dict[str, Any] = {} if channels is None else {"in_chans": channels}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.name.startswith(RANDOM):
                return as_encoder(original(self.name.removeprefix(RANDOM), "random").network, in_chans=3)
            if self.name.startswith(ESCNN):
                wanted["backend"] = "escnn"
            encoder: Encoder = create_model(self.name.removeprefix(ESCNN), num_classes=0, **wanted).eval()
            return encoder


def chosen_models(patterns: Sequence[str]) -> tuple[Contender, ...]:
    """The networks that names and shell patterns mean, each once, in their order.

    A pattern is asked of the zoo first, then of the architectures, which may have a width behind it.

    Args:
        patterns: see `Contender` for what else a name may be.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if one means nothing; gives the nearest names.
    """
    check_arguments(chosen_models, locals())
    names = [name for pattern in patterns for name in _names(pattern)]
    return tuple(Contender(name) for name in dict.fromkeys(names))


def _names(pattern: str) -> list[str]:
    own = Contender(pattern)
    if own.made_of:
        inner = own.made_of[0].name
        return [f"{pattern.removesuffix(inner)}{name}" for name in _names(inner)]
    if pattern.startswith((HUB, RANDOM, ESCNN, *ORIGINS)) or own.is_folder:
        return [pattern]
    width = _WIDTH.search(pattern)
    architectures = list_models(pattern, takes="images")
    if not architectures and width is not None:
        architectures = [f"{one}{width[0]}" for one in list_models(pattern[: width.start()], takes="images")]
    if found := pretrained_models(pattern, pretrained=True, takes="images") or architectures:
        return found
    with suppress(ValueError):
        check_name(pattern)  # of any group, and of parts that no list has
        return [pattern]
    known = [*pretrained_models(pretrained=True, takes="images"), *list_models(takes="images")]
    near = nearest_names(pattern, known, 3)
    hint = f"The nearest names are {', '.join(near)}." if near else "eqmodels models --pretrained lists the zoo."
    raise ValueError(
        f"models must be names or patterns of the zoo or of the architectures, folders, timm:NAME, hub:REPOSITORY, "
        f"random:timm:NAME, escnn:NAME or symmetrised:c4:NAME; got {pattern!r}, which is none. {hint}"
    )
