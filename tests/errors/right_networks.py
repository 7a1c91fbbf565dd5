"""Right arguments for what builds networks and their parts, and for these themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

import eqmodels
from eqmodels import adapt, backbones, export, fields, groups, heads, layers
from tests.errors.calls import LABELS, REGULAR, WIDTHS, ZOO, Call, called, images, maps, model, several

__all__ = ["NETWORKS"]


def described_pose() -> eqmodels.Backbone:
    return backbones.create_model("c4_resnet18s_w4", in_chans=1, num_classes=0, global_pool="canonical", pose_hidden=8)


def symmetrised() -> eqmodels.Backbone:
    return adapt.symmetrise("lite0", "c2", size=32)


def apart() -> str:
    """A folder that lacks weights, where the test is."""
    adapt.save_apart(symmetrised(), "apart")
    return "apart"


NETWORKS: dict[str, Callable[[], Call]] = {
    # adapt
    "adapt.original": lambda: Call(
        adapt.original, {"source": "timm:test_resnet", "weights": "random", "in_chans": 3}, values=6
    ),
    "adapt.CanonicalisedMaps": lambda: Call(
        adapt.CanonicalisedMaps,
        {"encoder": backbones.Canonicalised("c4", source=torch.nn.Conv2d(3, 2, 3), by="c4_resnet18s_w4")},
    ),
    "adapt.SymmetrisedMaps": lambda: Call(
        adapt.SymmetrisedMaps,
        {"network": torch.nn.Conv2d(3, 2, 3), "group": "c4", "in_chans": 3, "size": (8, 8), "at_a_time": 1},
    ),
    "adapt.turn_upright": lambda: Call(
        adapt.turn_upright,
        {"network": eqmodels.hub.load_pretrained("c4_resnet18_w32.distil_lite0"), "features": "canonical"},
    ),
    "adapt.canonicalise": lambda: Call(
        adapt.canonicalise,
        {"network": torch.nn.Conv2d(3, 2, 3), "by": ZOO, "mode": "soft", "in_chans": 3, "size": 8},
        values=6,
    ),
    "adapt.fit_pose": lambda: Call(
        adapt.fit_pose,
        {"encoder": described_pose(), "images": images(4), "epochs": 1, "batch_size": 4, "learning_rate": 1e-3},
        values=3,
    ),
    "adapt.holds_original": lambda: Call(
        adapt.holds_original,
        {"encoder": adapt.symmetrise("timm:test_resnet", "c2", weights="random", size=16)},
    ),
    "adapt.save_apart": lambda: Call(adapt.save_apart, {"encoder": symmetrised(), "folder": "there"}),
    "adapt.completed": lambda: Call(adapt.completed, {"folder": apart(), "weights": "pretrained"}, values=6),
    "adapt.is_model": lambda: Call(adapt.is_model, {"name": "c4_resnet18s_w4"}),
    "adapt.posing": lambda: Call(adapt.posing, {"name": "c4_resnet18s_w4"}),
    "adapt.symmetrise": lambda: Call(
        adapt.symmetrise,
        {"network": torch.nn.Conv2d(3, 2, 3), "group": "c4", "output": "mean", "in_chans": 3, "size": 8}
        | {"mean": [0.5] * 3, "std": [0.5] * 3, "at_a_time": 1, "drawn": 2},
    ),
    # eqmodels
    "eqmodels.PlanarGroup": lambda: Call(groups.PlanarGroup, {"rotations": 4, "reflections": True}),
    "eqmodels.create_model": lambda: Call(
        eqmodels.create_model, {"name": "c4_resnet18s", "pretrained": False, "width": 4, "kernel_size": 3, **WIDTHS}
    ),
    "eqmodels.list_models": lambda: Call(
        eqmodels.list_models, {"pattern": "c4*", "pretrained": False, "takes": "images"}
    ),
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
    "backbones.list_models": lambda: Call(backbones.list_models, {"pattern": "c4*", "takes": "images"}),
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
    "backbones.UNet": lambda: Call(
        backbones.UNet,
        {"encoder": "c4_resnet18s_w4", "encoder_args": {"norm": "layer"}, "width": 4, "out_field": "3 x scalar"}
        | {"kernel_size": 1, "norm": "batch", "head_fields": 2, **WIDTHS},
        values=6,
    ),
    "backbones.FPN": lambda: Call(
        backbones.FPN, {"encoder": "c4_resnet18s_w4", "width": 4, "head_fields": 2, **WIDTHS}, values=6
    ),
    "backbones.as_encoder": lambda: Call(
        backbones.as_encoder, {"network": torch.nn.Flatten(), "in_chans": 1, "out_field": "64 x scalar"}
    ),
    "layers.AnglePredictor": lambda: Call(layers.AnglePredictor, {"group": "c4", "fields": 2, "hidden": 8}),
    "backbones.as_equiadapt": lambda: Call(backbones.as_equiadapt, {"encoder": described_pose()}),
    "backbones.with_channels": lambda: Call(backbones.with_channels, {"encoder": model(), "in_chans": 3}),
    "backbones.with_width": lambda: Call(backbones.with_width, {"encoder": model(), "width": 8}),
    "backbones.TurnedUpright": lambda: Call(
        backbones.TurnedUpright,
        {"network": "c4_resnet18s_w4", "angle_hidden": 8, "in_chans": 3, "num_classes": 2},
    ),
    "backbones.Upright": lambda: Call(
        backbones.Upright,
        {
            "encoder": backbones.create_model("c4_resnet18s_w4", num_classes=0),
            "angle": layers.AnglePredictor("c4", 8, 8),
        },
    ),
    "backbones.Canonical": lambda: Call(
        backbones.Canonical,
        {"network": torch.nn.Conv2d(3, 2, 3), "pose": torch.nn.Flatten(), "group": "c4", "fields": 2, "mode": "hard"},
    ),
    "backbones.Canonicalised": lambda: Call(
        backbones.Canonicalised,
        {"group": "c4", "source": torch.nn.Conv2d(1, 2, 3), "by": "c4_resnet18s_w4", "by_args": {"pose_hidden": 8}}
        | {"mode": "hard", "size": (8, 8), **WIDTHS},
        values=6,
    ),
    "backbones.Orbit": lambda: Call(
        backbones.Orbit,
        {"network": torch.nn.Conv2d(3, 2, 3), "group": "c4", "fields": 2, "size": (8, 8), "at_a_time": 1, "drawn": 2},
    ),
    "backbones.Symmetrised": lambda: Call(
        backbones.Symmetrised,
        {"group": "c4", "source": torch.nn.Conv2d(1, 2, 3), "size": (8, 8), "at_a_time": 1, "drawn": 2, **WIDTHS},
    ),
    "backbones.Backbone": lambda: Call(backbones.Backbone, {"group": "c4", **WIDTHS}),
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
    "an adapted network": lambda: Call(
        backbones.Symmetrised("c4", source=torch.nn.Conv2d(1, 2, 3), in_chans=1),
        {"images": maps(2, 1, 8, 8)},
        values=30,
    ),
    # export
    "export.export_network": lambda: Call(
        export.export_network,
        {"file": Path("network.pt"), "format": "plain", "size": 8, "classes": ["a", "b", "c"]},
        {"model": model()},
        values=4,
    ),
    "export.stage_maps": lambda: Call(export.stage_maps, {"stages": ["layer2", "layer4"]}, {"model": model()}),
    "export.to_plain": lambda: Call(export.to_plain, {"model": model(), "size": 8}, values=6),
    # fields
    "fields.Regular": lambda: Call(fields.Regular, {"group": "c4", "count": 2}),
    "fields.Scalars": lambda: Call(fields.Scalars, {"count": 2}),
    "fields.Vectors": lambda: Call(fields.Vectors, {"group": "c4", "count": 2, "frequency": 1}),
    "fields.Sum": lambda: Call(fields.Sum, {"parts": (fields.Scalars(2), REGULAR)}),
    "fields.check_field": lambda: Call(fields.check_field, {"features": maps(2, 8)}, {"field": REGULAR}, values=30),
    "fields.turn_back": lambda: Call(
        fields.turn_back, {"group": groups.PlanarGroup(4), "regular": maps(2, 8), "logits": maps(2, 4)}, values=30
    ),
    # heads
    "heads.AngleHead": lambda: Call(
        heads.AngleHead, {"in_field": REGULAR, "label_field": fields.Vectors(REGULAR.group, 1), "hidden": 8}
    ),
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
    # layers
    "layers.ExactDownsample2d": lambda: Call(layers.ExactDownsample2d, {"mode": "mean"}),
    "layers.ExactUpsample2d": lambda: Call(layers.ExactUpsample2d),
    "ExactUpsample2d, called": lambda: Call(layers.ExactUpsample2d(), {"maps": maps(2, 8, 5, 5), "size": (7, 3)}),
    "layers.FieldBatchNorm2d": lambda: Call(layers.FieldBatchNorm2d, {"group": "c4", "fields": 2}),
    "layers.FieldDropout1d": lambda: Call(layers.FieldDropout1d, {"group": "c4", "p": 0.5}),
    "layers.FieldDropout2d": lambda: Call(layers.FieldDropout2d, {"group": "c4", "p": 0.5}),
    "layers.FieldLayerNorm2d": lambda: Call(layers.FieldLayerNorm2d, {"group": "c4", "fields": 2}),
    "layers.GlobalPool": lambda: Call(
        layers.GlobalPool, {"group": "c4", "mode": "regular", "group_pool": "max", "drop_rate": 0.5}
    ),
    "layers.GroupPool": lambda: Call(layers.GroupPool, {"group": "c4", "mode": "mean"}),
    "layers.JoinFields": lambda: Call(layers.JoinFields, {"group": "c4", "fields": 2, "others": 1}),
    "JoinFields, called": lambda: Call(
        layers.JoinFields("c4", 2, 1), {"maps": maps(2, 8, 5, 5), "others": maps(2, 4, 5, 5)}, values=30
    ),
    "layers.OddSize2d": lambda: Call(layers.OddSize2d),
    "layers.OutputConv2d": lambda: Call(
        layers.OutputConv2d,
        {"group": "c4", "in_fields": 2, "out_field": fields.Vectors("c4", 1), "kernel_size": 1, "basis": "pixel"},
    ),
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
    "layers.output_field": lambda: Call(
        layers.output_field, {"module": layers.GroupPool("c4", "mean"), "field": REGULAR}
    ),
    # layers, called
    **{
        f"{type(layer).__name__}, called": lambda layer=layer, right=right: Call(
            called(layer), {"maps": right}, values=30
        )
        for layer, right in (
            (layers.SteerableConv2d("c4", 2, 2, 3), maps(2, 8, 5, 5)),
            (layers.OutputConv2d("c4", 2, fields.Scalars(3)), maps(2, 8, 5, 5)),
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
}
