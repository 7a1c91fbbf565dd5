"""Encoders of points, measured: what is invariant scores alike on turned clouds, and poses are compared in degrees."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eqmodels import create_model
from eqmodels.cli import main
from eqmodels.data import clouds_of, in_random_poses, load_data
from eqmodels.evaluation import embed_clouds, evaluate_clouds
from eqmodels.training import PretrainConfig, load_run, pretrain
from tests.data.space_files import box, write_off
from tests.objectives.test_orientation import TINY


@pytest.fixture(scope="module")
def few():
    counts = {"train": 48, "test": 24}
    return tuple(load_data("kicad_parts_mini", split).balanced_subset(count) for split, count in counts.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run of the strict head."""
    place = tmp_path_factory.mktemp("runs") / "frame"
    pretrain(PretrainConfig.of(**TINY), place, quiet=True)
    return place


def test_of_a_run_all_kinds_of_features_and_the_pose_are_measured(folder, few):
    run = load_run(folder)
    result = evaluate_clouds(run, *few)
    kinds = {one.kind: one for one in result.kinds}
    assert list(kinds) == ["invariant", "equivariant", "canonical"]
    for kind in ("invariant", "canonical"):
        assert kinds[kind].change < 1e-3
        assert kinds[kind].turned == pytest.approx(kinds[kind].accuracy, abs=1.5 / 24)
    # Scalars are most of the features, and vectors short before they are trained.
    assert kinds["equivariant"].change > 10 * kinds["invariant"].change
    assert 0 < result.up < 180
    assert 0 < result.frame <= 180
    assert result.degenerate == 0
    # Degrees are those of the frames that the encoder gives.
    poses = in_random_poses(few[1], seed=0)
    with torch.no_grad():
        frames = run.encoder("canonical").frames(clouds_of(poses.pixels(slice(None)))[:, :24]).matrices
    ups = torch.rad2deg((frames[:, :, 2] * poses.rotations[:, :, 2]).sum(1).clamp(-1, 1).acos())
    assert result.up == pytest.approx(float(ups.median()), abs=1e-2)
    assert json.loads(json.dumps(result.to_dict()))["kinds"][0]["kind"] == "invariant"


def test_what_is_not_invariant_is_seen_to_change(few):
    result = evaluate_clouds(create_model("pointnet", width=8), *few, points=32)
    (scores,) = result.kinds
    assert scores.kind == "max"
    assert scores.change > 0.05
    assert (result.up, result.frame) == (None, None)


def test_features_of_files_are_those_of_their_clouds(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", random.standard_normal((30, 3)))
    write_off(tmp_path / "b.off", box(1, 2, 3))
    encoder = create_model("so3_vectors_small", width=8, layers=1, neighbours=4)
    found = embed_clouds(encoder, [tmp_path / "a.npy", tmp_path / "b.off"], points=30)
    assert found.features.shape == (2, 24)
    assert found.field == "24 x scalar"
    with torch.no_grad():  # all points of the first, in another order, at another place and of another size
        expected = encoder(torch.from_numpy(np.load(tmp_path / "a.npy")).float()[None] * 3 + 1)
    torch.testing.assert_close(found.features[:1], expected, rtol=0, atol=1e-4)
    standing = embed_clouds(encoder, [tmp_path / "b.off"], points=30, up="y")
    torch.testing.assert_close(standing.features, found.features[1:], rtol=0, atol=1e-4)
    write_off(tmp_path / "elsewhere" / "b.off", box(1, 2, 3))  # where a file lies changes nothing
    moved = embed_clouds(encoder, [tmp_path / "elsewhere" / "b.off"], points=30)
    torch.testing.assert_close(moved.features, found.features[1:], rtol=0, atol=1e-5)


def test_the_commands_take_runs_of_points(folder, tmp_path, capsys):
    write_off(tmp_path / "parts" / "b.off", box(1, 2, 3))
    assert main(["embed", str(folder), str(tmp_path / "parts"), "--out", str(tmp_path / "f.npz")]) == 0
    assert "1 clouds, 20 features each" in capsys.readouterr().out
    with np.load(tmp_path / "f.npz") as arrays:
        assert arrays["features"].shape == (1, 20)
    command = ["evaluate", str(folder), "--processes", "1", "--limit", "60", "--output", str(tmp_path / "result.json")]
    assert main(command) == 0
    assert "pose of turned clouds, median error: up" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["train"] == ["kicad_parts_mini", 60]
    assert main([*command, "--data", "fashion_mnist_mini"]) != 0
    assert "labelled clouds are asked for here; got fashion_mnist_mini, which has images." in capsys.readouterr().err
    assert main([*command, "--kind", "regular"]) != 0
    assert "of encoders of points all kinds of features are measured; got --kind regular." in capsys.readouterr().err
    assert main(["embed", str(folder), str(tmp_path), "--out", str(tmp_path / "f.txt")]) != 0


def test_what_cannot_be_measured_is_refused_in_one_sentence(few, folder):
    train, test = few
    with pytest.raises(ValueError, match=r"^features are asked for; this encoder gives scores of 3 classes\. Load it"):
        evaluate_clouds(create_model("pointnet", width=8, num_classes=3), train, test)
    with pytest.raises(ValueError, match=r"^points must be at most 256, those of a cloud; got 300\."):
        evaluate_clouds(create_model("pointnet", width=8), train, test, points=300)
    with pytest.raises(ValueError, match=r"^embed needs meshes or clouds; got no file\."):
        embed_clouds(create_model("pointnet", width=8), [])
    with pytest.raises(ValueError, match=r"^up must be 'z' or 'y'; got 'x'\. Use 'z'\.$"):
        embed_clouds(create_model("pointnet", width=8), [folder / "x.npy"], up="x")
    with pytest.raises(ValueError, match=r"coordinates alone; got an encoder with in_chans=8, which wants 5 features"):
        embed_clouds(create_model("pointnet", width=8, in_chans=8), [folder / "x.npy"])
    with pytest.raises(ValueError, match=r"^1 of 1 files give no cloud\. The first: meshes and clouds are files that"):
        embed_clouds(create_model("pointnet", width=8), [folder / "water.xyz"])
