"""Commands on clouds of points: what ``eqmodels evaluate`` and ``embed`` do with an encoder of points."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import cast

from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.backbones.formats import read_network_config
from eqmodels.backbones.registry import resolve
from eqmodels.cli.chosen_data import chosen_data, flags_given, loaded
from eqmodels.cli.kept_results import keep_results, place_of_results
from eqmodels.cli.terminal import say
from eqmodels.data import at_most
from eqmodels.data.space.meshes import ENDINGS
from eqmodels.evaluation import CloudEvaluation, embed_clouds, evaluate_clouds
from eqmodels.hub import load
from eqmodels.remote import locate
from eqmodels.reports import Table, percent
from eqmodels.storage import CONFIG, write_atomically
from eqmodels.training import Run

__all__ = ["embed_run", "evaluate_run", "is_of_points", "names_points"]


def is_of_points(network: object) -> bool:
    """Whether a run, or an encoder alone, takes points."""
    return getattr(network.backbone if isinstance(network, Run) else network, "takes", "images") == "points"


def evaluate_run(arguments: argparse.Namespace, network: Run | Backbone) -> int:
    """Prints what was measured of an encoder of points; 0.

    Raises:
        ValueError: if several networks are named, there is no such data set, or it does not fit.
        StorageError: if the result cannot be written.
    """
    if len(arguments.names) > 1:
        raise ValueError(f"encoders of points are evaluated one at a time; got {len(arguments.names)}. Name one.")
    if arguments.kind:
        raise ValueError(
            f"of encoders of points all kinds of features are measured; got --kind {arguments.kind[0]}. Leave it out."
        )
    name, options = chosen_data(arguments, network.config if isinstance(network, Run) else None)
    train, test = (loaded(name, split, options, root=arguments.root) for split in ("train", "test"))
    train = at_most(train, arguments.limit)
    encoder = network if isinstance(network, Run) else cast("PointBackbone", network)
    # Points of the data that were asked for are all used; else as many as a step of the training saw.
    asked = flags_given(arguments).get("points")
    result = evaluate_clouds(encoder, train, test, points=asked, seed=arguments.seed)
    (place,) = arguments.names
    file = place_of_results(place, network) if isinstance(network, Run) else None
    if file is not None and file != arguments.output:
        say(keep_results(file, result), file=sys.stderr, flush=True)
    encoded = json.dumps(result.to_dict(), indent=2)
    say(encoded if arguments.json else _text(result), flush=True)
    if arguments.output:
        write_atomically(arguments.output, (encoded + "\n").encode())
    return 0


def _text(result: CloudEvaluation) -> str:
    """The result as a table."""
    rows = [
        [
            one.kind,
            str(one.width),
            *map(percent, (one.accuracy, one.turned, one.knn, one.knn_turned)),
            f"{one.change:.1e}",
        ]
        for one in result.kinds
    ]
    lines = [
        f"{result.model}: probes of {result.train[1]:,} upright clouds of {result.train[0]}, asked about "
        f"{result.test[1]:,} as they are and in random poses",
        Table(["features", "width", "upright", "turned", "kNN", "kNN turned", "change"], rows).text(),
    ]
    if result.up is not None:
        lines.append(
            f"pose of turned clouds, median error: up {result.up:.1f} degrees, whole frame {result.frame:.1f}; up is "
            f"found to 15 degrees in {percent(result.near)}%, and {percent(result.degenerate)}% have no frame"
        )
    return "\n\n".join(lines)


def names_points(name: str) -> bool:
    """Whether the network of a name or a folder is an encoder of points; no weight is read.

    Raises:
        ValueError: if there is no such network.
        StorageError: if its files cannot be had, or are not what they should be.
    """
    content = read_network_config(locate(name).folder / CONFIG)
    return resolve(content["architecture"], plugins=False)[1].takes == "points"


def embed_run(arguments: argparse.Namespace) -> int:
    """Writes the features of meshes and clouds into a file; 0.

    Raises:
        ValueError: if files or features are none.
        FileNotFoundError: if a folder has no such files.
        StorageError: if the network cannot be had, or the file not be written.
    """
    kind = {"regular": "equivariant"}.get(arguments.features, arguments.features)
    encoder = load(arguments.name, num_classes=0, in_chans=arguments.in_chans, global_pool=kind)
    paths: list[Path] = []
    for place in arguments.images:
        found = (
            sorted(path for path in place.rglob("*") if path.suffix.lower() in ENDINGS) if place.is_dir() else [place]
        )
        if not found:
            raise FileNotFoundError(f"{place} has no meshes or clouds ({', '.join(ENDINGS)}). Name a folder with some.")
        paths += found
    found_features = embed_clouds(cast("PointBackbone", encoder), [path.resolve() for path in paths])
    found_features.save(arguments.out)
    count, width = found_features.features.shape
    if arguments.json:
        told = {"file": str(arguments.out), "images": count, "features": width, "field": found_features.field}
        say(json.dumps(told, indent=2))
    else:
        say(f"{arguments.out}: {count:,} clouds, {width} features each ({found_features.field})")
    return 0
