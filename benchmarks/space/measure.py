"""Probes encoders of points on parts, upright and turned: ``python -m benchmarks.space.measure strict --cache FOLDER``.

Features are frozen; a linear probe and nearest neighbours learn the families from upright training parts, and are
asked about upright test parts and about the same in random poses. Of what knows no turns, probes also learn from turned
parts, four copies of each; and it is made invariant, by the principal axes of a part and by the frame of the strict run
of the same seed, if that is there. Of a frame, it is measured how far its up and the whole frame are from the truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from benchmarks.space.runs import COMMON, FOLDER, RUNS, config_of, folder_of, load_parts
from eqmodels.backbones import FrameAveraged, FrameCanonicalised, PointBackbone
from eqmodels.data import Source, clouds_of, in_random_poses
from eqmodels.evaluation import knn_accuracy
from eqmodels.groups import rotation_angle
from eqmodels.heads import FrameHead
from eqmodels.measures import fit_linear_probe
from eqmodels.training import Run, load_run
from eqmodels.training.snapshots import untrained

__all__ = ["BINS", "NAMES", "RESULTS", "errors_of", "scores_of"]

RESULTS = Path(__file__).parents[1] / "results" / "space"
NAMES = ("none", *RUNS)
"""What is measured: the runs, and the encoder of the first with random weights."""

COPIES = 4
"""Turned copies of each training part, where probes learn from such."""
POINTS: int = COMMON["seen_points"]
"""Of a part, unless it is said: as in training."""
NEIGHBOURS = 20
BINS = tuple(range(0, 181, 15))
"""Bounds, in degrees, of the bars of errors."""

Encoder = Callable[[Tensor], Tensor]


@torch.no_grad()
def features(encoder: Encoder, data: Source, points: int) -> Tensor:
    """The features of all parts, of so many points: the first, which are in no order."""
    batches = torch.arange(len(data)).split(64)
    return torch.cat([encoder(clouds_of(data.pixels(one))[:, :points]) for one in batches])


def scores_of(
    encoder: Encoder, train: Source, test: Source, seed: int, *, turned: bool, points: int = POINTS
) -> dict[str, float]:
    """Accuracies of a probe and of neighbours, upright and under rotations.

    Args:
        encoder: from clouds to features.
        train: upright parts.
        test: upright parts.
        seed: of the poses.
        turned: whether probes learn from turned parts too.
        points: of a part.
    """
    upright, asked = features(encoder, train, points), {"upright": test, "SO3": in_random_poses(test, seed=1000 + seed)}
    found: dict[str, float] = {}
    known = {words: features(encoder, data, points) for words, data in asked.items()}
    learned = {"": (upright, train.labels, 1)}
    if turned:
        seeds = range(2000 + COPIES * seed, 2000 + COPIES * (seed + 1))
        copies = [features(encoder, in_random_poses(train, seed=one), points) for one in seeds]
        learned["SO3 to "] = (torch.cat(copies), train.labels.repeat(COPIES), COPIES)
    for words, (own, labels, count) in learned.items():
        probe = fit_linear_probe(own, labels, num_classes=len(train.classes), copies=count, seed=seed)
        for view, theirs in known.items():
            found[f"probe {words}{view}"] = probe.accuracy(theirs, test.labels)
            found[f"knn {words}{view}"] = knn_accuracy(own, labels, theirs, test.labels, k=NEIGHBOURS)
    return found


@torch.no_grad()
def errors_of(run: Run, test: Source, seed: int, points: int = POINTS) -> dict[str, Any]:
    """Degrees between the predicted and the true frames of turned parts, in the median, and how many are how far."""
    poses = in_random_poses(test, seed=1000 + seed)
    backbone, head = run.backbone, cast("FrameHead", run.objective.head)
    frames = [
        head.frames(backbone.regular_features(clouds_of(poses.pixels(one))[:, :points]))
        for one in torch.arange(len(poses)).split(64)
    ]
    found, truth = torch.cat([one.matrices for one in frames]), poses.rotations
    up = torch.rad2deg((found[:, :, 2] * truth[:, :, 2]).sum(1).clamp(-1, 1).acos())
    whole = rotation_angle(found.transpose(1, 2) @ truth)
    return {
        "up": float(up.median()),
        "frame": float(whole.median()),
        "up below 15": float((up < 15).float().mean()),
        "degenerate": float(torch.cat([one.degenerate for one in frames]).float().mean()),
        "histogram of up": torch.histogram(up, torch.tensor(BINS, dtype=up.dtype)).hist.long().tolist(),
    }


def made_invariant(encoder: PointBackbone, strict: Path) -> dict[str, Encoder]:
    """An encoder that knows no turns, by the principal axes of clouds, and by frames of a strict run if it is there."""
    found: dict[str, Encoder] = {"averaged over the principal axes": FrameAveraged(encoder).eval()}
    if strict.exists():
        frames = cast("PointBackbone", load_run(strict).encoder("canonical"))
        found["turned back by the strict head"] = FrameCanonicalised(encoder, frames).eval()
    return found


def measured(
    name: str, seed: int, train: Source, test: Source, base: Path, points: int, *, probed: bool = True
) -> dict[str, Any]:
    """What is written of a run, of parts of so many points; without probes only how far poses are off."""
    if name == "none":
        run = untrained(config_of("strict", seed), train)
        plan: dict[str, Any] = {"epochs": 0, "asked_seconds": 0, "processor_seconds": 0.0}
    else:
        folder = folder_of(base, name, seed)
        run, plan = load_run(folder), json.loads(folder.with_suffix(".json").read_text())
    equivariant = run.backbone.group.name != "c1"
    kinds: dict[str, Encoder] = {"invariant" if equivariant else "pooled": run.encoder()}
    if not probed:
        kinds = {}
    elif name == "strict":
        kinds["canonical"] = run.encoder("canonical")
    elif not equivariant:
        kinds |= made_invariant(cast("PointBackbone", run.encoder()), folder_of(base, "strict", seed))
    return {
        "name": name,
        "seed": seed,
        "points": points,
        "model": run.name,
        "parameters": sum(value.numel() for value in run.backbone.parameters()),
        **plan,
        "train": len(train),
        "test": len(test),
        "classes": len(train.classes),
        "features": {
            kind: scores_of(encoder, train, test, seed, turned=kind == "pooled", points=points)
            for kind, encoder in kinds.items()
        },
        "last_epoch": run.log[-1] if run.log else {},
        **({"degrees": errors_of(run, test, seed, points)} if name in ("none", "strict") else {}),
    }


def main() -> None:
    """Measures what is named, and writes a file of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=POINTS, help="of a part; those of training by default")
    parser.add_argument("--degrees", action="store_true", help="no probes: only how far predicted poses are off")
    parser.add_argument("--root", help="the folder of the library of parts")
    parser.add_argument("--cache", help="a folder that keeps the clouds")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, test = (load_parts(split, arguments.root, arguments.cache) for split in ("train", "test"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        found = measured(
            name, arguments.seed, train, test, arguments.folder, arguments.points, probed=not arguments.degrees
        )
        of_points = "" if arguments.points == POINTS else f"-{arguments.points}p"
        file = RESULTS / f"{name}-{found['asked_seconds']:.0f}s{of_points}-{arguments.seed}.json"
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(name, found["features"], found.get("degrees", ""), flush=True)


if __name__ == "__main__":
    main()
