"""Right arguments for what networks are pretrained by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from eqmodels import finetuning, heads, objectives, tasks, training, transforms
from tests.errors.calls import LABELS, REGULAR, Call, images, maps, model, several, view

__all__ = ["LEARNING"]


LEARNING: dict[str, Callable[[], Call]] = {
    # finetuning
    "finetuning.validation_split": lambda: Call(
        finetuning.validation_split, {"source": images(), "fraction": 0.2}, values=8
    ),
    "finetuning.FinetuneConfig": lambda: Call(
        finetuning.FinetuneConfig,
        {"epochs": 3, "patience": 2, "batch_size": 8, "learning_rate": 1e-3, "layer_decay": 0.5, "weight_decay": 0.1}
        | {"augment": "none", "validation": 0.2, "seed": 0},
    ),
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
    "objectives.ClassInformation": lambda: Call(
        objectives.ClassInformation, {"in_features": 8, "num_classes": 3, "weight": 0.5, "hidden": 8}
    ),
    "objectives.Distil": lambda: Call(
        objectives.Distil,
        {"backbone": model(), "num_classes": 3, "teacher": "lite0", "teacher_width": 8, "teacher_classes": 4}
        | {"view_size": 8, "smallest_area": 0.5, "jitter": 0.4, "cutmix": 0.5, "residual": 0.5, "logits_weight": 0.1}
        | {"features_weight": 1.0, "pose_weight": 0.1, "temperature": 8.0, "pose_hidden": 8},
    ),
    "objectives.Frozen": lambda: Call(objectives.Frozen, {"module": nn.Linear(2, 2)}),
    "objectives.Moving": lambda: Call(objectives.Moving, {"module": nn.Linear(2, 2)}),
    "objectives.Network": lambda: Call(
        objectives.Network,
        {
            "backbone": model(),
            "preprocessing": transforms.Preprocessing((0.5,), (0.5,), (8, 8)),
            "memory_format": torch.contiguous_format,
        },
    ),
    "objectives.Prediction": lambda: Call(
        objectives.Prediction,
        {"backbone": model(), "num_classes": 3, "task": "rotation", "preset": "fixed", "head": "mlp", "head_hidden": 8}
        | {"head_dropout": 0.1, "head_options": None, "turn": "always", "class_weight": 0.5, "class_hidden": 8}
        | {"augment": "none"},
    ),
    "objectives.RelativePrediction": lambda: Call(
        objectives.RelativePrediction,
        {"backbone": model(), "num_classes": 3, "augment": "simclr", "head_hidden": 8},
    ),
    "objectives.create_objective": lambda: Call(
        objectives.create_objective, {"name": "relative", "backbone": model(), "num_classes": 3, "head_hidden": 8}
    ),
    "objectives.generator_for": lambda: Call(
        lambda seed, purpose, position: objectives.generator_for(seed, purpose, 0, position),
        {"seed": 0, "purpose": objectives.Purpose.ORDER, "position": 1},
    ),
    "objectives.is_strict": lambda: Call(
        objectives.is_strict,
        {
            "task": tasks.create_task("rotation"),
            "heads": [heads.LinearHead(REGULAR, LABELS)],
            "class_head": False,
        },
    ),
    "objectives.objective_options": lambda: Call(objectives.objective_options, {"name": "prediction"}),
    "objectives.register_objective": lambda: Call(several(objectives.register_objective), {"names": "my_objective"}),
    "objectives.seed_dropout": lambda: Call(
        lambda seed, position: objectives.seed_dropout(seed, 0, position), {"seed": 0, "position": 1}
    ),
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
    "tasks.ColourInversion": lambda: Call(tasks.ColourInversion, {"to_rgb": True}),
    "tasks.Grayscale": lambda: Call(tasks.Grayscale, {"to_rgb": True}),
    "tasks.MultivariateTask": lambda: Call(
        tasks.MultivariateTask, {"tasks": (tasks.create_task("rotation"), tasks.create_task("blur"))}
    ),
    "tasks.NoTask": lambda: Call(tasks.NoTask),
    "tasks.Unasked": lambda: Call(tasks.Unasked),
    "tasks.indistinct_labels": lambda: Call(
        tasks.indistinct_labels, {"tasks": (tasks.create_task("rotation"),), "flipped": False}
    ),
    # training
    "training.PretrainConfig": lambda: Call(
        training.PretrainConfig,
        {"model": training.ModelConfig(), "data": training.DataConfig(), "objective": training.ObjectiveConfig()}
        | {"optimisation": training.OptimisationConfig(), "run": training.RunConfig()},
    ),
    "training.usable_device": lambda: Call(training.usable_device, {"device": "cpu"}),
    "training.DataConfig": lambda: Call(
        training.DataConfig,
        {"name": "fashion_mnist_mini", "limit": 10, "coloured": False, "to_rgb": False, "options": {}},
    ),
    "training.ModelConfig": lambda: Call(training.ModelConfig, {"name": "c4_resnet18s_w4", "options": {}}),
    "training.ObjectiveConfig": lambda: Call(training.ObjectiveConfig, {"name": "relative", "options": {}}),
    "training.OptimisationConfig": lambda: Call(
        training.OptimisationConfig,
        {"epochs": 2, "batch_size": 4, "accumulate": 2, "optimiser": "sgd", "learning_rate": 0.1}
        | {"final_learning_rate": 0.0, "schedule": "cosine", "warmup_epochs": 0.5, "weight_decay": 0.0}
        | {"clip_norm": 1.0, "options": {}},
    ),
    "training.Options": lambda: Call(training.Options, {"values": {"size": 8}}),
    "training.RunConfig": lambda: Call(
        training.RunConfig, {"precision": "auto", "channels_last": True, "compile": False, "seed": 0}
    ),
    # transforms
    "transforms.RandomGrayscale": lambda: Call(transforms.RandomGrayscale, {"probability": 0.5}),
    "transforms.RandomHorizontalFlip": lambda: Call(transforms.RandomHorizontalFlip, {"probability": 0.5}),
    "transforms.adjust_hue": lambda: Call(transforms.adjust_hue, {"images": maps(2, 3, 4, 4)}, {"shifts": maps(2)}),
    "transforms.create_augmentation": lambda: Call(transforms.create_augmentation, {"name": "simclr"}),
    "transforms.register_augmentation": lambda: Call(several(transforms.register_augmentation), {"names": "my_views"}),
    "transforms.ColourJitter": lambda: Call(
        transforms.ColourJitter,
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8},
    ),
    "transforms.Compose": lambda: Call(several(transforms.Compose), {"names": transforms.NoAugmentation()}),
    "transforms.NoAugmentation": lambda: Call(transforms.NoAugmentation),
    "transforms.Pixels": lambda: Call(transforms.Pixels, {"channels": 1, "background": "white"}),
    "transforms.Resize": lambda: Call(transforms.Resize, {"size": (6, 8), "rule": "crop"}),
    "transforms.RandomCrop": lambda: Call(transforms.RandomCrop, {"padding": 4}),
    "transforms.RandomResizedCrop": lambda: Call(
        transforms.RandomResizedCrop, {"scale": (0.2, 1.0), "ratio": (0.75, 1.5)}
    ),
    "transforms.ViewParameters": lambda: Call(transforms.ViewParameters, vars(view()), values=30),
    "transforms.crop_flip": lambda: Call(transforms.crop_flip),
    "transforms.simclr": lambda: Call(transforms.simclr),
}
