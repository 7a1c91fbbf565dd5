"""Clouds as a source: where they lie, how they are turned, what is drawn from a surface, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from eqmodels.data import (
    LabelledClouds,
    LabelledImages,
    at_most,
    clouds_of,
    fitted_clouds,
    in_random_poses,
    load_data,
    read_mesh,
    sample_mesh,
)
from eqmodels.data.source import is_aligned, takes_of
from eqmodels.data.space import Mesh
from tests.data.space_files import FACES, box, write_off, write_wrl


def points(count: int = 3, size: int = 50) -> torch.Tensor:
    return 7 * torch.randn(count, size, 3, generator=torch.Generator().manual_seed(0)) + 40


def test_a_fitted_cloud_stays_in_the_unit_cube_however_it_is_turned():
    fitted = fitted_clouds(points())
    assert fitted.shape == (3, 3, 50, 1)
    found = clouds_of(fitted) - 0.5
    torch.testing.assert_close(found.norm(dim=2).amax(1), torch.full((3,), 0.5))
    # It is the cloud itself but for place and size.
    given = points() - (points().amin(1, keepdim=True) + points().amax(1, keepdim=True)) / 2
    ratio = given.norm(dim=2) / found.norm(dim=2)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-4, atol=0)
    assert torch.equal(fitted_clouds(torch.full((1, 4, 3), 5.0)), torch.full((1, 3, 4, 1), 0.5))


def test_poses_are_one_rotation_a_cloud_the_same_each_time():
    data = load_data("kicad_parts_mini", "test")
    some = at_most(data, 20)
    assert (takes_of(some), is_aligned(some), takes_of(load_data("fashion_mnist_mini"))) == ("points", True, "images")
    turned = in_random_poses(some, seed=3)
    assert (takes_of(turned), is_aligned(turned)) == ("points", False)
    numbers = torch.tensor([4, 2, 2])
    before, after = (clouds_of(source.pixels(numbers)) - 0.5 for source in (some, turned))
    torch.testing.assert_close(after, before @ turned.rotations[numbers].transpose(1, 2), atol=1e-6, rtol=0)
    assert not torch.equal(turned.pixels(numbers), in_random_poses(some, seed=4).pixels(numbers))
    upright = in_random_poses(some, "z", seed=3)
    heights = (clouds_of(source.pixels(slice(None)))[..., 2] for source in (some, upright))
    torch.testing.assert_close(*heights, atol=1e-6, rtol=0)
    assert not torch.equal(some.pixels(numbers), upright.pixels(numbers))


@pytest.mark.parametrize("ending", ["off", "wrl", "ply", "stl", "obj"])
def test_a_box_is_the_same_in_every_format(ending, tmp_path):
    corners, file = box(1, 2, 3), tmp_path / f"box.{ending}"
    if ending == "off":
        write_off(file, corners)
    elif ending == "wrl":
        write_wrl(file, corners)
    else:
        import trimesh

        triangles = [part for a, b, c, d in FACES for part in ((a, b, c), (a, c, d))]
        trimesh.Trimesh(corners, triangles, process=False).export(file)
    mesh = read_mesh(file)
    assert len(mesh.triangles) == 12
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]] for corner in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2 == pytest.approx(22)
    drawn = sample_mesh(mesh, 4000, seed=1)
    assert ((drawn > -1e-9) & (drawn < np.array([1, 2, 3]) + 1e-9)).all()
    # Every point is on a face, and faces have points by their areas: 6, 3 and 2 of 11, twice each.
    on_faces = np.concatenate([np.abs(drawn) < 1e-9, np.abs(drawn - [1, 2, 3]) < 1e-9], 1)
    assert (on_faces.sum(1) >= 1).all()
    np.testing.assert_allclose(on_faces.mean(0), np.array([6, 3, 2, 6, 3, 2]) / 22, atol=0.03)
    assert np.array_equal(drawn[:5], sample_mesh(mesh, 4000, seed=1)[:5])


def test_points_without_faces_are_drawn_once_each_if_they_are_enough(tmp_path):
    np.save(tmp_path / "cloud.npy", box(1, 2, 3))
    mesh = read_mesh(tmp_path / "cloud.npy")
    assert len(np.unique(sample_mesh(mesh, 8), axis=0)) == 8
    assert sample_mesh(mesh, 30).shape == (30, 3)
    line = Mesh(mesh.vertices, np.array([[0, 0, 1]]))  # a face without any area
    assert len(np.unique(sample_mesh(line, 8), axis=0)) == 8


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.off", "PLY\n", "it does not begin with OFF"),
        ("a.off", "OFF\n9 9 0\n", "it has 0 lines, and says 9 points and 9 faces"),
        ("a.off", "OFF\n1 0 0\n0 0 nan\n", "has a coordinate that is no finite number"),
        ("a.off", "OFF\n0 0 0\n", "has no point"),
        ("a.off", "OFF\n1 1 0\n0 0 0\n3 0 0 5\n", "has a face of a vertex that is not there"),
        ("a.wrl", "#VRML V1.0", "it does not begin with #VRML V2.0"),
        ("a.wrl", "#VRML V2.0 utf8\nTransform { }", "it moves its shapes by a Transform"),
        ("a.npy", "no array", "cannot be read"),
        ("a.ply", "ply\nnothing", "cannot be read"),
    ],
)
def test_a_file_that_is_no_mesh_is_refused_in_one_sentence(name, content, reason, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path / name))} .*{re.escape(reason)}.*Leave it out"):
        read_mesh(tmp_path / name)


@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_cloud_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^meshes and clouds are files that end in \.npy, .*; got a\.txt\."):
        read_mesh("a.txt")
    with pytest.raises(ValueError, match=r"^points must be finite; cloud 1 has NaN or infinity\."):
        fitted_clouds(torch.tensor([[[0.0, 0, 0]], [[torch.nan, 0, 0]]]))
    with pytest.raises(ValueError, match=r"^points must be \(clouds, points, 3\), one or more; got \(2, 3\)\."):
        fitted_clouds(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"^clouds must come as pictures .*; got \(2, 3, 4, 5\)\."):
        clouds_of(torch.zeros(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"^poses are of clouds of points; got fashion_mnist_mini, which has images\."):
        in_random_poses(load_data("fashion_mnist_mini", "test"))
    with pytest.raises(ValueError, match=r"^axes must be 'so3' or 'z'; got 'x'\."):
        in_random_poses(load_data("kicad_parts_mini", "test"), "x")
    with pytest.raises(ValueError, match=r"^clouds of a must be float32 \(N, 3, points, 1\); got torch\.float32"):
        LabelledClouds("a", torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), ("b",))


def test_clouds_are_chosen_and_kept_as_images_are():
    data = load_data("kicad_parts_mini", "test")
    few = data.balanced_subset(24)
    assert isinstance(few, LabelledClouds)
    assert few.aligned
    assert few.labels.bincount().tolist() == [2] * 12
    assert isinstance(few, LabelledImages)
    assert torch.equal(few.points(torch.tensor([0, 5])), clouds_of(few.images[[0, 5]]))
