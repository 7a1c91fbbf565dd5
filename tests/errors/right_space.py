"""Right arguments for groups, fields and rotations of space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from eqmodels import backbones, data, evaluation, fields, groups, heads, layers, objectives, tasks
from tests.errors.calls import Call, maps

__all__ = ["SPACE"]


def turns(count: int = 2) -> torch.Tensor:
    return groups.random_rotations(count, torch.Generator().manual_seed(0), dtype=torch.float32)


SIZES = {"width": 8, "in_chans": 4, "num_classes": 2, "normalise": True}
FIELD = fields.Irreps("4x0+2x1")


def points_for(network: backbones.PointBackbone) -> Call:
    """A call of a network on clouds, with features and a mask."""
    arguments = {"points": maps(2, 5, 3), "features": maps(2, 5, 1), "mask": maps(2, 5) > -1}
    return Call(network, arguments)


def parts() -> data.LabelledClouds:
    return data.load_data("kicad_parts_mini", "test").balanced_subset(12)


def water() -> torch.Tensor:
    """Two molecules, as a source gives them."""
    return data.pictured_molecules([np.eye(3)] * 2, [["H", "H", "O"]] * 2, ("H", "O"))


def cloud_file() -> Path:
    """A file of a cloud, where the test is."""
    file = Path("cloud.npy")
    np.save(file, maps(6, 3).numpy())
    return file


SPACE: dict[str, Callable[[], Call]] = {
    # backbones
    "backbones.DGCNN": lambda: Call(backbones.DGCNN, {"neighbours": 3, "global_pool": "avg", **SIZES}),
    "backbones.FrameAveraged": lambda: Call(
        backbones.FrameAveraged, {"network": backbones.PointNet(width=4), "group": "o3"}
    ),
    "backbones.FrameCanonicalised": lambda: Call(
        backbones.FrameCanonicalised,
        {
            "network": backbones.PointNet(width=4),
            "pose": backbones.VectorNetwork(width=4, layers=1, neighbours=3, global_pool="canonical"),
        },
    ),
    "backbones.IrrepsNetwork": lambda: Call(
        backbones.IrrepsNetwork,
        {"group": "o3", "architecture": "points_small", "neighbours": 3, "convolution": "node", **SIZES},
    ),
    "backbones.PointBackbone": lambda: Call(
        backbones.PointBackbone, {"group": "so3", "in_chans": 4, "num_classes": 2, "normalise": True}
    ),
    "backbones.PointNet": lambda: Call(backbones.PointNet, {"global_pool": "avg", **SIZES}),
    "backbones.VectorNetwork": lambda: Call(
        backbones.VectorNetwork,
        {"group": "o3", "layers": 1, "neighbours": 3, "global_pool": "canonical", "pose_hidden": 4, **SIZES},
    ),
    "an encoder of points": lambda: points_for(backbones.VectorNetwork(width=4, layers=1, in_chans=4)),
    # data
    "data.LabelledClouds": lambda: Call(
        data.LabelledClouds,
        {"name": "few", "images": parts().images, "labels": parts().labels, "classes": parts().classes}
        | {"background": "white", "skipped": (), "aligned": True},
    ),
    "data.LabelledMolecules": lambda: Call(
        data.LabelledMolecules,
        {"name": "few", "images": water(), "labels": torch.tensor([0, 0]), "classes": ("a",), "background": "white"}
        | {"skipped": (), "elements": ("H", "O"), "target_names": ("weight",)}
        | {"targets": torch.zeros(2, 1, dtype=torch.float64)},
    ),
    "data.clouds_of": lambda: Call(data.clouds_of, {"pixels": maps(2, 3, 5, 1)}),
    "data.fitted_clouds": lambda: Call(data.fitted_clouds, {"points": maps(2, 5, 3)}),
    "data.in_random_poses": lambda: Call(data.in_random_poses, {"source": parts(), "axes": "z", "seed": 0}),
    "data.molecules_of": lambda: Call(data.molecules_of, {"pixels": water()}),
    "data.pictured_molecules": lambda: Call(
        data.pictured_molecules,
        {"positions": [np.eye(3)], "elements": [["H", "H", "O"]], "known": ("H", "O"), "atoms": 4},
    ),
    "data.read_mesh": lambda: Call(data.read_mesh, {"path": cloud_file()}),
    "data.sample_mesh": lambda: Call(data.sample_mesh, {"mesh": data.read_mesh(cloud_file()), "count": 4, "seed": 0}),
    "data.targets_of": lambda: Call(data.targets_of, {"source": parts()}),
    # evaluation
    "evaluation.embed_clouds": lambda: Call(
        evaluation.embed_clouds,
        {"encoder": backbones.PointNet(width=4), "paths": [cloud_file()], "points": 4, "seed": 0, "up": "y"},
        values=8,
    ),
    "evaluation.evaluate_clouds": lambda: Call(
        evaluation.evaluate_clouds,
        {"encoder": backbones.PointNet(width=4), "train": parts(), "test": parts(), "points": 4, "seed": 0},
        values=6,
    ),
    # heads, layers, objectives, tasks
    "heads.FrameHead": lambda: Call(
        heads.FrameHead, {"in_field": FIELD, "label_field": fields.Irreps("3x1"), "hidden": 4}
    ),
    "layers.pad_clouds": lambda: Call(layers.pad_clouds, {"clouds": [maps(3, 3), maps(2, 3)]}),
    "objectives.check_upright": lambda: Call(objectives.check_upright, {"aligned": True, "name": "parts"}),
    "objectives.OrientationPrediction": lambda: Call(
        objectives.OrientationPrediction,
        {"backbone": backbones.VectorNetwork(width=4, layers=1), "num_classes": 3, "head": "frame", "head_hidden": 4}
        | {"loss": "chordal", "seen_points": 8, "jitter": 0.01, "stretch": 0.1},
    ),
    "objectives.chordal_loss": lambda: Call(
        objectives.chordal_loss, {"frames": maps(2, 3, 3), "targets": turns(), "reduction": "mean"}, values=30
    ),
    "objectives.frame_loss": lambda: Call(
        objectives.frame_loss,
        {"frames": heads.FrameHead(FIELD, fields.Irreps("3x1")).frames(maps(2, 10)), "targets": turns()},
    ),
    "tasks.Orientations": lambda: Call(tasks.Orientations, {"group": "o"}),
    # fields
    "fields.Irreps": lambda: Call(fields.Irreps, {"parts": "2x0+1x1"}),
    # groups
    "groups.PointGroup": lambda: Call(groups.PointGroup, {"kind": "o"}),
    "groups.SpaceGroup": lambda: Call(groups.SpaceGroup, {"reflections": True}),
    "groups.axis_angle_matrix": lambda: Call(
        groups.axis_angle_matrix, {"axes": maps(2, 3), "degrees": 30.0}, values=30
    ),
    "groups.check_orthogonal": lambda: Call(groups.check_orthogonal, {"name": "turns", "matrices": turns()}, values=30),
    "groups.euler_matrix": lambda: Call(groups.euler_matrix, {"degrees": maps(2, 3)}, values=30),
    "groups.matrix_from_quaternion": lambda: Call(
        groups.matrix_from_quaternion, {"quaternions": maps(2, 4)}, values=30
    ),
    "groups.matrix_from_six": lambda: Call(groups.matrix_from_six, {"numbers": maps(2, 6)}, values=30),
    "groups.nearest_rotation": lambda: Call(groups.nearest_rotation, {"matrices": maps(2, 3, 3)}, values=30),
    "groups.quaternion_from_matrix": lambda: Call(groups.quaternion_from_matrix, {"matrices": turns()}, values=30),
    "groups.random_rotations": lambda: Call(groups.random_rotations, {"count": 3, "dtype": torch.float32}),
    "groups.rotation_angle": lambda: Call(groups.rotation_angle, {"matrices": turns()}, values=30),
    "groups.six_from_matrix": lambda: Call(groups.six_from_matrix, {"matrices": turns()}, values=30),
    "groups.wigner_d": lambda: Call(groups.wigner_d, {"degree": 2, "rotations": turns()}, values=30),
}
