"""The cells that take longer: curves over angles and images, supervised training, time over width and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from eqmodels.backbones.network import StagedNetwork
from eqmodels.bench.cells import FORMAT, BenchCell, cell_of
from eqmodels.bench.contenders import Contender
from eqmodels.bench.engines import BY_ONNX, can_run
from eqmodels.bench.forms import IMAGES, LAYERED
from eqmodels.bench.scaling import FAMILIES
from eqmodels.bench.suites import Suite
from eqmodels.bench.supervised import BATCH, EQUAL_TIME, OF_TURNED, SCRATCH, TUNED
from eqmodels.finetuning.pose import pooling_that_learns

__all__ = ["ASKED", "longer_cells", "scaling_cells"]

ASKED = 1000
"""Test images, at most, that are moved by every angle, or asked about after a training."""


def longer_cells(
    suite: Suite,
    contender: Contender,
    asked: Mapping[str, Any],
    pace: float,
    counts: Sequence[int],
    network: StagedNetwork | None,
) -> list[BenchCell]:
    """The cells of one network on its images that a suite asks for.

    Args:
        suite: how much is measured.
        contender: the network.
        asked: what is said of it and of its images.
        pace: seconds of an image in a forward pass.
        counts: of training and test images.
        network: itself, if it is one of this package, which alone has other forms, and a pose that may learn.
    """
    name, data, found = contender.name, asked["data"], []
    trained, tested = counts[0], min(counts[1], ASKED)
    forms = [form for form in suite.forms if form not in BY_ONNX or can_run("onnxruntime")]
    if network is not None and forms and asked["size"][0] == asked["size"][1]:
        expected = 2 + 10 * len(forms) * IMAGES * pace
        own = {**asked, "forms": forms, "layers": [form for form in forms if form in LAYERED]}
        found.append(cell_of("forms", f"{name} on {data}", suite.seeds[0], own, expected))
    for seed in suite.seeds:
        seeded, words = {**asked, "seed": seed, "asked": tested}, f"{name} on {data}, seed {seed}"
        if suite.angles:
            expected = 1 + pace * (trained + 360 / suite.angles * tested) + 2e-3 * trained
            found.append(cell_of("angles", words, seed, {**seeded, "step": suite.angles}, expected))
        if sum(count <= trained for count in suite.growth) > 1:
            expected = 1 + pace * sum(counts) + 4e-3 * trained
            own = {**asked, "seed": seed, "counts": list(suite.growth)}
            found.append(cell_of("growth", words, seed, own, expected))
        for way, fraction in product(_ways(suite, contender, asked["size"], network), suite.fractions):
            own, how = {**seeded, "fraction": fraction, "steps": suite.steps, **way}, way["how"]
            # A step takes about four forward passes of its images; eight copies of the test images are asked about.
            expected = 1 + pace * (4 * BATCH * suite.steps + 8 * tested)
            found.append(
                cell_of("supervised", f"{name}, {how}, {fraction:g} of {data}, seed {seed}", seed, own, expected)
            )
    return found


def _ways(
    suite: Suite, contender: Contender, size: Sequence[int], network: StagedNetwork | None
) -> list[dict[str, str]]:
    """The ways in which a network is trained, as settings say them."""
    ways = []
    if any(fnmatchcase(contender.name, pattern) for pattern in suite.trained):
        mode = "" if network is None or contender.is_random else pooling_that_learns(network)
        pooled = {"features": mode} if mode == "canonical-soft" else {}
        ways.append({"how": SCRATCH if contender.is_random else TUNED, **pooled})
    if contender.name in suite.turned and size[0] == size[1]:
        ways.append({"how": OF_TURNED})
    if contender.name in suite.equal_time:
        ways.append({"how": EQUAL_TIME, "beside": suite.equal_time[contender.name]})
    return ways


def scaling_cells(suite: Suite, contenders: Sequence[Contender]) -> list[BenchCell]:
    """A cell a family of architectures and axis; none without networks."""
    axes = {"width": suite.widths, "size": suite.sizes}
    return [
        cell_of(
            "scaling",
            f"{family}, {axis}",
            suite.seeds[0],
            {"format": FORMAT, "family": family, "axis": axis, "values": list(values), "rounds": suite.rounds},
            # Of the largest, about a millisecond a thousand pixels and the square of the width.
            1 + suite.rounds * sum((value / values[0]) ** 2 for value in values) * 8e-3,
        )
        for family in FAMILIES
        for axis, values in axes.items()
        if len(values) > 1 and contenders
    ]
