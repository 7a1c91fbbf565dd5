"""``eqmodels bench``: quality, symmetry and cost of networks side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from eqmodels.bench import KINDS, SUITES, BenchPlan, planned, read_bench, run_bench, write_bench
from eqmodels.cli.terminal import has_watchers, say
from eqmodels.data import list_data
from eqmodels.experiments import Progress, shown_progress
from eqmodels.processes.world import joined_world
from eqmodels.storage import prepare_folder

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Measures networks side by side: what their frozen features know of the class, upright, turned and mirrored; how "
    "exactly they turn with the image, element by element, in float64, float32 and bfloat16; what they cost; and, in "
    "the longer suites, all angles, supervised training, and how error and time grow. Cell by cell: stopped at any "
    "moment, the same command goes on with the cell that it was at, and what is done is not done again. Under "
    "torchrun the processes share the cells, and what is timed is timed alone."
)
EPILOG = """\
examples:
  eqmodels bench
  eqmodels bench --models 'c4_*' resnet18s_w16.rot_fmnist_simclr --out runs/c4
  eqmodels bench --models c4_resnet18_w32.distil_lite0 timm:resnet18 my_adapted_network --data my_images
  torchrun --nproc-per-node 2 -m eqmodels bench --suite standard --out runs/standard

A network is a name or a pattern of the zoo, a folder, hub:organisation/name, timm:NAME with the weights that timm
fetches, an architecture as it is initialised (c4_resnet18s_w16), random:timm:NAME, or escnn: and an architecture.
Before any of them, symmetrised:c4: averages it over the orbit of a group, and canonicalised:BY: shows it images that
BY, a pretrained network with a pose, turns upright.
"""
FOLDER = Path("runs/bench")
GO_ON = "What was measured is kept: start the same command again, and it goes on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is measured and where it goes."""
    parser.add_argument(
        "--models", nargs="+", metavar="PATTERN", help="networks, see below (default: those of the suite)"
    )
    parser.add_argument(
        "--data",
        metavar="NAME|FOLDER",
        help=f"{', '.join(list_data())}, or a folder of images, one folder a class (default: those of the suite)",
    )
    parser.add_argument("--root", metavar="FOLDER", help="the folder that has the data of that name")
    parser.add_argument(
        "--suite",
        choices=list(SUITES),
        default="quick",
        help="quick: three minutes on two cores, of what is embedded; standard: all networks of the zoo, untrained and "
        "adapted ones, three seeds, all embedded images; full: whole data sets, five seeds (default: quick)",
    )
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all that the suite has)"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"of all results (default: {FOLDER})")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="do not say what is being measured, and show no bar")
    parser.add_argument("--json", action="store_true", help="print every result as JSON instead of tables")
    parser.set_defaults(goes_on="with the cell that it was at")


def run(arguments: argparse.Namespace) -> int:
    """Measures what is not done, writes all tables and prints them; 0.

    Raises:
        ValueError: if there is no such network or data, or they do not fit.
        StorageError: if a network's files are damaged, another process measures into the folder, or a file cannot be
            read or written.
        FileNotFoundError: if the images are nowhere.
        ModuleNotFoundError: if what a network is built of is not installed.
        ProcessError: if another of several processes was killed.
    """
    with joined_world(arguments.device) as world, world.together(GO_ON):
        world.from_writer(lambda: prepare_folder(arguments.out, option="--out"))
        plan = world.each_after_first(
            lambda: planned(
                SUITES[arguments.suite],
                models=arguments.models,
                data=arguments.data,
                root=arguments.root,
                device=world.device,
                kinds=arguments.kinds,
            )
        )
        if not arguments.quiet:
            say(_announced(plan, arguments), file=sys.stderr, flush=True)
        bar = shown_progress() if has_watchers() and not arguments.quiet else nullcontext(_teller(arguments))
        with bar as tell:
            run_bench(plan, arguments.out, tell=tell, world=world)
        results = read_bench(plan, arguments.out)
        files = world.from_writer(lambda: write_bench(results, arguments.out))
    if arguments.json:
        say(json.dumps([json.loads(line) for line in results.lines], indent=2))
        return 0
    say("\n\n".join(f"{table.title}\n\n{table.text()}" for table in results.tables()))
    say(
        "\nturned: by 90, 180 and 270 degrees; mirrored: and turned; changed, by mirroring: predictions other than "
        "upright; own moves: those of the network's group; ratio: of the time of a step to that of the first plain "
        f"network, with quartiles over rounds.\nThe same in files: {', '.join(map(str, files))}"
    )
    return 0


def _announced(plan: BenchPlan, arguments: argparse.Namespace) -> str:
    """What will be done, and how long it may take."""
    done = read_bench(plan, arguments.out).found
    left = [cell.expected for cell in plan.cells if cell not in done]
    minutes = sum(left) / 60
    words = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
    missing = "".join(
        f"\n{name} is left out, as {package} is not installed: pip install {package}"
        for name, package in plan.left_out.items()
    )
    return (
        f"{arguments.suite}: {len(plan.encoders)} networks, {len(plan.cells)} cells, of which {len(left)} are to be "
        f"measured, into {arguments.out}; about {'a minute' if minutes < 1.5 else words} of one process"
        f"{missing}"
    )


def _teller(arguments: argparse.Namespace) -> Callable[[Progress], None]:
    """For a log: a line a cell."""

    def tell(progress: Progress) -> None:
        if not (arguments.quiet or progress.what):
            say(progress, file=sys.stderr, flush=True)

    return tell
