"""Clouds of points: a source of them in memory, the poses that they are shown in, and readers of meshes and sets."""

from eqmodels.data.space.clouds import LabelledClouds, clouds_of, fitted_clouds
from eqmodels.data.space.meshes import Mesh, read_mesh, sample_mesh
from eqmodels.data.space.molecules import LabelledMolecules, molecules_of, pictured_molecules
from eqmodels.data.space.poses import Poses, in_random_poses

__all__ = [
    "LabelledClouds",
    "LabelledMolecules",
    "Mesh",
    "Poses",
    "clouds_of",
    "fitted_clouds",
    "in_random_poses",
    "molecules_of",
    "pictured_molecules",
    "read_mesh",
    "sample_mesh",
]
