"""``eqmodels evaluate``: what a pretrained encoder knows, or several that differ in the seed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from eqmodels.backbones import Backbone
from eqmodels.backbones.describe import name_of
from eqmodels.cli.chosen_data import add_data_flags, chosen_data, flags_given, loaded
from eqmodels.cli.clouds import evaluate_run, is_of_points
from eqmodels.cli.images import as_taken, own_size
from eqmodels.cli.kept_results import keep_results, place_of_results
from eqmodels.cli.own_classifier import judge_classifier
from eqmodels.cli.probed_images import with_probed_classes
from eqmodels.cli.terminal import has_watchers, say, say_failure
from eqmodels.data import Source, Split, at_most, list_data
from eqmodels.evaluation import EncoderEvaluation, SeedSummary, evaluate, over_seeds
from eqmodels.evaluation.evaluating import ANEW, CURVE_IMAGES, FRACTIONS
from eqmodels.evaluation.seeds import check_seeds
from eqmodels.hub import load, load_pretrained
from eqmodels.processes import World
from eqmodels.processes.local import check_processes, on_processes, processes_here
from eqmodels.processes.world import joined_world
from eqmodels.reports import Table, percent
from eqmodels.storage import WEIGHTS, prepare_folder, sha256_of, write_atomically
from eqmodels.training import Run
from eqmodels.training.errors import NoRunError

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Trains linear probes on frozen features of upright training images and measures them on held-out images, upright "
    "and turned, for every way to pool the features; and how well the head predicts its task. Images are seen "
    "in the size in which the network learned; with --size, where --data has it, in another. What is measured of a "
    "finished run, or of an encoder in a folder, is written there, as results.json, for its card. Takes minutes: with "
    "--limit and --quick less, and on several processes that torchrun starts."
)
SPLITS: tuple[Split, Split] = ("train", "test")
EPILOG = """\
Data is looked for in --root, in the folder named by the variable EQMODELS_DATA, in torchvision's folder and in Debian's
(/usr/share/datasets); else torchvision downloads it. fashion_mnist_mini is part of the package.

examples:
  eqmodels evaluate c4_resnet18s_w16.rot_fmnist_simclr --data fashion_mnist_mini
  eqmodels evaluate runs/my_run --limit 1000 --kind canonical --json
  eqmodels evaluate folder_of_save_pretrained --data fashion_mnist_mini
  eqmodels evaluate runs/seed0 runs/seed1 runs/seed2 --quick
  eqmodels evaluate c4resnet18 --classifier --data imagenet --root /data/imagenet
  torchrun --nproc-per-node 2 -m eqmodels evaluate runs/my_run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network and the options."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="the folder of a run, a checkpoint in it, the folder of an encoder alone (with --data), or a name of the "
        "zoo; of several, runs of one model that differ in the seed, also means and intervals",
    )
    parser.add_argument(
        "--data", metavar="NAME", help=f"{', '.join(list_data())} (default: what the run was trained on)"
    )
    parser.add_argument("--root", metavar="FOLDER", help="the folder that has the data")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="number of training images of the probes, equally many of every class, and at most so many test images "
        "for the curve over the angles (default: all, and 2000)",
    )
    parser.add_argument(
        "--kind",
        action="append",
        metavar="NAME",
        help="a kind of features to measure, such as regular or canonical, and again for another (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="linear probes and heads as they are: no neighbours, subsets of labels, angles and augmented images",
    )
    parser.add_argument(
        "--classifier",
        action="store_true",
        help="train nothing, and measure the classifier that the network was saved with: top-1 and top-5 on the "
        "held-out images, upright and turned",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="that share the work, each of which holds the images (default: on a CPU under Linux as many as PyTorch "
        "would use threads, and at most 16; else 1, and under torchrun those that it starts)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", default=0, help="of validation splits, subsets and labels (default: 0)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write everything as JSON into a file")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of a table")
    parser.add_argument("--quiet", action="store_true", help="do not say what is being measured, and show no bar")
    add_data_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints what was measured, by one process or several.

    Raises:
        ValueError: if so many cannot share the work, there is no such network or data set, they do not fit, or several
            networks do not differ in the seed alone.
        StorageError: if the network's files are damaged, or the result cannot be written.
        ProcessError: if another of several processes was killed.
    """
    if arguments.output and arguments.output.is_dir():
        raise ValueError(f"--output must name a file; {arguments.output} is a folder. Name a file in it.")
    if arguments.classifier:
        return judge_classifier(arguments)
    if (count := arguments.processes) is None:
        count = processes_here(arguments.device)
    check_processes(count, arguments.device, "--processes")
    return on_processes(count, partial(_run, arguments), say_failure)


def _run(arguments: argparse.Namespace) -> int:
    """What each of the processes does."""
    with joined_world(arguments.device) as world, world.together(ANEW):
        # Before anything is measured: it takes minutes a network.
        networks = world.each_after_first(lambda: _networks(arguments))
        if is_of_points(networks[0]):
            return world.from_writer(lambda: evaluate_run(arguments, networks[0]))
        if arguments.output:
            folder = arguments.output.parent
            world.from_writer(lambda: prepare_folder(folder, option="--output"))
        for name, network in zip(arguments.names, networks, strict=True):
            if isinstance(network, Run):
                _report_unfinished(name, network)
            (network.model if isinstance(network, Run) else network).to(world.device)
        results = []
        for name, network in zip(arguments.names, networks, strict=True):
            results.append(_of_weights(name, network, _measured(network, arguments, world)))
            # At once: the next network may take minutes, or be stopped.
            world.from_writer(partial(_keep, arguments, name, network, results[-1]))
        content = results[0].to_dict()
        text = "\n\n".join(map(evaluation_text, results))
        if len(results) > 1:
            summary = world.from_each(lambda: over_seeds(results))[0]
            content = {"summary": summary.to_dict(), "evaluations": [result.to_dict() for result in results]}
            text = f"{text}\n\n{summary_text(summary)}"
        encoded = json.dumps(content, indent=2)
        say(encoded if arguments.json else text, flush=True)
        if arguments.output:
            world.from_writer(lambda: write_atomically(arguments.output, encoded + "\n"))
    return 0


def _networks(arguments: argparse.Namespace) -> list[Run | Backbone]:
    """The networks that are named, if they can be measured together; a `ValueError` otherwise."""
    networks = [_network(name) for name in arguments.names]
    _check_together(arguments, networks)
    return networks


def _of_weights(name: str, network: Run | Backbone, result: EncoderEvaluation) -> EncoderEvaluation:
    """What was measured with the hash of the weights: a run knows that of its own, an encoder alone does not."""
    file = Path(name) / WEIGHTS
    if isinstance(network, Run) or not file.is_file():
        return result
    return replace(result, sha256=sha256_of(file))


def _keep(arguments: argparse.Namespace, name: str, network: Run | Backbone, result: EncoderEvaluation) -> None:
    """Writes what was measured into the folder of the network, if it has one, and says so."""
    if (file := place_of_results(name, network)) is not None and file != arguments.output:
        say(keep_results(file, result), file=sys.stderr, flush=True)


def _network(name: str) -> Run | Backbone:
    """The run of a name, or the encoder that lies there alone, without its classifier: features are measured."""
    try:
        return load_pretrained(name)
    except NoRunError:
        # Of images or of points: what is done with these asks.
        return cast("Backbone", load(name, num_classes=0))


def _check_together(arguments: argparse.Namespace, networks: Sequence[Run | Backbone]) -> None:
    """Raises a `ValueError` unless it is known what the networks are measured on, and that several differ in the seed.

    What an encoder alone was trained on, and from which seed, is not known.
    """
    runs = [network for network in networks if isinstance(network, Run)]
    alone = [name for name, network in zip(arguments.names, networks, strict=True) if not isinstance(network, Run)]
    if alone and len(networks) > 1:
        raise ValueError(
            f"several networks must be runs, which differ in the seed; got {alone[0]}, an encoder alone. Evaluate it "
            "by itself."
        )
    if alone and arguments.data is None:
        raise ValueError(
            f"{alone[0]} is an encoder alone, and does not say what it was trained on. Name the images, for instance "
            "--data fashion_mnist_mini."
        )
    check_seeds([run.config.flat() for run in runs], [run.sha256 for run in runs])


def _report_unfinished(name: str, run: Run) -> None:
    """Says of a run that is not done that its checkpoint is measured."""
    epochs = run.config.optimisation.epochs
    if (done := run.provenance.get("epochs", epochs)) < epochs:
        say(f"{name} is not done: measuring its checkpoint, after {done} of {epochs} epochs", file=sys.stderr)


def _images(
    arguments: argparse.Namespace, network: Run | Backbone, name: str, options: dict[str, Any]
) -> tuple[Source, Source, list[str]]:
    """Training and test images, and what is left out of them."""
    train, test = (loaded(name, split, options, root=arguments.root) for split in SPLITS)
    train, test, left_out = with_probed_classes(train, test)
    if arguments.limit is not None and arguments.limit < (classes := len(train.classes)):
        raise ValueError(f"--limit must be at least {classes}, one image a class of {name}; got {arguments.limit}.")
    told = _left_out(arguments, len(train), len(test))
    resized = "size" not in flags_given(arguments)
    train = as_taken(network, at_most(train, arguments.limit), "train", resized=resized)
    return train, as_taken(network, test, "test", resized=resized), [*left_out, *told]


def _measured(network: Run | Backbone, arguments: argparse.Namespace, world: World) -> EncoderEvaluation:
    name, options = chosen_data(arguments, network.config if isinstance(network, Run) else None)
    options = {**options, **own_size(network.preprocessing, name), **flags_given(arguments)}
    model = network.name if isinstance(network, Run) else str(name_of(network))
    train, test, left_out = world.each_after_first(lambda: _images(arguments, network, name, options))
    quick: bool = arguments.quick
    # A bar is for people who look; a log has a line for each thing that is measured.
    quiet, looks = arguments.quiet, has_watchers()
    for what in left_out:
        say(f"left out: {what}", file=sys.stderr, flush=True)
    with tqdm(unit="step", disable=quiet or not looks, leave=False) as bar:

        def report(what: str) -> None:
            bar.set_description_str(f"{model}: {what}")
            if not (quiet or looks):
                say(f"measuring {model}: {what}", file=sys.stderr, flush=True)

        def progress(done: int, steps: int) -> None:
            bar.total = steps
            bar.update(done - bar.n)

        return evaluate(
            network,
            train,
            test,
            kinds=arguments.kind,
            seed=arguments.seed,
            name=model,
            report=report,
            progress=progress,
            knn=not quick,
            fractions=() if quick else FRACTIONS,
            curve_images=0 if quick else _curve_images(arguments),
            augmented=not quick,
        )


def _curve_images(arguments: argparse.Namespace) -> int:
    """Test images for the curve over the angles, at most."""
    return CURVE_IMAGES if arguments.limit is None else min(CURVE_IMAGES, arguments.limit)


def _left_out(arguments: argparse.Namespace, train: int, test: int) -> list[str]:
    """What the options leave out of so many training and held-out images, and the curve if it has fewer."""
    told, curve_images = [], _curve_images(arguments)
    if arguments.limit is not None and arguments.limit < train:
        told.append(f"{train - arguments.limit:,} of {train:,} training images (--limit)")
    if arguments.kind:
        told.append("features of other kinds (--kind)")
    if arguments.quick:
        told.append("nearest neighbours, few labels, the curve over the angles and heads on augmented images (--quick)")
    elif curve_images < test:
        told.append(f"{test - curve_images:,} of {test:,} held-out images, of the curve over the angles")
    return told


def evaluation_text(result: EncoderEvaluation) -> str:
    """The result as tables."""
    rows = [
        [
            scores.kind,
            str(scores.width),
            percent(scores.accuracy),
            percent(scores.turned),
            percent(scores.angle_mean),
            percent(scores.angle_worst),
            percent(scores.knn),
            *(percent(scores.labels[part].mean if part in scores.labels else None) for part in ("0.01", "0.1")),
            f"{scores.effective_rank:.1f}",
        ]
        for scores in result.kinds
    ]
    header = ["features", "width", "upright", "turned", "angles", "worst", "kNN", "1% labels", "10%", "rank"]
    tasks = [
        [
            scores.task,
            str(scores.num_labels),
            percent(scores.accuracy),
            percent(scores.augmented_accuracy),
            percent(scores.training_accuracy),
            f"{scores.loss:.3f}",
        ]
        for scores in result.tasks
    ]
    if (head := result.class_head) is not None:
        own = (head.accuracy, head.augmented_accuracy, head.training_accuracy)
        tasks.append([f"class ({head.weight:+g})", str(head.num_classes), *map(percent, own), f"{head.loss:.3f}"])
    task_header = ["task", "labels", "held-out", "augmented", "training", "loss (nats)"]
    dose = "" if head is None else "\n\nclass: its head, in brackets the dose of its gradient in the backbone."
    worst = max(result.equivariance_error.values())
    circle = (
        "of probes trained on images that were seen so too"
        if result.circular_probes
        else "of probes that were trained on whole images"
    )
    moves = "" if result.group == "C1" else f"an element of {result.group} or "
    columns = (
        "held-out, augmented: the head on these held-out images, as they are and augmented; training: on its own "
        "augmented training images, in the last epoch of pretraining."
    )
    heads = f"\n\n{Table(task_header, tasks).text()}\n\n{columns}{dose}" if tasks else ""
    return (
        f"{result.model}: {result.parameters:,} parameters, and {result.head_parameters:,} of the head. Probes were "
        f"trained on {result.train[1]:,} images of {result.train[0]}; accuracies in % on {result.test[1]:,} held-out "
        f"ones.\n\n{Table(header, rows).text()}\n\nturned: by 90, 180 and 270 degrees, whatever the group; angles, "
        f"worst: every 15 degrees, seen through a circle, {circle}; rank: effective rank; -: not measured.{heads}\n\n"
        f"When the image moves by {moves}a quarter turn, the encoder's own features differ from the moved features "
        f"(where nothing is known of the motion: from what they were) by at most {worst:.1e} of their length."
    )


def summary_text(summary: SeedSummary) -> str:
    """Means and intervals as a table."""
    rows = [
        [
            found.kind,
            str(found.width),
            *("-" if value is None else value.as_percent() for value in (found.accuracy, found.turned, found.knn)),
        ]
        for found in summary.kinds
    ]
    tasks = "; ".join(f"{task.task} {task.accuracy.as_percent()}" for task in summary.tasks)
    return (
        f"{summary.model}, {summary.seeds} runs: means with 95% intervals over them (Student's t), in %.\n\n"
        f"{Table(['features', 'width', 'upright', 'turned', 'kNN'], rows).text()}\n\nheld-out: {tasks}"
    )
