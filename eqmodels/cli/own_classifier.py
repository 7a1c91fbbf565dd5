"""``eqmodels evaluate --classifier``: how often the classifier that a network was saved with is right."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from eqmodels.cli.chosen_data import chosen_data, flags_given, loaded
from eqmodels.cli.images import own_size
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import progress
from eqmodels.evaluation import classifier_accuracy
from eqmodels.hub.loading import load_for_images as load
from eqmodels.processes import usable_device
from eqmodels.reports import percent
from eqmodels.storage import prepare_folder, write_atomically

__all__ = ["judge_classifier"]


def judge_classifier(arguments: argparse.Namespace) -> int:
    """Prints the accuracy of a network's own classifier on held-out images; 0.

    Raises:
        ValueError: if there are several networks, images are not named, or are not those of the classifier.
        StorageError: if the network's files are damaged, or the result cannot be written.
    """
    if len(arguments.names) > 1 or arguments.data is None:
        raise ValueError(
            f"--classifier is asked of one network, about images that are named; got {len(arguments.names)} networks, "
            f"--data {arguments.data}. Add --data imagenet --root FOLDER, for instance."
        )
    (name,) = arguments.names
    network = load(name).to(usable_device(arguments.device))
    data, options = chosen_data(arguments, None)
    options = {**options, **own_size(network.preprocessing, data), **flags_given(arguments)}
    source = loaded(data, "test", options, root=arguments.root)
    if arguments.output:
        prepare_folder(arguments.output.parent, option="--output")
    with progress(arguments, len(source)) as advance:
        found = classifier_accuracy(network, source, progress=advance)
    content = json.dumps({"network": name, "data": source.name, **asdict(found)}, indent=2)
    if arguments.output:
        write_atomically(arguments.output, content + "\n")
    say(
        content
        if arguments.json
        else f"{name} on {found.images:,} held-out images of {source.name}: top-1 {percent(found.top1)}%, top-5 "
        f"{percent(found.top5)}%; turned by quarters {percent(found.turned)}%, {percent(found.changed)}% of the "
        "predictions change"
    )
    return 0
