"""Right arguments for every public callable, from which the tests of bad input make wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import eqmodels
from eqmodels import (
    backbones,
    data,
    evaluation,
    export,
    fields,
    groups,
    heads,
    hub,
    layers,
    measures,
    objectives,
    tasks,
    training,
    transforms,
)

__all__ = ["LATER", "RIGHT", "Call"]

NAME = "c4_resnet18s_w4"
ZOO = "c4_resnet18s_w16.rot_fmnist_simclr"


@dataclass
class Call:
    """A callable with right arguments.

    Attributes:
        target: what is called.
        arguments: right ones, by name.
        kept: arguments that are given and not replaced: what they are is another callable's affair.
        values: how many wrong values an argument gets; fewer where a right call takes long.
    """

    target: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    values: int = 12


def maps(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@cache
def model() -> backbones.Backbone:
    return backbones.create_model(NAME, num_classes=3, in_chans=1).eval()


def images(count: int = 12) -> data.LabelledImages:
    pixels = (maps(count, 1, 8, 8) * 255).to(torch.uint8)
    return data.LabelledImages("few", pixels, torch.arange(count) % 3, ("a", "b", "c"))


def view() -> transforms.ViewParameters:
    return transforms.ViewParameters.of_raw(2, 8, 8)


def features_and_labels() -> dict[str, Any]:
    return {"features": maps(24, 4), "labels": torch.arange(24) % 3}


def train_and_test() -> dict[str, Any]:
    train, test = features_and_labels(), features_and_labels()
    return {
        f"{part}_{name}": value for part, values in (("train", train), ("test", test)) for name, value in values.items()
    }


def called(target: Callable[..., Any]) -> Callable[..., Any]:
    """A layer called with maps, whatever its argument is called."""

    def call(maps: object) -> object:
        return target(maps)

    return call


def several(target: Callable[..., Any]) -> Callable[..., Any]:
    """What takes any number of values, called with one that has a name."""

    def call(names: object) -> object:
        return target(names)

    return call


REGULAR, LABELS = fields.Regular("c4", 2), fields.Regular("c4", 1)
WIDTHS = {"in_chans": 1, "num_classes": 3}

# One a callable, by the name under which the package exports it; made when it is used.
RIGHT: dict[str, Callable[[], Call]] = {
    # eqmodels
    "eqmodels.PlanarGroup": lambda: Call(groups.PlanarGroup, {"rotations": 4, "reflections": True}),
    "eqmodels.create_model": lambda: Call(
        eqmodels.create_model, {"name": "c4_resnet18s", "pretrained": False, "width": 4, "kernel_size": 3, **WIDTHS}
    ),
    "eqmodels.list_models": lambda: Call(eqmodels.list_models, {"pattern": "c4*", "pretrained": False}),
    "eqmodels.load": lambda: Call(
        eqmodels.load,
        {"source": ZOO, "num_classes": 3, "in_chans": 1, "global_pool": "regular", "force_download": False},
        values=8,
    ),
    # backbones
    "backbones.create_model": lambda: Call(
        backbones.create_model,
        {"name": "c4_resnet18s", "width": 4, "kernel_size": 3, "global_pool": "regular", **WIDTHS},
    ),
    "backbones.list_models": lambda: Call(backbones.list_models, {"pattern": "c4*"}),
    "backbones.register_backbone": lambda: Call(
        lambda names, groups, backend: backbones.register_backbone(names, groups=groups, backend=backend),
        {"names": "my_network", "groups": True, "backend": "native"},
    ),
    "backbones.SteerableResNet": lambda: Call(
        backbones.SteerableResNet, {"architecture": "resnet18s", "group": "c4", "width": 4, "norm": "batch", **WIDTHS}
    ),
    "backbones.StandardResNet": lambda: Call(
        backbones.StandardResNet, {"architecture": "resnet18s", "width": 4, "global_pool": "regular", **WIDTHS}
    ),
    "backbones.WideSteerableResNet": lambda: Call(
        backbones.WideSteerableResNet, {"architecture": "wide_resnet16_8", "group": "c4", "width": 8, **WIDTHS}
    ),
    "backbones.as_encoder": lambda: Call(
        backbones.as_encoder, {"network": torch.nn.Flatten(), "in_chans": 1, "out_field": "64 x scalar"}
    ),
    "backbones.with_channels": lambda: Call(backbones.with_channels, {"encoder": model(), "in_chans": 3}),
    # networks, called
    "an equivariant network": lambda: Call(model(), {"images": maps(2, 1, 8, 8)}, values=30),
    "an equivariant network's features": lambda: Call(
        model().forward_features, {"images": maps(2, 1, 8, 8)}, values=30
    ),
    "a standard network": lambda: Call(
        backbones.create_model("resnet18s_w4", **WIDTHS).eval(), {"images": maps(2, 1, 8, 8)}, values=30
    ),
    "an encoder of somebody else's": lambda: Call(
        backbones.as_encoder(torch.nn.Flatten(), in_chans=1), {"images": maps(2, 1, 8, 8)}, values=30
    ),
    # data
    "data.ArrayFile": lambda: Call(data.ArrayFile, {"name": "few", "array": np.zeros((3, 1, 8, 8), np.uint8)}),
    "data.LabelledImages": lambda: Call(
        data.LabelledImages,
        {"name": "few", "images": images().images, "labels": images().labels, "classes": ("a", "b", "c")},
    ),
    "data.Subset": lambda: Call(data.Subset, {"source": images()}, {"numbers": torch.arange(3)}),
    "data.View": lambda: Call(data.View, {"source": images()}),
    "data.at_most": lambda: Call(data.at_most, {"source": images(), "count": 6, "seed": 0}),
    "data.balanced_subset": lambda: Call(data.balanced_subset, {"source": images(), "count": 6, "seed": 0}),
    "data.check_source": lambda: Call(data.check_source, {"source": images(), "name": "mine"}),
    "data.coloured": lambda: Call(data.coloured, {"source": images(), "seed": 0}),
    "data.has_colour": lambda: Call(data.has_colour, {"source": images()}),
    "data.in_memory": lambda: Call(data.in_memory, {"source": images()}),
    "data.in_parts": lambda: Call(lambda source: list(data.in_parts(source)), {"source": images()}),
    "data.is_labelled": lambda: Call(data.is_labelled, {"source": images()}),
    "data.list_data": lambda: Call(data.list_data, {"pattern": "*"}),
    "data.load_data": lambda: Call(data.load_data, {"name": "fashion_mnist_mini", "split": "test"}, values=8),
    "data.numbers_of": lambda: Call(data.numbers_of, {"indices": torch.tensor([0, 2])}, {"count": 12}),
    "data.register_source": lambda: Call(data.register_source, {"name": "my_source"}),
    "data.search_folders": lambda: Call(data.search_folders, {"root": Path("somewhere")}),
    "data.statistics": lambda: Call(data.statistics, {"source": images()}),
    "data.subset": lambda: Call(data.subset, {"source": images(), "indices": torch.tensor([0, 2])}, values=30),
    "data.to_grey": lambda: Call(data.to_grey, {"source": images()}),
    "data.to_rgb": lambda: Call(data.to_rgb, {"source": images()}),
    # evaluation
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
    # export
    "export.to_plain": lambda: Call(export.to_plain, {"model": model(), "size": 8}, values=6),
    # fields
    "fields.Regular": lambda: Call(fields.Regular, {"group": "c4", "count": 2}),
    "fields.Scalars": lambda: Call(fields.Scalars, {"count": 2}),
    "fields.Sum": lambda: Call(fields.Sum, {"parts": (fields.Scalars(2), REGULAR)}),
    "fields.check_field": lambda: Call(fields.check_field, {"features": maps(2, 8)}, {"field": REGULAR}, values=30),
    "fields.turn_back": lambda: Call(
        fields.turn_back, {"group": groups.PlanarGroup(4), "regular": maps(2, 8), "logits": maps(2, 4)}, values=30
    ),
    # heads
    "heads.EquivariantHead": lambda: Call(
        heads.EquivariantHead, {"in_field": REGULAR, "label_field": LABELS, "hidden": 8}
    ),
    "heads.LinearHead": lambda: Call(heads.LinearHead, {"in_field": REGULAR, "label_field": LABELS}),
    "heads.MLPHead": lambda: Call(
        heads.MLPHead, {"in_field": REGULAR, "label_field": LABELS, "hidden": 8, "dropout": 0.1}
    ),
    "heads.create_head": lambda: Call(
        heads.create_head, {"name": "mlp", "in_field": REGULAR, "label_field": LABELS, "hidden": 8}
    ),
    "heads.list_heads": lambda: Call(heads.list_heads, {"pattern": "*"}),
    "heads.register_head": lambda: Call(several(heads.register_head), {"names": "my_head"}),
    # hub
    "hub.list_pretrained": lambda: Call(hub.list_pretrained, {"pattern": "*"}),
    "hub.load_pretrained": lambda: Call(hub.load_pretrained, {"source": ZOO, "force_download": False}, values=6),
    "hub.locate": lambda: Call(hub.locate, {"source": ZOO}),
    "hub.publish": lambda: Call(
        hub.publish, {"folder": "nowhere", "repository": "me/mine", "private": False}, {"dry_run": True}
    ),
    "hub.read_index": lambda: Call(hub.read_index),
    "hub.verify": lambda: Call(hub.verify, {"source": "nowhere"}),
    # layers
    "layers.ExactDownsample2d": lambda: Call(layers.ExactDownsample2d, {"mode": "mean"}),
    "layers.FieldBatchNorm2d": lambda: Call(layers.FieldBatchNorm2d, {"group": "c4", "fields": 2}),
    "layers.FieldDropout2d": lambda: Call(layers.FieldDropout2d, {"group": "c4", "p": 0.5}),
    "layers.FieldLayerNorm2d": lambda: Call(layers.FieldLayerNorm2d, {"group": "c4", "fields": 2}),
    "layers.GlobalPool": lambda: Call(layers.GlobalPool, {"group": "c4", "mode": "regular", "group_pool": "max"}),
    "layers.GroupPool": lambda: Call(layers.GroupPool, {"group": "c4", "mode": "mean"}),
    "layers.OddSize2d": lambda: Call(layers.OddSize2d),
    "layers.Restrict": lambda: Call(layers.Restrict, {"group": "d4", "subgroup": "c4"}),
    "layers.SteerableConv2d": lambda: Call(
        layers.SteerableConv2d,
        {"group": "c4", "in_fields": 2, "out_fields": 2, "kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1}
        | {"groups": 1, "padding_mode": "zeros", "basis": "pixel"},
    ),
    "layers.SteerableFilters": lambda: Call(
        layers.SteerableFilters, {"group": "c4", "in_fields": 2, "out_fields": 2, "kernel_size": 3, "basis": "pixel"}
    ),
    "layers.SteerableLinear": lambda: Call(layers.SteerableLinear, {"group": "c4", "in_fields": 2, "out_fields": 2}),
    "layers.default_basis": lambda: Call(layers.default_basis, {"group": groups.PlanarGroup(4)}),
    "layers.pose_predictor": lambda: Call(layers.pose_predictor, {"group": "c4", "fields": 2, "hidden": 8}),
    "layers.scalar_basis": lambda: Call(
        layers.scalar_basis, {"name": "pixel", "group": groups.PlanarGroup(4), "kernel_size": 3}
    ),
    # layers, called
    **{
        f"{type(layer).__name__}, called": lambda layer=layer, right=right: Call(
            called(layer), {"maps": right}, values=30
        )
        for layer, right in (
            (layers.SteerableConv2d("c4", 2, 2, 3), maps(2, 8, 5, 5)),
            (layers.SteerableLinear("c4", 2, 2), maps(2, 8)),
            (layers.FieldBatchNorm2d("c4", 2), maps(2, 8, 5, 5)),
            (layers.FieldLayerNorm2d("c4", 2), maps(2, 8, 5, 5)),
            (layers.ExactDownsample2d(), maps(2, 8, 5, 5)),
            (layers.OddSize2d(), maps(2, 8, 4, 4)),
            (layers.GroupPool("c4", "mean"), maps(2, 8, 5, 5)),
            (layers.GlobalPool("c4"), maps(2, 8, 5, 5)),
            (layers.Restrict("c4", "c2"), maps(2, 8, 5, 5)),
        )
    },
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
    # objectives
    "objectives.class_information_loss": lambda: Call(
        objectives.class_information_loss,
        {"features": maps(2, 8), "labels": torch.tensor([0, 1]), "weight": 0.5},
        {"head": nn.Linear(8, 3)},
    ),
    "objectives.distillation_divergence": lambda: Call(
        objectives.distillation_divergence, {"student": maps(2, 3), "teacher": maps(2, 3), "temperature": 2.0}
    ),
    "objectives.predicted": lambda: Call(
        objectives.predicted, {"logits": maps(2, 3)}, {"labels": torch.tensor([0, 1])}
    ),
    "objectives.prediction_loss": lambda: Call(
        objectives.prediction_loss, {"logits": maps(2, 3)}, {"labels": torch.tensor([0, 1])}
    ),
    "objectives.scale_gradient": lambda: Call(objectives.scale_gradient, {"features": maps(2, 3), "factor": 0.5}),
    # tasks
    "tasks.Blur": lambda: Call(tasks.Blur, {"levels": (tasks.BlurLevel(5, (0.1, 2.0)),)}),
    "tasks.BlurLevel": lambda: Call(tasks.BlurLevel, {"kernel": 5, "sigma": (0.1, 2.0)}),
    "tasks.FineRotation": lambda: Call(tasks.FineRotation, {"angles": 8}),
    "tasks.GroupTask": lambda: Call(
        tasks.GroupTask, {"name": "turn", "group": "c4", "elements": (0, 2), "circular": False}
    ),
    "tasks.Jigsaw": lambda: Call(tasks.Jigsaw, {"gap": 1, "jitter": 1}),
    "tasks.create_task": lambda: Call(tasks.create_task, {"name": "rotation", "preset": "fixed", "to_rgb": False}),
    "tasks.list_tasks": lambda: Call(tasks.list_tasks),
    "tasks.register_task": lambda: Call(several(tasks.register_task), {"names": "my_task"}),
    "tasks.relative_target": lambda: Call(tasks.relative_target, {"first": view(), "second": view()}),
    # training
    "training.usable_device": lambda: Call(training.usable_device, {"device": "cpu"}),
    # transforms
    "transforms.RandomGrayscale": lambda: Call(transforms.RandomGrayscale, {"probability": 0.5}),
    "transforms.RandomHorizontalFlip": lambda: Call(transforms.RandomHorizontalFlip, {"probability": 0.5}),
    "transforms.adjust_hue": lambda: Call(transforms.adjust_hue, {"images": maps(2, 3, 4, 4)}, {"shifts": maps(2)}),
    "transforms.create_augmentation": lambda: Call(transforms.create_augmentation, {"name": "simclr"}),
    "transforms.register_augmentation": lambda: Call(several(transforms.register_augmentation), {"names": "my_views"}),
}

_RUN = "needs a pretraining run, of which nothing is asked beyond what its hints say"
_FILES = "is of the files of a network: its bad input is that of the fuzz tests of the hub"
_STUDY = "needs a finished study"

LATER: dict[str, str] = {
    **dict.fromkeys(("backbones.EscnnResNet", "backbones.from_escnn", "backbones.to_escnn"), "needs escnn"),
    **dict.fromkeys(("backbones.from_redet", "backbones.from_torchvision"), "takes whole checkpoints"),
    **dict.fromkeys(("cli.build_parser", "cli.main"), "speaks in the words of the command line, tested in tests/cli"),
    **dict.fromkeys(("objectives.create_teacher", "objectives.Teacher"), "downloads weights"),
    **dict.fromkeys(
        ("evaluation.equivariance_report", "evaluation.evaluate", "evaluation.images_per_second", "export.to_onnx"),
        "takes seconds when a wrong value is harmless",
    ),
    **dict.fromkeys(
        ("evaluation.over_seeds", "evaluation.plot_equivariance", "evaluation.randomise"), "not mended yet"
    ),
    **dict.fromkeys(
        ("evaluation.observe", "evaluation.head_scores", "evaluation.task_scores", "measures.measure_synergy"), _RUN
    ),
    **dict.fromkeys(
        (
            *("Learner", "Pretraining", "build_learner", "load_run", "load_unfinished", "prepared_images", "pretrain"),
            *("provenance", "register_optimiser", "save_run", "snapshot", "training_images", "untrained"),
        ),
        _RUN,
    ),
}
"""Callables that are not asked yet, by their names, and why."""
