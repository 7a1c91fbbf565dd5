"""What a page tells of one network: what lies in its folder, and the error of every layer."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from eqmodels.backbones import Backbone
from eqmodels.backbones.formats import network_config
from eqmodels.backbones.golden import fitting_size
from eqmodels.bench import Contender
from eqmodels.errors import EqmodelsError
from eqmodels.evaluation import EncoderEvaluation, equivariance_report
from eqmodels.groups import PlanarGroup
from eqmodels.hub.card import model_card
from eqmodels.hub.entries import RESULTS, read_results
from eqmodels.hub.loading import load_for_images
from eqmodels.remote.locating import located_here
from eqmodels.storage import LARGEST, NetworkFolder, StorageError, reason_of
from eqmodels.training import PretrainConfig
from eqmodels.training.log import LOG

__all__ = ["KnownNetwork", "known_network"]

SIDE = 32
"""The largest side of the images by which layers are judged: a fault of a layer shows at every size."""


@dataclass(frozen=True)
class KnownNetwork:
    """A network, as far as it lies on this machine.

    Attributes:
        name: its own.
        encoder: None if it is not here, or takes no images.
        evaluation: what ``eqmodels evaluate`` left beside it.
        card: in Markdown, without the metadata; empty if none can be made.
        recipe: of its training, by name.
        log: of its training, a row an epoch.
        layers: the largest error of every layer in float64, in the order of the network; empty if nothing is claimed.
        claims: in words, what the errors are of.
        notes: why something is missing, a sentence each.
    """

    name: str
    encoder: Backbone | None = None
    evaluation: EncoderEvaluation | None = None
    card: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    log: Sequence[Mapping[str, float]] = ()
    layers: Mapping[str, float] = field(default_factory=dict)
    claims: str = ""
    notes: tuple[str, ...] = ()


def known_network(name: str) -> KnownNetwork:
    """What is known of a network by its name in a benchmark; nothing is fetched, and random weights are not drawn.

    Whatever is damaged is left out, and a note says so.
    """
    contender = Contender(name)
    if contender.made_of:
        made_of = " and ".join(part.name for part in contender.made_of)
        return KnownNetwork(name, notes=(f"It is made of {made_of}. There is no more to tell than what was measured.",))
    folder = Path(name) if contender.is_folder else located_here(name)
    if folder is None:
        why = "It has random weights." if contender.is_random else "Its files are not on this machine."
        return KnownNetwork(name, notes=(f"{why} There is no more to tell than what was measured.",))
    held, notes = NetworkFolder(folder), []
    known: dict[str, Any] = {}
    parts: dict[str, Callable[[], Any]] = {
        "encoder": lambda: load_for_images(folder),
        "evaluation": lambda: read_results(held),
        "card": lambda: model_card(held, f"organisation/{folder.name}").split("---\n", maxsplit=2)[2],
        "recipe": lambda: _recipe(held),
        "log": lambda: _log(held),
        "layers": lambda: _layers(known["encoder"]) if "encoder" in known else ({}, ""),
    }
    for part, read in parts.items():
        if part in ("evaluation", "card") and not held.has(RESULTS):
            continue
        try:
            known[part] = read()
        except (EqmodelsError, OSError, ValueError, TypeError, RuntimeError) as error:
            notes.append(f"No {part}: {reason_of(error)}")
    if not held.has(RESULTS):
        notes.append("It was not measured over the angles, and has no card: eqmodels evaluate does it.")
    layers, claims = known.pop("layers", ({}, ""))
    return KnownNetwork(name, layers=layers, claims=claims, notes=tuple(notes), **known)


def _recipe(folder: NetworkFolder) -> dict[str, Any]:
    """The values of the training that a config has; of what was not trained here, none."""
    pretraining = network_config(folder).get("pretraining")
    return {} if pretraining is None else PretrainConfig.from_dict(pretraining).flat()


def _log(folder: NetworkFolder) -> list[dict[str, float]]:
    if not folder.has(LOG):
        return []
    rows = csv.DictReader(io.StringIO(folder.content(LOG, LARGEST).decode("utf-8")))
    try:
        return [{name: float(value) for name, value in row.items() if value} for row in rows]
    except (ValueError, TypeError) as error:
        raise StorageError(f"{folder.file(LOG)} is no log of a training ({reason_of(error)}).") from error


def _layers(encoder: Backbone) -> tuple[dict[str, float], str]:
    """The largest error of every layer, and of which moves: its own that permute pixels, of C1 quarter turns."""
    own = encoder.group
    tested = own if own.order > 1 else PlanarGroup(4)
    known = encoder.preprocessing
    height, width = (SIDE, SIDE) if known is None else (min(side, SIDE) for side in known.size)
    size = fitting_size(encoder, (height, width))
    report = equivariance_report(encoder, size=size, dtype=torch.float64, group=tested, angles=())
    largest: dict[str, float] = {}
    for one in report.layers:
        if one.exact:
            largest[one.layer] = max(largest.get(one.layer, 0.0), one.error)
    places = {name: number for number, (name, _) in enumerate(encoder.named_modules())}
    ordered = sorted(largest, key=lambda layer: places.get(layer.partition("#")[0], len(places)))
    words = (
        f"the moves of {own.name.upper()} that permute pixels"
        if own.order > 1
        else "quarter turns, of which it promises none"
    )
    return {layer: largest[layer] for layer in ordered}, words
