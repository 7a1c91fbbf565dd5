"""Measures what a plan asks for and is not measured yet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eqmodels.arguments import check_arguments
from eqmodels.bench.angles import Angles, measure_angles
from eqmodels.bench.capacity import measure_capacity
from eqmodels.bench.cells import BenchCell
from eqmodels.bench.contenders import Contender
from eqmodels.bench.counting import Counted, count_cost
from eqmodels.bench.engines import EAGER
from eqmodels.bench.equal_time import time_of_step
from eqmodels.bench.forms import Forms, measure_forms
from eqmodels.bench.growth import Growth, measure_growth
from eqmodels.bench.plan import BenchPlan
from eqmodels.bench.quality import Quality, measure_quality
from eqmodels.bench.rotated import AtAllAngles, AtQuarterTurns, rotated_parts
from eqmodels.bench.scaling import Scaling, measure_scaling
from eqmodels.bench.supervised import OF_TURNED, SCRATCH, Supervised, measure_supervised
from eqmodels.bench.symmetry import Symmetry, measure_symmetry
from eqmodels.bench.throughput import Speed, build_seconds, measure_speed
from eqmodels.data import at_most, load_data
from eqmodels.experiments import Experiment, Progress
from eqmodels.finetuning.pose import let_pose_learn
from eqmodels.processes import World
from eqmodels.storage import StorageError

__all__ = ["Found", "experiment", "found_of", "run_bench"]

Found = Quality | Angles | Growth | Supervised | Symmetry | Forms | Scaling | tuple[Counted, float] | dict[str, Speed]
"""What is measured in a cell: of its cost, what is counted and the seconds to build it."""
TIMED = ("cost", "scaling", "throughput")
ONE = World()


def experiment(plan: BenchPlan, folder: Path) -> Experiment[BenchCell, Found]:
    """The cells of a plan, and where their results are."""
    return Experiment(
        folder,
        plan.cells,
        _read,
        option="--out",
        expected=lambda cell: cell.expected,
        # What is timed is disturbed by whatever else computes.
        alone=lambda cell: cell.kind in TIMED,
    )


def run_bench(
    plan: BenchPlan,
    folder: str | Path,
    *,
    tell: Callable[[Progress], None] = lambda _: None,
    world: World = ONE,
) -> None:
    """Measures the cells that are not done; stopped at any moment, the same call goes on with the cell it was at.

    Args:
        plan: what is measured.
        folder: of the results; other plans may have theirs in it too.
        tell: called whenever a cell starts, is at something else, or is done.
        world: processes that share the cells.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if another process measures into the folder, or a file cannot be read or written.
        ValueError: if the images do not suit a network.
    """
    check_arguments(run_bench, {"plan": plan, "folder": folder, "tell": tell, "world": world})
    with torch.random.fork_rng(devices=[]):
        experiment(plan, Path(folder)).run(partial(_measured, plan), tell=tell, world=world)


def _measured(plan: BenchPlan, cell: BenchCell, report: Callable[[str], None]) -> dict[str, Any]:
    """What is measured of one cell."""
    settings = cell.values
    measured: dict[str, Callable[..., dict[str, Any]]] = {
        "quality": _quality,
        "angles": _angles,
        "growth": _growth,
        "supervised": _supervised,
        "rotated": _rotated,
        "capacity": _capacity,
        "symmetry": _symmetry,
        "forms": _forms,
        "cost": _cost,
        "scaling": _scaling,
        "throughput": _throughput,
    }
    return {"settings": settings, "values": measured[cell.kind](plan, settings, cell.seed, report)}


def _quality(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    name = settings["model"]
    train, test = plan.images(name, seed)
    encoder = plan.encoder(name, seed)
    return asdict(measure_quality(encoder, train, test, labels=settings["labels"], seed=seed, report=report))


def _angles(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    name = settings["model"]
    train, test = plan.images(name, seed)
    asked = plan.encoder(name, seed), train, at_most(test, settings["asked"])
    return asdict(measure_angles(*asked, step=settings["step"], seed=seed, report=report))


def _growth(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    name = settings["model"]
    asked = plan.encoder(name, seed), *plan.images(name, seed)
    return measure_growth(*asked, settings["counts"], seed=seed, report=report).to_dict()


def _supervised(
    plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]
) -> dict[str, Any]:
    name = settings["model"]
    train, test = plan.images(name, seed)
    few = at_most(train, max(round(settings["fraction"] * len(train)), len(train.classes)), seed=seed)
    steps, pace = settings["steps"], None
    network: Any = plan.encoder(name, seed)
    if "features" in settings:
        network = copy.deepcopy(network)
        let_pose_learn(network)
    if "beside" in settings:
        report("timing")
        pace = time_of_step(network, Contender(settings["beside"]).build(seed, few.channels), few)
        steps = max(1, round(steps / pace))
    learned = AtQuarterTurns(few, seed) if settings["how"] == OF_TURNED else few
    asked = {"how": settings["how"], "steps": steps, "seed": seed, "report": report}
    found = measure_supervised(network, learned, at_most(test, settings["asked"]), **asked)
    return asdict(replace(found, pace=pace))


def _rotated(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    learned, asked_about = (load_data(settings["data"], split, root=plan.root) for split in ("train", "test"))
    train, test = rotated_parts(learned, asked_about, (settings["train"], settings["test"]))
    if settings["augmented"]:
        train = AtAllAngles(train, seed, anew=True)
    moved = at_most(test, settings["moved"])
    asked: dict[str, Any] = {"steps": settings["steps"], "seed": seed, "bf16": settings["bf16"], "report": report}
    network = Contender(settings["model"]).build(seed, train.channels)
    return asdict(measure_supervised(network, train, test, how=SCRATCH, moved=moved, **asked))


def _capacity(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    train, test = (load_data(settings["data"], split, root=plan.root) for split in ("train", "test"))
    parts = train, at_most(test, settings["asked"])
    grown = settings["family"], settings["axis"], settings["value"]
    asked: dict[str, Any] = {"steps": settings["steps"], "seed": seed, "bf16": settings["bf16"], "report": report}
    return asdict(measure_capacity(*grown, parts, **asked))


def _scaling(_: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:  # noqa: ARG001
    asked = settings["family"], settings["axis"], settings["values"]
    return measure_scaling(*asked, rounds=settings["rounds"], report=report).to_dict()


def _symmetry(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    return asdict(measure_symmetry(_module(plan, settings["model"], seed), _size(settings), report=report))


def _forms(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    name = settings["model"]
    encoder: Any = _module(plan, name, seed)
    _, test = plan.images(name, seed)
    return asdict(measure_forms(encoder, test, settings["forms"], report=report))


def _cost(plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]) -> dict[str, Any]:
    name = settings["model"]
    report("counting")
    counted = count_cost(_module(plan, name, seed), settings["channels"], _size(settings))
    report("building")
    seconds = build_seconds(lambda: Contender(name).build(seed, settings["channels"]))
    return {**asdict(counted), "build_seconds": seconds}


def _throughput(
    plan: BenchPlan, settings: Mapping[str, Any], seed: int, report: Callable[[str], None]
) -> dict[str, Any]:
    report("timing")
    found = measure_speed(
        {name: _module(plan, name, seed) for name in settings["models"]},
        settings["channels"],
        _size(settings),
        settings["batch"],
        reference=settings["reference"],
        rounds=settings["rounds"],
        how=settings.get("how", EAGER),
    )
    return {name: speed.to_dict() for name, speed in found.items()}


def _module(plan: BenchPlan, name: str, seed: int) -> nn.Module:
    encoder: Any = plan.encoder(name, seed)
    return encoder.eval()  # type: ignore[no-any-return]


def _size(settings: Mapping[str, Any]) -> tuple[int, int]:
    height, width = settings["size"]
    return height, width


def _read(cell: BenchCell, content: Mapping[str, Any]) -> Found:
    """The result of a cell from the content of its file."""
    if content["settings"] != cell.values:
        raise StorageError(
            f"the result of {cell.name} is of other settings than this plan's. Delete it, or choose another --out."
        )
    return found_of(cell.kind, content["values"])


def found_of(kind: str, content: Mapping[str, Any]) -> Found:
    """What was measured in a cell of a kind, from the values that its file has.

    Raises:
        TypeError: if names are missing or unknown.
        KeyError: if a name is missing.
    """
    values = dict(content)
    if kind == "quality":
        return Quality(**{**values, "interval": tuple(values["interval"])})
    if kind in ("supervised", "rotated", "capacity"):
        return Supervised(**values)
    read: Mapping[str, Callable[[Mapping[str, Any]], Found]] = {
        "angles": Angles.from_dict,
        "forms": Forms.from_dict,
        "growth": Growth.from_dict,
        "scaling": Scaling.from_dict,
        "symmetry": Symmetry.from_dict,
    }
    if kind in read:
        return read[kind](values)
    if kind == "cost":
        seconds = float(values.pop("build_seconds"))
        return Counted(**{**values, "size": tuple(values["size"])}), seconds
    return {name: Speed.from_dict(speed) for name, speed in values.items()}
