"""Draws the pictures of docs/space.md from the network of the zoo: ``python -m benchmarks.space.pictures``.

Parts of the embedded set for testing, the first of every second family, in random poses, and turned back by the frame
that the head predicts of each; and the errors of up of all test parts, from the results beside the weights.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any, cast

import torch
from matplotlib.figure import Figure
from torch import Tensor

from eqmodels.data import clouds_of, in_random_poses, load_data
from eqmodels.evaluation import CloudEvaluation
from eqmodels.hub import load_pretrained
from eqmodels.hub.entries import read_results
from eqmodels.hub.picture import up_picture
from eqmodels.remote.locating import FOLDERS
from eqmodels.reports import OKABE_ITO

__all__ = ["NAME", "turned_back"]

NAME = "so3_vectors_small.frame_kicad"
FOLDER = Path(__file__).parents[2] / "docs"
SHOWN, SEED = 6, 0
ROWS = ("in a random pose", "turned back", "as it stands")


def turned_back(name: str) -> tuple[list[str], list[Tensor], list[float]]:
    """The families shown, the clouds of each row ``(parts, points, 3)``, and each part's error of up in degrees."""
    data = load_data("kicad_parts_mini", "test")
    every = len(data.classes) // SHOWN
    numbers = torch.tensor([int((data.labels == k).nonzero()[0]) for k in range(0, every * SHOWN, every)])
    poses = in_random_poses(data, seed=SEED)
    turned, upright = (clouds_of(one.pixels(numbers)) - 0.5 for one in (poses, data))
    encoder = cast("Any", load_pretrained(name)).encoder("canonical")
    with torch.no_grad():
        frames = encoder.frames(turned).matrices
    cosines = (frames[:, :, 2] * poses.rotations[numbers][:, :, 2]).sum(1).clamp(-1, 1)
    # Points are rows here, so that the transposed frame, its inverse, stands on the right as the frame itself.
    rows = [turned, turned @ frames, upright]
    return [data.classes[k] for k in data.labels[numbers]], rows, cosines.acos().rad2deg().tolist()


def main() -> None:
    """Draws both."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    families, rows, errors = turned_back(NAME)
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    for row, clouds in enumerate(rows):
        for column, cloud in enumerate(clouds):
            axes: Any = figure.add_subplot(len(rows), SHOWN, row * SHOWN + column + 1, projection="3d")
            axes.scatter(*cloud.T.numpy(), c=cloud[:, 2].numpy(), s=3, cmap="viridis", depthshade=False)
            axes.set(xlim=(-0.4, 0.4), ylim=(-0.4, 0.4), zlim=(-0.4, 0.4))
            axes.set_axis_off()
            axes.view_init(elev=15, azim=-60)
            if row == 0:
                axes.set_title(families[column].replace("_", " "), fontsize=7)
            if row == 1:
                axes.set_title(f"up to {errors[column]:.0f}°", fontsize=7, color=OKABE_ITO[0], y=0.95)
            if column == 0:
                axes.text2D(-0.12, 0.5, ROWS[row], transform=axes.transAxes, rotation=90, va="center", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    (FOLDER / "space_turned_back.png").write_bytes(buffer.getvalue())
    measured = read_results(FOLDERS[0] / NAME)
    assert isinstance(measured, CloudEvaluation), "of an encoder of points"
    (FOLDER / "space_errors.png").write_bytes(up_picture(measured))


if __name__ == "__main__":
    main()
