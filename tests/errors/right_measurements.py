"""Right arguments for data, and for what is measured on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eqmodels import (
    Backbone,
    bench,
    create_model,
    data,
    evaluation,
    experiments,
    measures,
    neighbours,
    pages,
    reports,
    studies,
)
from eqmodels.data.pictures import BadFile
from eqmodels.evaluation.collapse import Collapse
from eqmodels.groups import PlanarGroup
from eqmodels.hub.entries import read_results
from eqmodels.studies.study import PLAN
from eqmodels.transforms import Preprocessing
from tests.errors.calls import (
    ZOO_FOLDER,
    Call,
    features_and_labels,
    images,
    maps,
    model,
    pictures,
    train_and_test,
)
from tests.pages.conftest import benchmark_lines

__all__ = ["MEASUREMENTS"]


def report() -> evaluation.EquivarianceReport:
    curve = tuple(evaluation.AngleError(float(degrees), 0.01 * degrees) for degrees in range(0, 360, 45))
    return evaluation.EquivarianceReport(
        "net", PlanarGroup(4), (8, 8), 2, "float64", (), curve, Collapse(2.0, 4, 1.0, 0.5)
    )


def described() -> Backbone:
    """A network without a classifier that knows its images."""
    network = create_model("c4_resnet18s_w4", in_chans=3, num_classes=0)
    network.preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3, (8, 8))
    return network


def classifier() -> Backbone:
    """A network with a classifier that knows its images."""
    network = described()
    network.reset_classifier(3)
    return network


def plan_values() -> dict[str, Any]:
    plan = studies.SynergyPlan.quick()
    return {one.name: getattr(plan, one.name) for one in fields(plan)}


def study() -> studies.SynergyStudy:
    """What a study would hold: of every cell the same terms."""
    some = measures.Estimate(0.5, 0.4, 0.6, 10)
    terms = measures.SynergyTerms("linear", 4, 10, 40, some, some, some, some, some, some, some, some)
    plan = studies.SynergyPlan.quick()
    results = {
        cell: studies.CellResult(cell.name, cell.config.to_dict(), (terms,), number / 100, 0.5, 0.5, 0.5, 1.0)
        for number, cell in enumerate(plan.cells())
    }
    return studies.SynergyStudy(plan, results, (studies.Calibration("A + C", "known", 0.5, some),))


def folder_of_study() -> Path:
    """A folder, in the working directory, of a study of which nothing is done yet."""
    folder = Path("study")
    folder.mkdir(exist_ok=True)
    (folder / PLAN).write_text(json.dumps(studies.SynergyPlan.quick().to_dict()))
    return folder


def folder_of_bench() -> Path:
    """A folder, in the working directory, of what was measured of networks with random weights."""
    folder = Path("bench")
    folder.mkdir(exist_ok=True)
    (folder / "results.jsonl").write_text("\n".join(benchmark_lines(("c4_resnet18s", "resnet18s", "c4_resnet18s_w4"))))
    return folder


@cache
def bench_plan() -> bench.BenchPlan:
    """Of one small network, without any seed of quality."""
    images = {1: "fashion_mnist_mini"}
    return bench.planned(bench.Suite(("c4_resnet18s_w4",), (0,), 20, 10, (), (1,), 1, images))


MEASUREMENTS: dict[str, Callable[[], Call]] = {
    # data
    "data.ArrayFile": lambda: Call(data.ArrayFile, {"name": "few", "array": np.zeros((3, 1, 8, 8), np.uint8)}),
    "data.KeyedPermutation": lambda: Call(
        data.KeyedPermutation, {"count": 12, "generator": torch.Generator().manual_seed(0)}
    ),
    "data.LabelledImages": lambda: Call(
        data.LabelledImages,
        {"name": "few", "images": images().images, "labels": images().labels, "classes": ("a", "b", "c")}
        | {"background": "white", "skipped": (BadFile(Path("a.png"), "it is empty"),)},
    ),
    "data.Subset": lambda: Call(data.Subset, {"source": images()}, {"numbers": torch.arange(3)}),
    "data.View": lambda: Call(data.View, {"source": images()}),
    "data.at_most": lambda: Call(data.at_most, {"source": images(), "count": 6, "seed": 0}),
    "data.balanced_subset": lambda: Call(data.balanced_subset, {"source": images(), "count": 6, "seed": 0}),
    "data.check_source": lambda: Call(data.check_source, {"source": images(), "name": "mine"}),
    "data.coloured": lambda: Call(data.coloured, {"source": images(), "seed": 0}),
    "data.from_torch": lambda: Call(
        data.from_torch,
        {"dataset": [(maps(3, 8, 8), 0)] * 4, "name": "mine", "classes": ("a", "b"), "channels": 3, "size": (8, 8)}
        | {"background": "black", "image": "image", "label": "label", "scale": 2.0},
        values=8,
    ),
    "data.has_colour": lambda: Call(data.has_colour, {"source": images()}),
    "data.in_memory": lambda: Call(data.in_memory, {"source": images()}),
    "data.in_parts": lambda: Call(lambda source: list(data.in_parts(source)), {"source": images()}),
    "data.is_labelled": lambda: Call(data.is_labelled, {"source": images()}),
    "data.list_data": lambda: Call(data.list_data, {"pattern": "*"}),
    "data.open_picture": lambda: Call(
        data.open_picture, {"path": pictures() / "0.png", "channels": 3, "background": "black", "option": "channels"}
    ),
    "data.contact_sheet": lambda: Call(
        data.contact_sheet, {"root": pictures(), "channels": 3, "columns": 2, "rows": 2, "side": 8}, values=8
    ),
    "data.summarise_folder": lambda: Call(data.summarise_folder, {"root": pictures(), "channels": 3}, values=8),
    "data.load_data": lambda: Call(data.load_data, {"name": "fashion_mnist_mini", "split": "test"}, values=8),
    "data.numbers_of": lambda: Call(data.numbers_of, {"indices": torch.tensor([0, 2])}, {"count": 12}),
    "data.register_source": lambda: Call(data.register_source, {"name": "my_source", "validation": False}),
    "data.search_folders": lambda: Call(data.search_folders, {"root": Path("somewhere")}),
    "data.statistics": lambda: Call(data.statistics, {"source": images()}),
    "data.subset": lambda: Call(data.subset, {"source": images(), "indices": torch.tensor([0, 2])}, values=30),
    "data.to_grey": lambda: Call(data.to_grey, {"source": images()}),
    "data.at_size": lambda: Call(data.at_size, {"source": images(), "size": (8, 8), "resize": "crop"}),
    "data.to_rgb": lambda: Call(data.to_rgb, {"source": images()}),
    # evaluation
    "evaluation.embed": lambda: Call(
        evaluation.embed,
        {"encoder": described(), "paths": sorted(pictures().iterdir()), "size": (8, 8), "batch_size": 2}
        | {"grey": False, "skip_bad": False},
        values=8,
    ),
    "evaluation.embed_to_file": lambda: Call(
        evaluation.embed_to_file,
        {"encoder": described(), "paths": sorted(pictures().iterdir()), "file": Path("features.npz"), "size": (8, 8)}
        | {"columns": {"species": ["ant"] * len(list(pictures().iterdir()))}, "batch_size": 2, "grey": False}
        | {"skip_bad": False},
        values=5,
    ),
    "evaluation.predict": lambda: Call(
        evaluation.predict,
        {"network": classifier(), "paths": sorted(pictures().iterdir()), "top": 2, "size": (8, 8), "batch_size": 2}
        | {"grey": True, "skip_bad": False},
        values=8,
    ),
    "evaluation.predict_to_file": lambda: Call(
        evaluation.predict_to_file,
        {"network": classifier(), "paths": sorted(pictures().iterdir()), "file": Path("classes.csv"), "top": 2}
        | {"size": (8, 8), "batch_size": 2, "grey": True, "skip_bad": False},
        values=5,
    ),
    "neighbours.index_to_file": lambda: Call(
        neighbours.index_to_file,
        {"encoder": described(), "paths": sorted(pictures().iterdir()), "file": Path("my.index"), "name": "mine"}
        | {"size": (8, 8), "batch_size": 2, "grey": False, "skip_bad": False},
        values=5,
    ),
    "neighbours.find_duplicates": lambda: Call(
        neighbours.find_duplicates,
        {"encoder": described(), "paths": sorted(pictures().iterdir()), "candidates": 2, "size": (8, 8)}
        | {"batch_size": 2, "grey": False, "skip_bad": False, "kept": Path("pairs.csv")},
        values=6,
    ),
    "evaluation.assert_equivariant": lambda: Call(
        evaluation.assert_equivariant,
        {
            "model": model(),
            "size": 8,
            "tolerance": 1e-6,
            "group": "c4",
            "elements": "exact",
            "randomised": True,
            "batch": 2,
        },
        values=5,
    ),
    "evaluation.classifier_accuracy": lambda: Call(
        evaluation.classifier_accuracy, {"encoder": model(), "source": images()}, values=6
    ),
    "evaluation.effective_rank": lambda: Call(evaluation.effective_rank, {"features": maps(8, 3)}, values=30),
    "evaluation.encode": lambda: Call(
        evaluation.encode, {"encoder": model(), "pixels": images().pixels, "count": 4, "batch_size": 2}, values=8
    ),
    "evaluation.kinds_of": lambda: Call(evaluation.kinds_of, {"encoder": model()}),
    "evaluation.knn_accuracy": lambda: Call(
        evaluation.knn_accuracy, {**train_and_test(), "k": 3, "temperature": 0.1}, values=30
    ),
    "evaluation.label_efficiency": lambda: Call(
        evaluation.label_efficiency,
        {**train_and_test(), "fractions": [1.0]},
        {"strengths": [1e-2], "subsets": 1},
        values=6,
    ),
    "evaluation.pool_features": lambda: Call(
        evaluation.pool_features, {"encoder": model(), "features": maps(3, 3), "pooling": "invariant"}
    ),
    "evaluation.poolings_of": lambda: Call(evaluation.poolings_of, {"encoder": model()}),
    "evaluation.smooth_images": lambda: Call(
        evaluation.smooth_images, {"batch": 2, "channels": 1, "size": 8, "seed": 0}
    ),
    "evaluation.Motion": lambda: Call(evaluation.Motion, {"turn": Fraction(1, 4), "reflected": True}),
    "evaluation.over_seeds": lambda: Call(evaluation.over_seeds, {"evaluations": [read_results(ZOO_FOLDER)]}),
    "evaluation.plot_equivariance": lambda: Call(
        evaluation.plot_equivariance, {"reports": [report()], "target": "picture.png"}
    ),
    "evaluation.randomise": lambda: Call(
        evaluation.randomise, {"model": nn.Linear(2, 2), "generator": torch.Generator()}
    ),
    # measures
    "measures.Observations": lambda: Call(
        measures.Observations,
        features_and_labels()
        | {"classes": torch.arange(24) % 2, "images": torch.arange(24), "num_labels": 3, "num_classes": 2},
    ),
    "measures.additive": lambda: Call(measures.additive, {"transformations": 2, "classes": 3, "strength": 1}),
    "measures.check_statements": lambda: Call(measures.check_statements, {"seed": 0}, {"networks": 2}, values=6),
    "measures.estimate": lambda: Call(measures.estimate, {"values": [0.5, 0.6]}),
    "measures.fit_linear_probe": lambda: Call(
        measures.fit_linear_probe, features_and_labels() | {"num_classes": 3, "strengths": [1e-2]}, values=8
    ),
    "measures.proportion_interval": lambda: Call(measures.proportion_interval, {"correct": 3, "total": 5}),
    "measures.BayesianNetwork": lambda: Call(
        measures.BayesianNetwork, {"variables": [measures.Variable.uniform("A", 2)]}
    ),
    "measures.Variable": lambda: Call(measures.Variable, {"name": "A", "table": np.full(2, 0.5), "parents": ()}),
    "measures.pose_cue": lambda: Call(measures.pose_cue, {"accuracy": 0.5, "poses": 4, "classes": 4, "upright": 0.9}),
    "measures.style_leak": lambda: Call(measures.style_leak, {"leak": 0.5, "poses": 4, "classes": 4, "upright": 0.9}),
    "measures.two_poses": lambda: Call(measures.two_poses, {"poses": 4, "classes": 4, "upright": 0.9}),
    # bench
    "bench.chosen_models": lambda: Call(bench.chosen_models, {"patterns": ["c4_resnet18s_w4"]}),
    "bench.planned": lambda: Call(
        bench.planned,
        {"suite": bench.SUITES["quick"], "models": ["c4_resnet18s_w4"], "data": "fashion_mnist_mini", "root": None},
        values=4,
    ),
    "bench.read_bench": lambda: Call(bench.read_bench, {"plan": bench_plan(), "folder": "bench"}),
    "bench.read_lines": lambda: Call(bench.read_lines, {"folder": folder_of_bench()}),
    "bench.run_bench": lambda: Call(bench.run_bench, {"plan": bench_plan(), "folder": "bench"}, values=4),
    "bench.write_bench": lambda: Call(
        bench.write_bench, {"results": bench.read_bench(bench_plan(), "bench"), "folder": "."}, values=4
    ),
    # pages
    "pages.write_page": lambda: Call(pages.write_page, {"folder": folder_of_bench()}, values=6),
    "pages.write_demo": lambda: Call(pages.write_demo, {"folder": "demo", "runtime": "node_modules"}, values=4),
    # reports and experiments
    "reports.Table": lambda: Call(reports.Table, {"header": ["a", "b"], "rows": [["1", "2"]], "title": "", "left": 1}),
    "reports.percent": lambda: Call(
        reports.percent, {"fraction": 0.5, "digits": 1, "signed": False, "missing": "-"}, values=8
    ),
    "reports.percent_range": lambda: Call(
        reports.percent_range, {"low": 0.4, "high": 0.5, "digits": 1, "signed": False}, values=8
    ),
    "experiments.command_line": lambda: Call(experiments.command_line, {"module": None}),
    "experiments.interleaved": lambda: Call(
        experiments.interleaved, {"contenders": {"a": int}}, {"rounds": 2, "warmup": 1}
    ),
    "experiments.summarise": lambda: Call(
        experiments.summarise, {"values": {"a": [1.0, 2.0], "b": [2.0, 3.0]}, "reference": "a"}
    ),
    "experiments.shown_progress": lambda: Call(
        lambda quiet: experiments.shown_progress(quiet=quiet).__enter__(), {"quiet": True}
    ),
    # studies
    "studies.SynergyPlan": lambda: Call(studies.SynergyPlan, plan_values()),
    "studies.correlations": lambda: Call(studies.correlations, {"points": studies.grid_points(study())}),
    "studies.grid_points": lambda: Call(studies.grid_points, {"study": study()}),
    "studies.load_study_data": lambda: Call(
        studies.load_study_data, {"plan": studies.SynergyPlan.quick(), "root": None}, values=6
    ),
    "studies.read_study": lambda: Call(studies.read_study, {"folder": folder_of_study()}),
    "studies.study_tables": lambda: Call(studies.study_tables, {"study": study()}),
    "studies.write_study_report": lambda: Call(
        studies.write_study_report, {"study": study(), "folder": "report"}, values=4
    ),
}
