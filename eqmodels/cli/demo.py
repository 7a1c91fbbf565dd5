"""``eqmodels demo``: the main job on the embedded images, in three to five minutes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from eqmodels.backbones import PointBackbone
from eqmodels.cli.demo_report import SHOWN, DemoResult, Learning, TwinResult, shown_of, write_report
from eqmodels.cli.terminal import say
from eqmodels.data import Source, at_size, balanced_subset, load_data
from eqmodels.evaluation import CloudEvaluation, EncoderEvaluation, evaluate, evaluate_clouds, images_per_second
from eqmodels.export import to_plain
from eqmodels.hub import load_pretrained
from eqmodels.reports import Table, percent
from eqmodels.storage import LONGEST_LOG, prepare_folder
from eqmodels.training import PretrainConfig, Pretraining, Run, snapshot

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

EQUIVARIANT, STANDARD = "c4_resnet18_w32.distil_lite0", "resnet18_w32.distil_lite0"
DATA, LEARNED = "openclipart_mini", "fashion_mnist_mini"
"""What the two are measured on, and what the tiny network learns from: small grey images, as it has a minute."""
OF_POINTS, PARTS = "so3_vectors_small.frame_kicad", "kicad_parts_mini"
"""What is turned in all of space, and the clouds that are."""
PROBED_PARTS = 240
"""Training clouds of its probe."""
PROBED, CURVE_IMAGES = 1000, 250
"""Training images of the probes, and test images of the curve over the angles."""
LEARNING_IMAGES = 2000
"""Training images of the tiny network's probes."""
TRIAL_STEPS = 20
"""Steps by which the speed of this machine is told."""
STRENGTHS = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Of the probes' penalty: the weaker ones that `evaluate` tries by default are for more images than there are here."""

DESCRIPTION = (
    f"On {DATA}, colour pictures that are part of the package: loads {EQUIVARIANT} and {STANDARD}, measures both on "
    f"upright and on turned pictures; measures {OF_POINTS} on electronic parts, upright and turned in space; pretrains "
    f"a tiny equivariant network on {LEARNED} for a minute, prints one table and writes a page with pictures. Takes "
    "three to five minutes on two processor cores and downloads nothing."
)
EPILOG = "then: eqmodels pretrain --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds where the page goes, and how long the tiny network is trained."""
    parser.add_argument("--folder", type=Path, default=Path("report"), help="where the page goes (default: report)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="duration of the tiny network's training (default: 60)"
    )
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table, and writes the page if matplotlib is installed.

    Raises:
        ValueError: if the duration is not positive.
    """
    if not arguments.seconds > 0:
        raise ValueError(f"--seconds must be positive; got {arguments.seconds:g}. Leave it out for 60.")
    prepare_folder(arguments.folder)
    twins = {name: load_pretrained(name) for name in (EQUIVARIANT, STANDARD)}
    seen = twins[EQUIVARIANT].preprocessing
    parts = balanced_subset(load_data(DATA, "train"), PROBED), load_data(DATA, "test")
    train, test = (at_size(part, seen.size, seen.resize) for part in parts)
    speeds = _speeds(twins, test)
    results = []
    for name, twin in twins.items():
        say(f"measuring {name} ...", file=sys.stderr, flush=True)
        scores = evaluate(
            twin,
            train,
            test,
            kinds=shown_of(twin),
            knn=False,
            fractions=(),
            curve_images=CURVE_IMAGES,
            strengths=STRENGTHS,
        )
        results.append(TwinResult(name, twin, scores, speeds[name]))
    say(f"measuring {OF_POINTS} ...", file=sys.stderr, flush=True)
    clouds = _clouds(load_data(PARTS, "train"), load_data(PARTS, "test"))
    say(f"pretraining a tiny network for {arguments.seconds:.0f} s ...", file=sys.stderr, flush=True)
    learning = _learn(load_data(LEARNED, "train"), load_data(LEARNED, "test"), arguments.seconds)
    result = DemoResult(tuple(results), learning, train, test, clouds)
    say(json.dumps(result.to_dict(), indent=2) if arguments.json else f"\n{_text(result)}\n")
    if importlib.util.find_spec("matplotlib") is None:
        words = "No page with pictures: matplotlib is not installed; run: pip install matplotlib"
    else:
        words = f"The same with pictures: {write_report(result, arguments.folder)}"
    say(words, file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _clouds(train: Source, test: Source) -> CloudEvaluation:
    """Canonical features of parts, upright and in random poses of space, and how well up is found."""
    encoder = load_pretrained(OF_POINTS).encoder("canonical")
    found = evaluate_clouds(cast("PointBackbone", encoder), balanced_subset(train, PROBED_PARTS), test)
    return replace(found, model=OF_POINTS)


def _speeds(twins: dict[str, Run], test: Source) -> dict[str, float]:
    """Images per second of the exported encoders."""
    size = test.size
    networks = {name: to_plain(run.backbone, size=size, fold_batch_norm=True) for name, run in twins.items()}
    networks = {name: network.to(memory_format=torch.channels_last) for name, network in networks.items()}
    images = test.pixels(slice(0, 64)).contiguous(memory_format=torch.channels_last)
    return images_per_second(networks, images)


def _learn(train: Source, test: Source, seconds: float) -> Learning:
    """Pretrains a tiny network until the time is over, and measures it before and after."""
    config = PretrainConfig.of(model="c4_resnet18s_w8", batch_size=64, data=LEARNED)
    with torch.random.fork_rng(devices=[]):
        config = config.replaced(epochs=_epochs(config, train, seconds))
        training = Pretraining(config, train)

        few = balanced_subset(train, LEARNING_IMAGES)

        def scored() -> EncoderEvaluation:
            return evaluate(
                snapshot(training),
                few,
                test,
                kinds=SHOWN["c4"],
                knn=False,
                fractions=(),
                curve_images=0,
                strengths=STRENGTHS,
            )

        before = scored()
        losses: list[float] = []
        training.network.train()
        started = time.monotonic()
        # One step at least: without any there is no loss to show.
        while not losses or (
            time.monotonic() - started < seconds and training.progress.epoch < config.optimisation.epochs
        ):
            losses.append(_step(training))
        spent = time.monotonic() - started
        after = scored()
    return Learning(config.model.name, spent, tuple(losses), config.optimisation.batch_size, before, after)


def _epochs(config: PretrainConfig, train: Source, seconds: float) -> int:
    """How many epochs the time takes on this machine, so that the schedule ends with it, or in the epoch after."""
    trial = Pretraining(config.replaced(epochs=TRIAL_STEPS), train)
    trial.network.train()
    _step(trial)
    started = time.monotonic()
    for _ in range(1, TRIAL_STEPS):
        _step(trial)
    each = (time.monotonic() - started) / (TRIAL_STEPS - 1)
    return math.ceil(min(seconds / (each * trial.steps_per_epoch), LONGEST_LOG))


def _step(training: Pretraining) -> float:
    """Takes one step, and ends the epoch if it was the last one; its loss in nats."""
    counted = training.progress.counts.losses.get("loss", 0.0)
    training.step()
    loss = (training.progress.counts.losses["loss"] - counted) / training.config.optimisation.batch_size
    if training.progress.step == training.steps_per_epoch:
        training.end_epoch()
    return loss


def _text(result: DemoResult) -> str:
    rows = [
        [
            name,
            scores.kind,
            percent(scores.accuracy),
            percent(scores.turned),
            percent(scores.angle_worst),
            f"{error:.0e}",
            f"{parameters:,}",
            "-" if speed is None else f"{speed:,.0f}",
        ]
        for name, scores, error, parameters, speed in result.rows()
    ]
    header = ["encoder", "features", "upright", "turned", "worst angle", "equivariance error", "parameters", "images/s"]
    return Table(header, rows).text() + "\n\n" + "\n".join(result.sentences())
