"""``eqmodels demo``: an equivariant network beside the standard one, on the same images."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import torch

from eqmodels.backbones import create_model
from eqmodels.evaluation import equivariance_report, plot_equivariance, smooth_images

__all__ = ["DESCRIPTION", "SUMMARY", "add_arguments", "run"]

EQUIVARIANT, STANDARD = "c4_resnet18", "resnet18"

SUMMARY = "see what equivariance is worth: an equivariant network beside the standard one"
DESCRIPTION = (
    f"Turns the same images for {EQUIVARIANT} and for {STANDARD}, prints how much their features change, and draws it. "
    "Takes half a minute on two processor cores and downloads nothing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the one option, where the picture goes."""
    parser.add_argument("--folder", type=Path, default=Path("report"), help="where the picture goes (default: report)")


def run(arguments: argparse.Namespace) -> int:
    """Prints both reports and their difference in one sentence, and draws both if matplotlib is installed."""
    print(
        "Pretrained weights are not part of this release. Until they are, this demo compares two networks of random "
        "weights: equivariance is a property of the network, whatever its weights.",
        end="\n\n",
    )
    images = smooth_images(2, 3, 32)
    reports = []
    for name in (EQUIVARIANT, STANDARD):
        torch.manual_seed(0)
        report = equivariance_report(create_model(name), images=images, group="c4", name=name)
        print(report.text(rows=5), end="\n\n")
        reports.append(report)
    turned, standard = (max(e.error for e in report.at("global_pool")) for report in reports)
    print(
        f"At the worst quarter turn of the image the features of {EQUIVARIANT} change by {turned:.0e} of their length, "
        f"which is rounding error; those of {STANDARD} change by {standard:.0%}."
    )
    if importlib.util.find_spec("matplotlib") is None:
        print("No picture: matplotlib is not installed (pip install eqmodels[report]).")
        return 0
    picture = arguments.folder / "equivariance.png"
    plot_equivariance(reports, picture)
    print(f"The same as a picture, at every angle: {picture}")
    return 0
