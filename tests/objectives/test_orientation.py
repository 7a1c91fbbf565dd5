"""The objective of clouds: a frame that no cloud is turned for, turns that are classified, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from eqmodels.backbones import create_model
from eqmodels.cli import main
from eqmodels.data import clouds_of, in_random_poses, load_data, statistics
from eqmodels.fields import Irreps
from eqmodels.groups import random_rotations
from eqmodels.heads import FrameHead
from eqmodels.objectives import Batch, Network, OrientationPrediction, Randomness
from eqmodels.training import PretrainConfig, Pretraining, load_run, pretrain
from eqmodels.transforms import Preprocessing

SMALL = {"width": 8, "layers": 1, "neighbours": 4}
TINY = {
    "model": "so3_vectors_small",
    **SMALL,
    "objective": "orientation",
    "data": "kicad_parts_mini",
    "limit": 24,
    "batch_size": 8,
    "seen_points": 24,
    "head_hidden": 8,
    "epochs": 1,
}


def parts(count: int = 6) -> torch.Tensor:
    return load_data("kicad_parts_mini", "test").pixels(slice(0, count))


def network(group: str = "so3") -> Network:
    backbone = create_model(f"{group}_vectors_small", **SMALL)
    return Network(backbone, Preprocessing((0.0,) * 3, (1.0,) * 3, (24, 3)))


@pytest.mark.parametrize("loss", ["vectors", "chordal"])
@pytest.mark.parametrize("group", ["so3", "o3"])
def test_the_loss_is_that_of_a_head_on_upright_clouds(group, loss):
    net = network(group)
    objective = OrientationPrediction(net.backbone, loss=loss, head_hidden=8, seen_points=24)
    assert isinstance(objective.head, FrameHead)
    assert objective.task is None
    clouds, labels = objective.views(Batch(parts(), None, 6, slice(0, 6)), Randomness(0))
    assert clouds.shape == (6, 3, 24, 1)
    assert labels.unique().tolist() == [0]
    terms = objective.loss(net, (clouds, labels))
    frames = objective.head.frames(net(clouds))
    if loss == "chordal":
        expected = (frames.matrices - torch.eye(3)).square().sum((1, 2))[~frames.degenerate].mean()
        torch.testing.assert_close(terms["frame"].loss, expected)
        return
    vectors = objective.head.pose(net(clouds))
    assert list(terms) == ["up", "front", "left"][: vectors.shape[1]]
    for name, axis, found in zip(terms, (2, 0, 1), vectors.unbind(1), strict=False):
        target = torch.eye(3)[axis]
        torch.testing.assert_close(terms[name].loss, (found - target).square().sum(1).mean())
        right = torch.nn.functional.cosine_similarity(found, target[None]) > torch.cos(
            torch.deg2rad(torch.tensor(15.0))
        )
        assert int(terms[name].correct) == int(right.sum())


def test_the_loss_of_turned_clouds_with_their_turns_is_that_of_upright_ones():
    """Why no cloud is turned: vectors turn with it, so their distance from the turned axes stays."""
    net = network().double()
    objective = OrientationPrediction(net.backbone, head_hidden=8).double()
    points = clouds_of(parts()).double() - 0.5
    turns = random_rotations(len(points), torch.Generator().manual_seed(1))
    upright, turned = (objective.head.pose(net.backbone.regular_features(p)) for p in (points, points @ turns.mT))
    for axis, before, after in zip((2, 0), upright.unbind(1), turned.unbind(1), strict=True):
        target = torch.eye(3, dtype=torch.float64)[axis]
        errors = (before - target).square().sum(1), (after - turns @ target).square().sum(1)
        torch.testing.assert_close(*errors, rtol=0, atol=1e-10)


def test_turns_are_classified_from_features_of_any_encoder():
    backbone = create_model("pointnet", width=4)
    objective = OrientationPrediction(backbone, head="mlp", head_hidden=8, seen_points=0, jitter=0.0, stretch=0.0)
    assert objective.pose is None
    clouds, labels = objective.views(Batch(parts(), None, 6, slice(0, 6)), Randomness(0))
    assert len(labels.unique()) > 1
    back = objective.task.group.matrices[labels].float().transpose(1, 2)
    torch.testing.assert_close(back @ clouds[..., 0] + 0.5, parts()[..., 0])
    net = Network(backbone, Preprocessing((0.0,) * 3, (1.0,) * 3, (256, 3)))
    (term,) = objective.loss(net, (clouds, labels)).values()
    logits = objective.head(backbone.regular_features(clouds_of(clouds)))
    torch.testing.assert_close(term.loss, torch.nn.functional.cross_entropy(logits, labels))
    assert objective.outputs(torch.zeros(2, 32))["turn"].shape == (2, 24)
    # Maxima over points differ too little from cloud to cloud for a perceptron without it.
    assert isinstance(objective.head.norm, nn.BatchNorm1d)


@pytest.mark.parametrize("head", ["frame", "mlp"])
def test_views_are_drawn_for_the_global_batch(head):
    objective = OrientationPrediction(create_model("so3_vectors_small", **SMALL), head=head, seen_points=30)
    whole = objective.views(Batch(parts(), None, 6, slice(0, 6)), Randomness(0))
    for rows in (slice(0, 2), slice(2, 6)):
        own = objective.views(Batch(parts()[rows], None, 6, rows), Randomness(0, rank=1))
        assert all(torch.equal(part, view[rows]) for part, view in zip(own, whole, strict=True))
    assert not torch.equal(whole[0], objective.views(Batch(parts(), None, 6, slice(0, 6)), Randomness(0, (0, 1)))[0])


def test_points_are_drawn_once_each_stretched_and_moved_a_little():
    objective = OrientationPrediction(
        create_model("so3_vectors_small", **SMALL), seen_points=30, jitter=0.0, stretch=0.5
    )
    clouds, _ = objective.views(Batch(parts(), None, 6, slice(0, 6)), Randomness(0))
    for cloud, part in zip(clouds_of(clouds), clouds_of(parts()) - 0.5, strict=True):
        ratios = cloud[:, None] / part  # of the point that it was, they are the factors of the cloud's three axes
        plausible = ((ratios > 1 / 1.5 - 1e-4) & (ratios < 1.5 + 1e-4)).all(2)
        assert plausible.any(1).all()
        assert len(cloud.unique(dim=0)) == len(cloud) == 30


def test_a_run_is_saved_and_its_head_turns_features_back(tmp_path):
    run = pretrain(PretrainConfig.of(**TINY), tmp_path / "run", quiet=True)
    assert {"accuracy_up", "accuracy_front"} <= set(run.log[-1])
    loaded = load_run(tmp_path / "run")
    encoder = loaded.encoder("canonical")
    points = clouds_of(parts(4))
    turned = (points - 0.5) @ random_rotations(4, torch.Generator().manual_seed(2), dtype=torch.float32).mT
    with torch.no_grad():
        torch.testing.assert_close(encoder(turned), encoder(points), rtol=0, atol=1e-4)
        torch.testing.assert_close(run.encoder("canonical")(points), encoder(points))
        assert torch.equal(loaded.encoder("regular")(points), loaded.backbone.regular_features(points))
    assert loaded.encoder("invariant").out_field.channels == 24
    assert loaded.described_encoder().global_pool.mode == "canonical"
    # A stopped run goes on, and one that is done is given back.
    assert pretrain(PretrainConfig.of(**TINY), tmp_path / "run", quiet=True).sha256 == run.sha256


def test_a_run_of_a_network_without_a_group_is_saved_with_its_own_pooling(tmp_path):
    changes = {"model": "pointnet", "width": 4, "head": "mlp"}
    values = {name: value for name, value in TINY.items() if name not in ("layers", "neighbours")}
    run = pretrain(PretrainConfig.of(**{**values, **changes}), tmp_path / "run", quiet=True)
    assert run.pose is None
    assert load_run(tmp_path / "run").encoder().global_pool.mode == "max"


def test_a_run_that_learns_tells_up_better():
    """Of a few parts the vectors are learned by heart: their loss falls from 2, that of vectors of no length."""
    options = {"epochs": 60, "optimiser": "adamw", "learning_rate": 0.01, "jitter": 0.0, "stretch": 0.0}
    config = PretrainConfig.of(**{**TINY, **options, "width": 16, "layers": 2, "head_hidden": 32, "seen_points": 0})
    few = load_data("kicad_parts_mini").balanced_subset(8)
    training = Pretraining(config, replace(few, images=few.images[:, :, :48]))
    rows = [training.epoch() for _ in range(60)]
    training.close()
    assert rows[0]["loss"] > 1.9
    assert rows[-1]["loss"] < 0.5


# What is refused.


def test_clouds_in_random_poses_are_refused(tmp_path):
    data = in_random_poses(load_data("kicad_parts_mini"))
    with pytest.raises(ValueError, match=r"^how a cloud is turned is learned from clouds that stand alike; got 'ki"):
        pretrain(PretrainConfig.of(**TINY), tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_what_does_not_go_together_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(
        ValueError, match=r"^objective='prediction' is about images; got model='pointnet', which takes po"
    ):
        PretrainConfig.of(model="pointnet")
    with pytest.raises(ValueError, match=r"^objective='orientation' is about points; got model='c4_resnet18s_w16'"):
        PretrainConfig.of(objective="orientation")
    with pytest.raises(
        ValueError, match=r"^model='so3_vectors_small' takes points; got fashion_mnist_mini, which has im"
    ):
        Pretraining(PretrainConfig.of(**TINY), load_data("fashion_mnist_mini"))
    with pytest.raises(
        ValueError, match=r"^model='c4_resnet18s_w16' takes images; got kicad_parts_mini, which has point"
    ):
        Pretraining(PretrainConfig.of(data="kicad_parts_mini"), load_data("kicad_parts_mini"))
    with pytest.raises(ValueError, match=r"^a frame is made of vectors among the features .*; got the field"):
        Pretraining(
            PretrainConfig.of(model="pointnet", objective="orientation", batch_size=8), load_data("kicad_parts_mini")
        )
    with pytest.raises(ValueError, match=r"^seen_points must be at most 256, .*; got 512\. Pass 0 for all of them\.$"):
        Pretraining(PretrainConfig.of(**{**TINY, "seen_points": 512}), load_data("kicad_parts_mini"))
    with pytest.raises(ValueError, match=r"^stretch must be from 0 to 1; got 3\.0\. Pass 0 for none\.$"):
        PretrainConfig.of(**TINY, stretch=3.0)


def test_a_field_of_o3_predicts_three_vectors_of_it():
    objective = OrientationPrediction(create_model("o3_vectors_small", **SMALL))
    assert objective.head.out_field == Irreps("3x1o")
    assert objective.pose.count == 3


def test_statistics_of_clouds_do_not_normalise(tmp_path):
    data = load_data("kicad_parts_mini").subset(range(16))
    run = Pretraining(PretrainConfig.of(**TINY), data)
    assert (run.preprocessing.mean, run.preprocessing.deviation) == ((0.0,) * 3, (1.0,) * 3)
    assert statistics(data)[0] != run.preprocessing.mean
    assert run.preprocessing.size == (24, 3)


def test_a_run_of_clouds_begins_with_the_weights_of_another(tmp_path, capsys):
    first = pretrain(PretrainConfig.of(**TINY), tmp_path / "first", quiet=True)
    data = load_data("kicad_parts_mini").subset(range(24))
    begun = Pretraining(PretrainConfig.of(**TINY, seed=1, init=str(tmp_path / "first")), data)
    for name, value in first.model.state_dict().items():
        assert torch.equal(begun.model.state_dict()[name], value), name
    assert main(["pretrain", "--extend", str(tmp_path / "first"), "--folder", str(tmp_path / "more"), "--quiet"]) == 0
    assert load_run(tmp_path / "more").config.model.init == str(tmp_path / "first")
    capsys.readouterr()
    other = {**TINY, "model": "o3_vectors_small", "init": str(tmp_path / "first")}
    with pytest.raises(ValueError, match=r"^init must be the network that is pretrained, .* is a so3_vectors_small"):
        Pretraining(PretrainConfig.of(**other), data)
