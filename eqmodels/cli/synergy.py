"""``eqmodels synergy``: how the class and the transformation help each other, in nats."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from eqmodels.cli.images import with_channels
from eqmodels.cli.table import percent, table
from eqmodels.data import LabelledImages, list_data, load_data
from eqmodels.hub import load_pretrained
from eqmodels.studies import (
    EncoderSynergy,
    SynergyPlan,
    SynergyStudy,
    encoder_synergy,
    load_study_data,
    rank_tasks,
    run_study,
    study_tables,
    write_study_report,
)
from eqmodels.studies.tables import interval

__all__ = ["DESCRIPTION", "EPILOG", "SUMMARY", "add_arguments", "run"]

SUMMARY = "measure how the class and the transformation help each other, or rank transformations for your images"
DESCRIPTION = (
    "Pretrains networks over tasks, augmentations and backbones, and measures on held-out images what their features "
    "know of the transformation, what the class would add to that (the synergy), and what the linear probe gained. "
    "Also exact models beside estimates, class information added and eliminated, and all terms over the epochs. "
    "Stopped, the same command goes on where it was. With names of networks: the same terms of these, without any "
    "training."
)
EPILOG = """\
examples:
  eqmodels synergy --quick
  eqmodels synergy c4_resnet18_w16.rot_fmnist_simclr --data fashion_mnist_mini
  eqmodels synergy --folder runs/synergy --data fashion_mnist --root path/to/data
  eqmodels synergy --rank-tasks --data image_folder --root path/to/images --size 64
"""
DEFAULT = SynergyPlan()
LISTS: dict[str, tuple[str, type]] = {
    "model": ("models", str),
    "tasks": ("tasks", str),
    "augment": ("augments", str),
    "groups": ("groups", str),
    "doses": ("doses", float),
    "seeds": ("seeds", int),
}
"""Options that take several values, the names of these in a plan, and their type."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is studied and where it goes."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="no study: measure these pretrained networks, folders of runs or names of the zoo, on held-out images of "
        "--data (default: what they were trained on)",
    )
    helps = {
        "model": "backbones of the grid, the first one also for what has one backbone only",
        "tasks": "tasks of the grid",
        "augment": "augmentations of the grid, the last one also for what has one augmentation only",
        "groups": "more backbones, compared by rotation alone, under the first augmentation",
        "doses": "weights of class information, negative to eliminate it",
        "seeds": "seeds of the grid",
    }
    for name, (value, kind) in LISTS.items():
        default = " ".join(map(str, getattr(DEFAULT, value)))
        parser.add_argument(f"--{name}", nargs="+", type=kind, metavar="X", help=f"{helps[name]} (default: {default})")
    parser.add_argument("--data", help=f"{', '.join(list_data())} (default: {DEFAULT.data})")
    parser.add_argument("--root", help="the folder that has the data")
    parser.add_argument("--size", type=int, help="with --data image_folder: side of the images in pixels")
    parser.add_argument(
        "--coloured",
        action=argparse.BooleanOptionalAction,
        help="give grey images random colours, which tasks about colour need (default: if the images are grey)",
    )
    numbers = {
        "limit": "number of training images",
        "epochs": "of pretraining; with --rank-tasks 1",
        "batch-size": "images a step",
        "test-limit": "number of held-out images on which information is measured",
        "folds": "of the cross-fitting",
    }
    for name, what in numbers.items():
        default = getattr(DEFAULT, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, help=f"{what} (default: {default})")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/synergy"), help="of the study (default: runs/synergy)"
    )
    parser.add_argument("--quick", action="store_true", help="a small study of the embedded images, in five minutes")
    parser.add_argument(
        "--rank-tasks",
        action="store_true",
        help="no study: one epoch a task, and the tasks in falling order of synergy",
    )
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Runs the study and writes its report, or ranks tasks.

    Raises:
        ValueError: if an option is out of range, or the data does not suit the study.
        StorageError: if the folder holds another study, or a file cannot be written.
        TrainingError: if a training fails.
    """
    if arguments.names:
        if arguments.rank_tasks or arguments.quick:
            option = "--rank-tasks" if arguments.rank_tasks else "--quick"
            raise ValueError(
                f"{option} trains networks of its own; got the names {', '.join(arguments.names)} too. Leave one out."
            )
        return _measure(arguments)
    plan = _plan(arguments)
    if arguments.rank_tasks:
        return _rank(plan, arguments)
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("the report needs matplotlib; install it with pip install 'eqmodels[report]'.")
    study = run_study(plan, arguments.folder, root=arguments.root, quiet=not sys.stderr.isatty())
    page = write_study_report(study, arguments.folder / "report")
    print(json.dumps(_content(study), indent=2) if arguments.json else _text(study), flush=True)
    print(f"The same with pictures: {page}", file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _plan(arguments: argparse.Namespace) -> SynergyPlan:
    """The plan that the options ask for."""
    given: dict[str, Any] = {}
    for name, (value, _) in LISTS.items():
        if getattr(arguments, name) is not None:
            given[value] = tuple(getattr(arguments, name))
    singles = {field.name for field in fields(SynergyPlan)} - {value for value, _ in LISTS.values()}
    given |= {name: getattr(arguments, name) for name in singles if getattr(arguments, name, None) is not None}
    plan = replace(SynergyPlan.quick() if arguments.quick else DEFAULT, **given)
    if arguments.coloured is None:
        channels = load_study_data(plan, arguments.root).train.channels
        plan = replace(plan, coloured=channels == 1)
    return plan


def _measure(arguments: argparse.Namespace) -> int:
    """Prints the terms of pretrained networks, by two families of predictors, and of their initialisations."""
    found: list[tuple[str, EncoderSynergy]] = []
    limit = DEFAULT.test_limit if arguments.test_limit is None else arguments.test_limit
    folds = DEFAULT.folds if arguments.folds is None else arguments.folds
    for name, network in [(name, load_pretrained(name)) for name in arguments.names]:
        size = network.config.size if arguments.size is None else arguments.size
        images = load_data(arguments.data or network.config.data, "test", root=arguments.root, size=size)
        seen = with_channels(network, images.at_most(limit), "test")
        measured = encoder_synergy(network, seen, folds=folds, report=_reporter(name))
        found += [(name, one) for one in measured]
    if arguments.json:
        print(json.dumps([{"name": name} | one.to_dict() for name, one in found], indent=2))
        return 0
    shown = ("known", "unlocked", "irreducible", "class_known", "class_unlocked", "permuted_classes")
    rows = [
        [
            name if one.pretrained else f"{name}, as initialised",
            one.terms.family,
            *(interval(getattr(one.terms, term)) for term in shown),
        ]
        for name, one in found
    ]
    header = ["network", "family", "known", "synergy", "irreducible", "class known", "by the class", "null"]
    print(table(header, rows))
    return 0


def _reporter(name: str) -> Callable[[str], None]:
    return lambda what: print(f"measuring {name}: {what}", file=sys.stderr, flush=True)


def _rank(plan: SynergyPlan, arguments: argparse.Namespace) -> int:
    data = load_study_data(plan, arguments.root)
    train, seen = (_coloured(images, plan, seed) for seed, images in enumerate((data.train, data.seen)))
    ranks, impossible = rank_tasks(
        train,
        seen,
        plan.tasks,
        model=plan.models[0],
        augment=plan.augments[0],
        epochs=arguments.epochs or 1,
        batch_size=plan.batch_size,
        folds=plan.folds,
        seed=plan.seeds[0],
        report=_reporter("tasks"),
    )
    if arguments.json:
        print(json.dumps({"ranks": [rank.to_dict() for rank in ranks], "impossible": impossible}, indent=2))
        return 0
    rows = [
        [
            rank.task,
            percent(rank.score),
            *(str(getattr(rank.terms, term)) for term in ("known", "unlocked", "irreducible")),
        ]
        for rank in ranks
    ]
    print(table(["task", "synergy, % of log|A|", "known, nats", "unlocked", "irreducible"], rows))
    for task, reason in impossible.items():
        print(f"\n{task} cannot be asked: {reason}")
    print(
        "\nsynergy: what the class adds to a linear prediction of the transformation, after a brief pretraining. How "
        "well it predicted the probe on measured data: docs/why.md."
    )
    return 0


def _coloured(images: LabelledImages, plan: SynergyPlan, seed: int) -> LabelledImages:
    return images.coloured(seed=seed) if plan.coloured else images


def _content(study: SynergyStudy) -> dict[str, Any]:
    return {"plan": study.plan.to_dict(), "cells": [result.to_dict() for result in study.cells.values()]}


def _text(study: SynergyStudy) -> str:
    return "\n\n".join(f"{found.title}\n\n{table(found.header, found.rows)}" for found in study_tables(study))
