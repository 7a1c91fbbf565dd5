"""``eqmodels synergy``: how the class and the transformation help each other, in nats."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from eqmodels.cli.chosen_data import PREFIX, add_data_flags, chosen_data, flags_given, loaded
from eqmodels.cli.flags import in_flags
from eqmodels.cli.images import as_taken, own_size
from eqmodels.cli.terminal import say
from eqmodels.data import Source, at_most, coloured, list_data
from eqmodels.hub import load_pretrained
from eqmodels.reports import Table, percent
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

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

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
  eqmodels synergy c4_resnet18s_w16.rot_fmnist_simclr --data fashion_mnist_mini
  eqmodels synergy --folder runs/synergy --data fashion_mnist --root path/to/data
  eqmodels synergy --rank-tasks --data image_folder --root path/to/images --size 64
"""
DEFAULT, FOLDER = SynergyPlan(), Path("runs/synergy")
LISTS: dict[str, tuple[str, type]] = {
    "model": ("models", str),
    "tasks": ("tasks", str),
    "augment": ("augments", str),
    "groups": ("groups", str),
    "doses": ("doses", float),
    "seeds": ("seeds", int),
}
"""Options that take several values, the names of these in a plan, and their type."""
READING = ("data", "root", "test_limit", "folds", "json")
TAKEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "names": ("measuring networks by their names", READING),
    "rank_tasks": (
        "--rank-tasks",
        ("quick", "tasks", "model", "augment", "seeds", "coloured", "limit", "epochs", "batch_size", *READING),
    ),
}
"""What is no study, by the argument that asks for it: in words, and all options that it takes. A study takes all."""
SINGLE = ("model", "augment", "seeds")
"""Options that take several values in a study, and one where tasks are ranked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is studied and where it goes."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="no study: measure these pretrained networks, folders of runs or names of the zoo, on held-out images of "
        f"--data (default: what they were trained on); takes {_options(READING)} and the options of the images only",
    )
    # None, as all others that are not given: what was given and is not taken is refused.
    flag: dict[str, Any] = {"action": "store_true", "default": None}
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
    parser.add_argument("--folder", type=Path, help=f"of the study (default: {FOLDER})")
    parser.add_argument("--quick", **flag, help="a small study of the embedded images, in five minutes")
    parser.add_argument(
        "--rank-tasks",
        **flag,
        help="no study: one epoch a task, and the tasks in falling order of synergy; with one value of --model, "
        "--augment and --seeds (default: the first of theirs), and without --groups, --doses and --folder",
    )
    parser.add_argument("--json", **flag, help="print what was measured as JSON instead of tables")
    add_data_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the study and writes its report, or ranks tasks.

    Raises:
        ValueError: if an option is out of range, or would change nothing, or the data does not suit the study.
        StorageError: if the folder holds another study, or a file cannot be written.
        TrainingError: if a training fails.
    """
    if arguments.names:
        _check_taken(arguments, "names")
        return _measure(arguments)
    if arguments.rank_tasks:
        _check_taken(arguments, "rank_tasks")
        _check_single(arguments)
        return _rank(_plan(arguments), arguments)
    folder = FOLDER if arguments.folder is None else arguments.folder
    study = run_study(_plan(arguments), folder, root=arguments.root, quiet=not sys.stderr.isatty())
    if importlib.util.find_spec("matplotlib") is None:
        words = "No page with pictures: matplotlib is not installed; run: pip install matplotlib"
    else:
        words = f"The same with pictures: {write_study_report(study, folder / 'report')}"
    say(json.dumps(_content(study), indent=2) if arguments.json else _text(study), flush=True)
    say(words, file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _check_taken(arguments: argparse.Namespace, mode: str) -> None:
    """Refuses what would change nothing.

    Raises:
        ValueError: if an option was given that is not of the mode.
    """
    words, taken = TAKEN[mode]
    known = {"command", "imports", "names", "run", mode, *taken}
    given = [name for name, value in vars(arguments).items() if value is not None and not name.startswith(PREFIX)]
    if dropped := [name for name in given if name not in known]:
        raise ValueError(
            f"{words} takes {_options(taken)} and the options of the images; got {_options(dropped)} too. Leave out "
            "what it does not take."
        )


def _check_single(arguments: argparse.Namespace) -> None:
    """Refuses several values where one counts.

    Raises:
        ValueError: if tasks are to be ranked for more than one model, augmentation or seed.
    """
    for name in SINGLE:
        values = getattr(arguments, name)
        if values is not None and len(values) > 1:
            raise ValueError(
                f"--rank-tasks takes one value of --{name}; got {', '.join(map(str, values))}. Leave all but one out."
            )


def _options(names: Iterable[str]) -> str:
    """Such as ``--data, --test-limit``."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _plan(arguments: argparse.Namespace) -> SynergyPlan:
    """The plan that the options ask for."""
    given: dict[str, Any] = {}
    for name, (value, _) in LISTS.items():
        if getattr(arguments, name) is not None:
            given[value] = tuple(getattr(arguments, name))
    singles = {field.name for field in fields(SynergyPlan)} - {value for value, _ in LISTS.values()}
    given |= {name: getattr(arguments, name) for name in singles if getattr(arguments, name, None) is not None}
    options = flags_given(arguments)
    plan = replace(SynergyPlan.quick() if arguments.quick else DEFAULT, data_options=options, **given)
    # Also reads the images before anything is made: what they refuse is said in the words of the command line.
    if arguments.coloured is None or options:
        read = replace(plan, limit=None) if arguments.rank_tasks else plan
        channels = in_flags(("data", *options), lambda: load_study_data(read, arguments.root)).train.channels
    if arguments.coloured is None:
        plan = replace(plan, coloured=channels == 1)
    return plan


def _measure(arguments: argparse.Namespace) -> int:
    """Prints the terms of pretrained networks, by two families of predictors, and of their initialisations."""
    found: list[tuple[str, EncoderSynergy]] = []
    limit = DEFAULT.test_limit if arguments.test_limit is None else arguments.test_limit
    folds = DEFAULT.folds if arguments.folds is None else arguments.folds
    for name, network in [(name, load_pretrained(name)) for name in arguments.names]:
        data, options = chosen_data(arguments, network.config)
        options = {**options, **own_size(network.preprocessing, data), **flags_given(arguments)}
        test = loaded(data, "test", options, root=arguments.root)
        seen = as_taken(network, at_most(test, limit), "test", resized="size" not in flags_given(arguments))
        measured = encoder_synergy(network, seen, folds=folds, report=_reporter(name))
        found += [(name, one) for one in measured]
    if arguments.json:
        say(json.dumps([{"name": name} | one.to_dict() for name, one in found], indent=2))
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
    say(Table(header, rows).text())
    return 0


def _reporter(name: str) -> Callable[[str], None]:
    return lambda what: say(f"measuring {name}: {what}", file=sys.stderr, flush=True)


def _rank(plan: SynergyPlan, arguments: argparse.Namespace) -> int:
    # At most so many, where a study needs just so many, as its cells and its page say how many there were.
    data = load_study_data(replace(plan, limit=None), arguments.root)
    chosen = at_most(data.train, plan.limit)
    train, seen = (_coloured(part, plan, seed) for seed, part in enumerate((chosen, data.seen)))
    ranks, impossible = rank_tasks(
        train,
        seen,
        plan.tasks,
        model=plan.models[0],
        augment=plan.augments[0],
        epochs=1 if arguments.epochs is None else arguments.epochs,
        batch_size=plan.batch_size,
        folds=plan.folds,
        seed=plan.seeds[0],
        report=_reporter("tasks"),
    )
    if arguments.json:
        say(json.dumps({"ranks": [rank.to_dict() for rank in ranks], "impossible": impossible}, indent=2))
        return 0
    rows = [
        [
            rank.task,
            percent(rank.score),
            *(str(getattr(rank.terms, term)) for term in ("known", "unlocked", "irreducible")),
        ]
        for rank in ranks
    ]
    say(Table(["task", "synergy, % of log|A|", "known, nats", "unlocked", "irreducible"], rows).text())
    for task, reason in impossible.items():
        say(f"\n{task} cannot be asked: {reason}")
    say(
        "\nsynergy: what the class adds to a linear prediction of the transformation, after a brief pretraining. How "
        "well it predicted the probe on measured data: docs/why.md."
    )
    return 0


def _coloured(source: Source, plan: SynergyPlan, seed: int) -> Source:
    return coloured(source, seed=seed) if plan.coloured else source


def _content(study: SynergyStudy) -> dict[str, Any]:
    return {"plan": study.plan.to_dict(), "cells": [result.to_dict() for result in study.cells.values()]}


def _text(study: SynergyStudy) -> str:
    return "\n\n".join(f"{found.title}\n\n{found.text()}" for found in study_tables(study))
