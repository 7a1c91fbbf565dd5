"""Encoders of points, measured on clouds: probes of frozen features, upright and turned, and the predicted pose.

Probes learn from upright clouds alone. What is invariant scores the same on turned ones; what is not shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import PointBackbone
from eqmodels.checks import check_count
from eqmodels.data import Source, clouds_of, in_random_poses, is_labelled, molecules_of
from eqmodels.data.source import takes_of
from eqmodels.data.space.sampled import POINTS, sampled_clouds
from eqmodels.errors import shown
from eqmodels.evaluation.cloud_scores import BARS, CloudEvaluation, CloudScores
from eqmodels.evaluation.feature_table import Embedding
from eqmodels.evaluation.knn import knn_accuracy
from eqmodels.evaluation.pretrained import Pretrained
from eqmodels.groups import rotation_angle
from eqmodels.measures import fit_linear_probe

__all__ = ["embed_clouds", "evaluate_clouds"]

NEIGHBOURS = 20
BATCH = 64


def evaluate_clouds(
    encoder: PointBackbone | Pretrained, train: Source, test: Source, *, points: int | None = None, seed: int = 0
) -> CloudEvaluation:
    """Measures an encoder of points on labelled clouds that stand upright, or on molecules as they lie.

    Args:
        encoder: an encoder without a classifier, or a run, of which all kinds of features are measured: those that do
            not change when a cloud turns, those that do, and the canonical ones if its head predicts a frame.
        train: what probes learn from.
        test: what they are asked about, as it is and in random poses.
        points: of a cloud, the first ones; None for as many as in training if that is known, else all. Of molecules
            all atoms are always used.
        seed: of the poses and of what probes hold out.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the encoder takes images or has a classifier, data are no clouds or have no classes, or there are
            not as many points.
    """
    check_arguments(evaluate_clouds, {"train": train, "test": test, "seed": seed})
    check_count("seed", seed, 0, bits=64)
    kinds = _kinds_of(encoder)
    for data in (train, test):
        if takes_of(data) != "points" or not is_labelled(data):
            lacking = "images" if takes_of(data) != "points" else "no classes"
            raise ValueError(
                f"labelled clouds are asked for here; got {data.name}, which has {lacking}. Use data such as "
                "kicad_parts_mini."
            )
    first = next(iter(kinds.values()))
    known = None if first.preprocessing is None else first.preprocessing.size[0]
    count = _count(points, known, train, test)
    poses = in_random_poses(test, seed=seed)
    scores, neighbours = [], min(NEIGHBOURS, len(train))
    for kind, one in kinds.items():
        learned, upright, turned = (_features(one, data, count) for data in (train, test, poses))
        probe = fit_linear_probe(learned, train.labels, num_classes=len(train.classes), seed=seed)
        found = [
            (probe.accuracy(asked, test.labels), knn_accuracy(learned, train.labels, asked, test.labels, k=neighbours))
            for asked in (upright, turned)
        ]
        change = float((turned - upright).norm() / upright.norm().clamp_min(1e-30))
        (accuracy, knn), (accuracy_turned, knn_turned) = found
        scores.append(CloudScores(kind, learned.shape[1], accuracy, accuracy_turned, knn, knn_turned, change))
    name, sha256 = (encoder.name, encoder.sha256) if isinstance(encoder, Pretrained) else (type(encoder).__name__, "")
    result = CloudEvaluation(
        name,
        sha256,
        sum(value.numel() for value in first.parameters()),
        first.group.name,
        count,
        (train.name, len(train)),
        (test.name, len(test)),
        tuple(scores),
    )
    canonical = kinds.get("canonical")
    return result if canonical is None else replace(result, **_pose_errors(canonical, poses, count))


def _count(points: int | None, known: int | None, train: Source, test: Source) -> int:
    """How many points of a cloud are used.

    Args:
        points: as was asked.
        known: as in the training of the encoder.
        train: what probes learn from.
        test: what they are asked about.

    Raises:
        ValueError: if there are not as many, or of molecules fewer than all are asked for.
    """
    all_of_them = min(train.size[0], test.size[0])
    if train.channels > 3 or test.channels > 3:
        if points is not None:
            raise ValueError(f"of molecules all atoms are used; got points={points}. Leave it out (--points).")
        return max(train.size[0], test.size[0])
    count = min(known or train.size[0], train.size[0]) if points is None else check_count("points", points)
    if count > all_of_them:
        raise ValueError(f"points must be at most {all_of_them}, those of a cloud; got {count}.")
    return count


def embed_clouds(
    encoder: PointBackbone,
    paths: Sequence[str | Path],
    *,
    points: int | None = None,
    seed: int = 0,
    up: str = "z",
) -> Embedding:
    """The features of the meshes and clouds in some files, see `eqmodels.data.read_mesh`.

    Args:
        encoder: without a classifier, in any mode; it is put into eval mode, and stays on its device.
        paths: of the files.
        points: drawn from each surface; None for as many as in training if that is known, else 512.
        seed: of the draw.
        up: the axis that is up in the files, ``"z"`` or ``"y"``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the encoder takes images, or features of points behind their coordinates, or has a classifier,
            there are no files, or one cannot be read.
        ModuleNotFoundError: if a file needs trimesh, and it is not installed.
    """
    check_arguments(embed_clouds, {"paths": paths, "points": points, "seed": seed, "up": up})
    (one,) = _kinds_of(encoder).values()
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("embed needs meshes or clouds; got no file. Name files, or a folder of them.")
    if up not in ("z", "y"):
        raise ValueError(f"up must be 'z' or 'y'; got {shown(up)}. Use 'z'.")
    if one.in_chans != 3:
        raise ValueError(
            f"files of meshes and clouds are read as coordinates alone; got an encoder with in_chans={one.in_chans}, "
            f"which wants {one.in_chans - 3} features of every point as well. Give it tensors: of molecules, "
            "encoder(atoms, mask=mask) with atoms, mask = data.atoms()."
        )
    known = POINTS if one.preprocessing is None else one.preprocessing.size[0]
    clouds = sampled_clouds(files, None, points=known if points is None else points, seed=seed, up=up)
    features = torch.cat([_outputs(one, part) for part in clouds.split(BATCH)])
    return Embedding(tuple(map(str, files)), features, str(one.out_field))


def _kinds_of(encoder: PointBackbone | Pretrained) -> dict[str, PointBackbone]:
    """The encoders of each kind of features, in eval mode.

    Raises:
        TypeError: if it is none of points.
        ValueError: if it takes images, or has a classifier.
    """
    if isinstance(encoder, Pretrained):
        found = [cast("Any", encoder).encoder(kind) for kind in ("invariant", "regular")]
        if getattr(found[0], "takes", "images") == "points":
            if found[0].group.name == "c1":
                return {"pooled": found[0]}
            kinds = {"invariant": found[0], "equivariant": found[1]}
            canonical = {} if encoder.pose is None else {"canonical": cast("Any", encoder).encoder("canonical")}
            return kinds | canonical
        raise ValueError(f"encoders of points are asked for; got {encoder.name}, which takes images. Use evaluate.")
    if not isinstance(encoder, PointBackbone):
        raise TypeError(f"encoder must be a PointBackbone or a run of one; got {shown(encoder)}. Load one.")
    if encoder.num_classes:
        raise ValueError(
            f"features are asked for; this encoder gives scores of {encoder.num_classes} classes. Load it with "
            "num_classes=0."
        )
    return {getattr(encoder.global_pool, "mode", "pooled"): encoder.eval()}


@torch.no_grad()
def _outputs(encoder: PointBackbone, pixels: Float[Tensor, "B C P 1"]) -> Float[Tensor, "B F"]:
    reference = next(encoder.parameters())
    points, mask = molecules_of(pixels) if pixels.shape[1] > 3 else (clouds_of(pixels), None)
    found: Tensor = encoder(points.to(reference), mask=None if mask is None else mask.to(reference.device))
    return found.float().cpu()


def _features(encoder: PointBackbone, data: Source, count: int) -> Float[Tensor, "N F"]:
    """Features of all clouds, of their first points."""
    parts = torch.arange(len(data)).split(BATCH)
    return torch.cat([_outputs(encoder, data.pixels(part)[:, :, :count]) for part in parts])


@torch.no_grad()
def _pose_errors(encoder: PointBackbone, poses: Any, count: int) -> dict[str, Any]:  # noqa: ANN401
    """What `CloudEvaluation` says of predicted poses, by name."""
    reference = next(encoder.parameters())
    parts = torch.arange(len(poses)).split(BATCH)
    frames = [encoder.frames(clouds_of(poses.pixels(part)[:, :, :count]).to(reference)) for part in parts]
    found = torch.cat([one.matrices for one in frames]).float().cpu()
    up = torch.rad2deg((found[:, :, 2] * poses.rotations[:, :, 2]).sum(1).clamp(-1, 1).acos())
    whole = rotation_angle(found.transpose(1, 2) @ poses.rotations)
    none = torch.cat([one.degenerate for one in frames]).float().mean()
    bars = torch.histogram(up, torch.tensor(BARS, dtype=up.dtype)).hist.long().tolist()
    return {
        "up": float(up.median()),
        "frame": float(whole.median()),
        "degenerate": float(none),
        "errors_of_up": tuple(bars),
    }
