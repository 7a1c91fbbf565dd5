"""Encoders of points: they turn with the cloud, and nothing else about it matters; odd clouds; files."""

from __future__ import annotations

import pytest
import torch

from eqmodels import Encoder, create_model, list_models, load
from eqmodels.backbones import PointBackbone
from eqmodels.evaluation import assert_equivariant, equivariance_report
from eqmodels.fields import Irreps, Regular, Scalars
from eqmodels.groups import PointGroup, SpaceGroup, random_rotations
from eqmodels.layers.space import pad_clouds
from eqmodels.storage import StorageError

NAMES = [name for name in list_models(takes="points") if "base" not in name]  # which has more of the same layers
IN_SPACE = [name for name in NAMES if "3_" in name]
CONTROLS = [name for name in NAMES if name not in IN_SPACE]
MODES = ["invariant", "equivariant", "canonical"]
SMALL = {"width": 4, "layers": 2, "neighbours": 4}

each_name = pytest.mark.parametrize("name", NAMES)
each_in_space = pytest.mark.parametrize("name", IN_SPACE)
each_mode = pytest.mark.parametrize("mode", MODES)


def small(name: str, **options) -> PointBackbone:
    known = {"pointnet": ("width",), "vectors_small": tuple(SMALL)}.get(
        name.partition("3_")[2] or name, ("width", "neighbours")
    )
    return create_model(name, **{key: SMALL[key] for key in known}, **options).double().eval()


def clouds(count: int = 3, points: int = 12, numbers: int = 3) -> torch.Tensor:
    return torch.randn(count, points, numbers, dtype=torch.float64)


def close(found, expected, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


# The laws.


@each_in_space
@each_mode
def test_features_turn_with_the_cloud_in_double_precision(name, mode):
    assert_equivariant(small(name, global_pool=mode, num_classes=0), size=12)


@each_in_space
def test_features_turn_with_the_cloud_in_single_precision(name):
    assert_equivariant(small(name, global_pool="equivariant"), size=12, dtype=torch.float32, tolerance=1e-5)


@each_in_space
def test_features_of_points_do_not_turn(name):
    assert_equivariant(small(name, in_chans=5), size=12)


@each_in_space
def test_the_field_of_the_output_says_how_it_turns(name):
    network, points = small(name, global_pool="equivariant"), clouds()
    turns = network.group.random(3, torch.Generator().manual_seed(2))
    assert isinstance(network.out_field, Irreps)
    close(network(points @ turns.transpose(1, 2)), network.out_field.turned(network(points), turns))


def test_a_network_of_rotations_sees_a_reflection_and_its_twin_does_not():
    points = clouds()
    for name, same in (("so3_vectors_small", False), ("o3_vectors_small", True)):
        network = small(name)
        assert torch.allclose(network(points), network(-points), rtol=0, atol=1e-8) == same


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_turns_with_nothing_and_says_so(name):
    network = small(name)
    assert isinstance(network.out_field, Regular)
    assert "has no group" in network.describe_output()
    report = equivariance_report(network, group="so3", size=12, angles=())
    assert report.at("output")[0].error > 0.01
    with pytest.raises(AssertionError, match="declares of its output no field of"):
        assert_equivariant(network, group="so3", size=12)
    with pytest.raises(ValueError, match="group must be one of space"):
        assert_equivariant(network, size=12)


@each_name
def test_order_place_and_size_of_a_cloud_do_not_matter(name):
    network, points = small(name), clouds()
    order = torch.randperm(12)
    close(network(points[:, order]), network(points))
    close(network(points + 100), network(points), 1e-8)
    close(network(5 * points), network(points))
    close(network.forward_features(points[:, order]), network.forward_features(points)[:, :, order])


@each_name
def test_a_network_for_molecules_sees_lengths(name):
    network, points = small(name, normalise=False), clouds()
    assert not torch.allclose(network(2 * points), network(points), atol=1e-3)


@each_name
def test_padded_clouds_have_the_features_of_each_alone(name):
    network = small(name, in_chans=4)
    several = [torch.randn(points, 4, dtype=torch.float64) for points in (12, 1, 7, 3)]
    points, mask = pad_clouds(several)
    points[~mask] = torch.nan  # what is masked out is not looked at
    together = network(points, mask=mask)
    close(together, torch.cat([network(cloud[None]) for cloud in several]))
    assert network.forward_features(points, mask=mask)[~mask[:, None].expand(-1, network.num_features, -1)].eq(0).all()
    close(network(points[..., :3], points[..., 3:], mask), together)


@pytest.mark.parametrize("name", ["pointnet", "dgcnn"])
def test_statistics_of_a_batch_are_of_the_points_that_are_there(name):
    network = small(name, normalise=False).train()
    points, mask = pad_clouds(list(clouds(4, 7)))
    padded = torch.cat([points, torch.full((4, 5, 3), 9.0, dtype=torch.float64)], 1)
    longer = torch.cat([mask, torch.zeros(4, 5, dtype=torch.bool)], 1)
    expected, found = network(points), network(padded, mask=longer)
    close(found, expected)
    twin = small(name, normalise=False).train()
    twin.load_state_dict(network.state_dict())
    network(points)
    twin(padded, mask=longer)
    for one, other in zip(network.buffers(), twin.buffers(), strict=True):
        close(one.double(), other.double())


def test_a_batch_of_one_point_has_no_statistics():
    with pytest.raises(
        ValueError, match=r"^a batch norm needs more than one point in training; got one\. Train on more"
    ):
        small("pointnet").train()(clouds(1, 1))


@each_in_space
def test_ties_between_neighbours_do_not_matter(name):
    """The corners of a cube: each has three nearest, then three equally far, of which the fourth is chosen."""
    corners = torch.tensor([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=torch.float64)
    network, points = small(name), (corners + 0.0)[None]
    close(network(points[:, torch.randperm(8)]), network(points))
    close(network(points @ random_rotations(1)[0].T), network(points))


# What a report says.


def test_a_report_on_points_has_the_rows_and_the_words_of_points():
    report = equivariance_report(small("o3_vectors_small", global_pool="canonical"), size=9, angles=(0, 45))
    assert {error.layer for error in report.layers} == {"forward_features", "global_pool", "output"}
    assert report.worst.error < 1e-12
    assert max(point.error for point in report.curve) < 1e-12
    text = report.text()
    assert "under O(3): 2 clouds of 9 points of 3 numbers, float64" in text
    assert "drawn elements" in text
    assert "pixel" not in text
    assert "image" not in text
    assert report.to_dict()["takes"] == "points"
    assert report.collapse.spread > 0.01


def test_outputs_are_described():
    assert "exactly" in small("so3_vectors_small").describe_output()
    assert "irreps 4x0e+2x1o of O(3)" in small("o3_vectors_small").describe_output()
    scores = small("so3_vectors_small", num_classes=5, global_pool="equivariant")
    assert scores.out_field is None
    assert "a learned function of the pose" in scores.describe_output()
    assert small("so3_vectors_small", num_classes=5).out_field == Scalars(5)


@each_name
def test_it_is_an_encoder_of_points(name):
    network = small(name)
    assert isinstance(network, Encoder)
    assert network.takes == "points"
    assert network(clouds()).shape == (3, network.head_hidden_size) == (3, network.out_field.channels)


def test_the_controls_have_as_many_parameters():
    counts = {
        n: sum(p.numel() for p in create_model(n).parameters()) for n in ("so3_vectors_small", "pointnet", "dgcnn")
    }
    assert max(counts.values()) < 1.1 * min(counts.values()), counts


# Canonical features and frames.


@pytest.mark.parametrize("name", ["so3_vectors_small", "o3_vectors_small"])
def test_frames_turn_with_the_cloud(name):
    network, points = create_model(name, width=8, layers=2, global_pool="canonical").double(), clouds(6)
    frames = network.frames(points)
    turns = network.group.random(6, torch.Generator().manual_seed(0))
    moved = network.frames(points @ turns.transpose(1, 2))
    assert not frames.degenerate.any()
    close(moved.matrices, turns @ frames.matrices, 1e-9)
    close(moved.length, frames.length)
    close(moved.independence, frames.independence)
    identity = torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    close(frames.matrices @ frames.matrices.transpose(1, 2), identity)


@pytest.mark.parametrize("solid", ["t", "o", "i"])
def test_a_cloud_whose_symmetry_leaves_no_vector_is_flagged_and_gets_lengths(solid):
    """The orbit of a point under a group that fixes no direction."""
    network = small("so3_vectors_small", global_pool="canonical").float()
    orbit = (PointGroup(solid).matrices @ torch.tensor([0.3, 1.0, 0.2], dtype=torch.float64)).float()[None]
    assert network.frames(orbit).degenerate.tolist() == [True]
    features = network(orbit)
    turned = network(orbit @ random_rotations(1, dtype=torch.float32)[0].T)
    close(turned, features, 1e-4)
    assert features.isfinite().all()


def test_a_line_has_no_frame_and_lengths_at_the_first_channel_of_each_field():
    network = small("so3_vectors_small", global_pool="canonical")
    line = torch.linspace(0, 1, 9, dtype=torch.float64)[None, :, None].square() * torch.tensor([1.0, 2, 2])
    assert network.frames(line).degenerate.all()
    features = network(line)
    mean = network.regular_features(line)
    close(features[:, 4::3], network.map_field.invariants(mean)[:, 4:])
    assert features[:, 5::3].eq(0).all()


def test_frames_need_canonical_features_and_a_pose_can_be_handed_over():
    network = small("so3_vectors_small")
    with pytest.raises(ValueError, match=r"frames are predicted for canonical features; .* reset_classifier"):
        network.frames(clouds())
    pose = small("so3_vectors_small", global_pool="canonical").global_pool.pose
    network.reset_classifier(7, "canonical", pose=pose)
    assert network.global_pool.pose is pose
    assert network(clouds()).shape == (3, 7)
    network.reset_classifier(0, "invariant")
    assert network(clouds()).shape == (3, network.head_hidden_size)
    with pytest.raises(ValueError, match="pose is for global_pool='canonical'"):
        network.reset_classifier(0, pose=pose)


def test_gradients_reach_every_weight():
    network = small("so3_vectors_small", global_pool="canonical", num_classes=2)
    network(clouds()).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


# Odd clouds.


@each_name
@pytest.mark.parametrize("points", [1, 2, 3])
def test_few_points_have_features(name, points):
    network, cloud = small(name), clouds(2, points)
    features = network(cloud)
    assert features.isfinite().all()
    close(network(cloud + 3), features, 1e-8)


@each_in_space
def test_points_at_one_place_and_on_one_line_have_features_and_gradients(name):
    network = small(name)
    same = torch.ones(1, 6, 3, dtype=torch.float64)
    line = torch.arange(6.0, dtype=torch.float64)[None, :, None] * torch.ones(3, dtype=torch.float64)
    twice = clouds(1, 5).repeat(1, 2, 1)
    for cloud in (same, line, twice):
        cloud.requires_grad_()
        features = network(cloud)
        features.sum().backward()
        assert features.isfinite().all()
        assert cloud.grad.isfinite().all()
        turn = random_rotations(1)[0]
        close(network(cloud @ turn.T), features)


POINTS = clouds(2, 5)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda n: n([POINTS[0], POINTS[1][:3]]), TypeError, r"got a list\. Put clouds .* pad_clouds\(clouds\)"),
        (
            lambda n: n(POINTS[0]),
            ValueError,
            r"got \(5, 3\)\. Add the batch axis with points\[None\]",
        ),
        (lambda n: n(POINTS.transpose(1, 2)), ValueError, r"Put coordinates last with points.transpose\(1, 2\)"),
        (lambda n: n(POINTS[:, :, :2]), ValueError, r"must have the shape \(batch, points, 3\); got \(2, 5, 2\)"),
        (lambda n: n(POINTS[:, :0]), ValueError, r"a cloud must have at least one point"),
        (lambda n: n(POINTS * torch.nan), ValueError, r"points must be finite; 2 of 2 clouds have NaN or infinity"),
        (lambda n: n(POINTS.long()), TypeError, r"points must be floating point; got torch.int64"),
        (lambda n: n(POINTS.float()), TypeError, r"points must be of the network's type, torch.float64"),
        (lambda n: n(POINTS.numpy()), TypeError, r"points must be a dense tensor; got a ndarray"),
        (lambda n: n(POINTS, mask=torch.ones(2, 5)), TypeError, r"mask must be of bools"),
        (
            lambda n: n(POINTS, mask=torch.ones(2, 4) > 0),
            ValueError,
            r"mask must have the shape .* \(2, 5\)",
        ),
        (lambda n: n(POINTS, mask=torch.zeros(2, 5) > 0), ValueError, r"cloud 0 of the mask has none"),
        (lambda n: n(POINTS, POINTS), ValueError, r"features must have the shape \(batch, points, 0\), .* in_chans=6"),
        (lambda n: create_model("c4_vectors_small"), ValueError, r"named so3 .* got 'c4'"),
        (lambda n: create_model("vectors_small"), ValueError, r"needs a group; .* Use 'so3_vectors_small'"),
        (lambda n: create_model("so3_resnet18s"), ValueError, r"got 'so3'"),
        (lambda n: create_model("so3_vectors_small", drop_rate=0.1), TypeError, r"has no option 'drop_rate'"),
        (lambda n: create_model("so3_vectors_small", in_chans=2), ValueError, r"in_chans must be at least 3; got 2"),
        (lambda n: create_model("so3_vectors_small", layers=33), ValueError, r"layers must be at most 32; got 33"),
        (
            lambda n: create_model("so3_vectors_small", global_pool="max"),
            ValueError,
            r"invariant, equivariant, canonical",
        ),
        (lambda n: pad_clouds([]), ValueError, r"at least one tensor"),
        (lambda n: list_models(takes="sounds"), ValueError, r"takes must be 'images', 'points' or None"),
    ],
)
def test_what_is_no_cloud_gets_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call(small("so3_vectors_small"))


# Files.


@each_name
def test_it_is_saved_and_loaded(name, tmp_path):
    network = small(name, num_classes=3, in_chans=4).float()
    network.save_pretrained(tmp_path / "network")
    loaded = load(tmp_path / "network")
    assert type(loaded) is type(network)
    points = clouds(2, 6, 4).float()
    assert torch.equal(loaded(points), network(points))
    assert loaded.out_field == network.out_field
    assert load(tmp_path / "network", num_classes=0)(points).shape == (2, network.head_hidden_size)
    assert PointBackbone.from_pretrained(tmp_path / "network").structure == network.structure


def test_canonical_features_are_saved_with_their_frames(tmp_path):
    network = small("o3_vectors_small", global_pool="canonical").float()
    network.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.global_pool.mode == "canonical"
    points = clouds().float()
    assert torch.equal(loaded.frames(points).matrices, network.frames(points).matrices)


def test_changed_weights_are_found_by_the_golden_features(tmp_path):
    import hashlib
    import json

    from safetensors.torch import load_file, save_file

    small("so3_vectors_small").float().save_pretrained(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    state = load_file(file)
    state["layers.0.mixed.weight"] *= 1.5
    save_file(state, file)
    content = json.loads(config.read_text())
    content["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="features that differ from those stored"):
        load(tmp_path)


def test_images_cannot_be_adapted_to(tmp_path):
    small("so3_vectors_small").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="in_chans adapts filters of images"):
        load(tmp_path, in_chans=1)


def test_groups_may_be_given_as_values():
    network = create_model("so3_vectors_small").__class__(SpaceGroup(reflections=True), width=4, layers=1)
    assert network.structure["group"] == "o3"


# Where images are asked for.


def test_who_has_images_is_told_that_an_encoder_takes_points(tmp_path, capsys):
    from eqmodels import data
    from eqmodels.cli import main
    from eqmodels.evaluation import evaluate
    from eqmodels.training import PretrainConfig

    network = small("so3_vectors_small").float()
    network.save_pretrained(tmp_path / "points")
    with pytest.raises(ValueError, match=r"got VectorNetwork, which takes points of space"):
        evaluate(network, *(data.load_data("fashion_mnist_mini", part) for part in ("train", "test")))
    with pytest.raises(
        ValueError, match=r"got model='so3_vectors_small', which takes points. Use objective='orientation'"
    ):
        PretrainConfig.of(model="so3_vectors_small")
    with pytest.raises(ValueError, match=r"is an encoder of points of space"):
        create_model("unet", encoder="so3_vectors_small")
    assert main(["export", str(tmp_path / "points"), "--out", str(tmp_path / "network.onnx")]) != 0
    assert "is an encoder of points of space" in capsys.readouterr().err
