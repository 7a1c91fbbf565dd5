"""What a distilled network is compared with, and how each of them sees the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF

import eqmodels
from benchmarks.distil.sets import SIDE
from eqmodels.adapt import turn_upright
from eqmodels.backbones import Backbone, create_model
from eqmodels.data import LabelledImages, Source, at_size
from eqmodels.evaluation import encode, kinds_of
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.orbits import QUARTERS, Motion, View
from eqmodels.evaluation.poolings import pool_features
from eqmodels.objectives import create_teacher
from eqmodels.training import Run

IN_A_CIRCLE = View(circular=True)
ANGLES = tuple(View(Motion.by_degrees(degrees), circular=True) for degrees in range(0, 360, 15))
DIAGONAL = View(Motion.by_degrees(45), circular=True)
ROTATIONS = {
    "rotation, grey clothes": "c4_resnet18s_w32.rot_fmnist_simclr",
    "rotation, clip art": "c4_resnet18s_w32.rot_openclipart",
}
"""Networks of the zoo that learned from turns alone; of clip art in the size at which it learned, 64 pixels."""

Encode = Callable[[LabelledImages, View], dict[str, Tensor]]
"""Features of pictures in a view, by name."""

UPRIGHT_FIRST = "student turned upright"
"""The student that turns a picture upright by its own head of the angle first, and sees it again; through a circle."""

NETWORKS = (
    "raw 16x16 pixels",
    "random",
    "student",
    UPRIGHT_FIRST,
    "standard twin",
    *ROTATIONS,
    "teacher",
    "teacher at 224",
)
"""What may be compared."""


def encoders(run: Run, twin: Run | None, chosen: Sequence[str]) -> Iterator[tuple[str, Encode, tuple[View, ...]]]:
    """The networks that are compared: name, function, and the views in a circle that are measured."""
    few, own = (IN_A_CIRCLE, DIAGONAL), kinds_of(run)
    if "raw 16x16 pixels" in chosen:
        yield "raw 16x16 pixels", _raw, few
    if "random" in chosen:
        yield "random", _of(Subject.of(_untrained(run)), tuple(kind for kind in RANDOM_KINDS if kind in own)), few
    if "student" in chosen:
        yield "student", _of(Subject.of(run), tuple(kind for kind in STUDENT_KINDS if kind in own)), ANGLES
    if UPRIGHT_FIRST in chosen:
        upright = turn_upright(run)
        yield UPRIGHT_FIRST, lambda data, view: {"canonical": encoded(upright, data, view)}, ANGLES
    if "standard twin" in chosen and twin is not None:
        yield "standard twin", _of(Subject.of(twin), ("regular",)), ANGLES
    for words in (one for one in ROTATIONS if one in chosen):
        yield words, _of_turns(eqmodels.load(ROTATIONS[words], in_chans=3, global_pool="canonical")), few
    teacher = create_teacher("lite0")
    if "teacher" in chosen:
        yield "teacher", lambda data, view: of_teacher(teacher, data, view), ANGLES
    if "teacher at 224" in chosen:
        yield "teacher at 224", lambda data, view: {"": encoded(_large(teacher), data, view)}, ()


ALL = slice(None)
STUDENT_KINDS = ("regular", "invariant-3", "canonical", "canonical-soft")
"""Features of the student that are measured; one without a group has regular ones alone."""
RANDOM_KINDS = ("regular", "invariant-3")
"""The same of random weights, which know no pose."""


def _raw(data: LabelledImages, view: View) -> dict[str, Tensor]:
    return {"": F.adaptive_avg_pool2d(view.of(data.pixels(ALL)), 16).flatten(1)}


def _untrained(run: Run) -> Backbone:
    """The same network with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = create_model(run.name, in_chans=3, num_classes=0, global_pool="regular", **run.config.model.options)
    network.preprocessing = run.preprocessing
    return network.eval()


def encoded(encoder: object, data: Source, view: View) -> Tensor:
    """The features of all pictures in a view."""
    return encode(encoder, data.pixels, len(data), view=view, batch_size=50)  # type: ignore[arg-type]


def _of(subject: Subject, kinds: tuple[str, ...]) -> Encode:
    def features(data: LabelledImages, view: View) -> dict[str, Tensor]:
        found = encoded(subject, data, view)
        return {kind: pool_features(subject, found, kind) for kind in kinds}

    return features


def _of_turns(encoder: Any) -> Encode:  # noqa: ANN401 (one of the zoo)
    """Canonical features; a network of grey clothes, 28 pixels wide, sees colour pictures as large as they are."""
    seen = encoder.preprocessing

    def features(data: LabelledImages, view: View) -> dict[str, Tensor]:
        fitting = data if min(seen.size) < SIDE // 2 else at_size(data, seen.size, seen.resize)
        return {"canonical": encoded(encoder, fitting, view)}

    return features


def of_teacher(teacher: torch.nn.Module, data: LabelledImages, view: View) -> dict[str, Tensor]:
    """The teacher's features, and their mean over the four quarter turns."""

    def features(images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = teacher(images)[0]
        return found

    def turned(images: Tensor) -> Tensor:
        return torch.stack([features(images.rot90(quarters, (-2, -1))) for quarters in range(4)]).mean(0)

    found = {"": encoded(features, data, view)}
    if view in (*QUARTERS, IN_A_CIRCLE, DIAGONAL):
        found["orbit mean"] = encoded(turned, data, view)
    return found


def _large(teacher: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    def features(images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = teacher(TF.resize(images, [224, 224], antialias=True))[0]
        return found

    return features
