"""Distillation: the law that lets upright passes suffice, its views, and runs that end in canonical features."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import eqmodels
from eqmodels.backbones import create_model
from eqmodels.data import load_data, subset
from eqmodels.groups import circular_mask, rotate
from eqmodels.heads import AngleHead
from eqmodels.objectives import (
    TEACHERS,
    Batch,
    Distil,
    Frozen,
    Network,
    Randomness,
    Teacher,
    create_objective,
    create_teacher,
    distil,
    distillation_divergence,
    objective_options,
)
from eqmodels.storage import CHECKPOINT, WEIGHTS, read_layout
from eqmodels.training import PretrainConfig, Pretraining, load_run, load_unfinished, pretrain
from eqmodels.training.errors import TrainingError
from eqmodels.training.snapshots import untrained
from eqmodels.transforms import Preprocessing
from tests.data.files import write_array
from tests.training.runs import photos

TINY = {"teacher": "tiny", "teacher_width": 10, "teacher_classes": 5, "view_size": 32, "pose_hidden": 16}
IMAGES = photos(12, channels=3, size=48).pixels()


class TinyTeacher(nn.Module):
    """A convolution and a classifier."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.convolution, self.classifier = nn.Conv2d(3, 10, 5, stride=4), nn.Linear(10, 5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, images):
        features = self.convolution(images).relu().mean((-2, -1))
        return features, self.classifier(features)


@pytest.fixture(autouse=True)
def _tiny_teacher():
    TEACHERS.register("tiny")(lambda: Teacher(TinyTeacher(), (0.5,) * 3, (0.5,) * 3, "MIT"))


def prepared(name="c4_resnet18s_w8", **changes) -> tuple[Network, Distil]:
    """A student and its objective, which has its teacher."""
    backbone = create_model(name, in_chans=3, num_classes=0)
    objective = create_objective("distil", backbone, **{**TINY, **changes})
    objective.check(photos(4, channels=3, size=48))
    return Network(backbone, Preprocessing((0.4,) * 3, (0.3,) * 3, (32, 32))), objective


def views_of(objective, rows=slice(0, 12), seed=0) -> dict[str, torch.Tensor]:
    return objective.views(Batch(IMAGES[rows], None, 12, rows), Randomness(seed))


def config(**changes) -> PretrainConfig:
    values = {"model": "c4_resnet18s_w8", "epochs": 2, "batch_size": 8, "precision": "float32", "learning_rate": 0.02}
    return PretrainConfig.of(objective="distil", **{**TINY, **values, **changes})


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("c4_resnet18s_w8", {}, {"pose": 4}),
        ("c4_resnet18s_w8", {"angle_weight": 1.0}, {"pose": 4, "angle": 2}),
        ("resnet18s_w8", {"teacher_classes": 0, "angle_weight": 1.0}, {}),
    ],
)
def test_what_its_heads_say_is_among_the_golden_features(name, changes, expected):
    backbone = create_model(name, in_chans=3, num_classes=0)
    objective = create_objective("distil", backbone, **{**TINY, **changes}).eval()
    found = objective.outputs(torch.zeros(1, backbone.map_field.channels))
    assert {head: values.shape[1] for head, values in found.items()} == expected


# The law.

STUDENTS = ["d4_resnet18s_w8", "c4_resnet18s_w8", "c4_resnet18_w8", "c8_resnet18s_w8"]


@pytest.mark.parametrize(
    ("name", "training"),
    [
        *((name, True) for name in STUDENTS),
        (STUDENTS[0], False),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in STUDENTS[1:]),
    ],
)
def test_a_turned_image_of_known_pose_has_the_terms_and_gradients_of_the_upright_one(name, training, randomised):
    network, objective = prepared(name, angle_weight=0.5)
    randomised(network.double()), randomised(objective.double())
    network.train(training)
    vector = objective.heads[1].out_field
    up = torch.tensor([[0.0, 1.0]] * 3, dtype=torch.float64)
    upright = torch.rand(3, 3, 33, 29, dtype=torch.float64)
    group = objective.group

    def learned(g):
        views = {"student": group.act(g, upright), "teacher": upright, "pose": torch.full((3,), g)}
        views["up"] = vector.transform(group, g, up)
        terms = objective.loss(network, views)
        parameters = [*network.parameters(), *objective.parameters()]
        return terms, torch.autograd.grad(sum(term.loss for term in terms.values()), parameters)

    expected, gradients = learned(group.identity)
    assert list(expected) == ["features", "logits", "pose", "angle"]
    for g in group.exact_elements:
        terms, found = learned(g)
        for key, term in terms.items():
            torch.testing.assert_close(term.loss, expected[key].loss, rtol=0, atol=1e-10)
        torch.testing.assert_close(found, gradients, rtol=1e-9, atol=1e-10)
        for key in ("pose", "angle"):
            assert torch.equal(terms[key].correct, expected[key].correct)


def test_without_the_pose_the_law_does_not_hold():
    network, objective = prepared()
    network.double().eval(), objective.double()
    upright = torch.rand(3, 3, 33, 29, dtype=torch.float64)
    views = {"student": objective.group.act(1, upright), "teacher": upright, "pose": torch.zeros(3, dtype=torch.long)}
    same = {**views, "student": upright}
    assert abs(objective.loss(network, views)["features"].loss - objective.loss(network, same)["features"].loss) > 1e-6


@torch.no_grad()
def test_the_terms_are_those_of_plain_pytorch():
    network, objective = prepared(logits_weight=0.3, pose_weight=0.7, temperature=3.0)
    network.double().eval(), objective.double()
    views = {name: view.double() if view.is_floating_point() else view for name, view in views_of(objective).items()}
    terms = objective.loss(network, views)
    regular = network(views["student"])
    vectors, logits = objective.teacher(views["teacher"])
    normalised = (vectors - vectors.mean(1, keepdim=True)) / (vectors.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    features = regular @ objective.features.weight.T + objective.features.bias
    assert float(terms["features"].loss) == pytest.approx(float((features - normalised).square().mean()))
    soft, own = (logits / 3).softmax(1), (objective.logits(regular) / 3).softmax(1)
    divergence = 9 * (soft * (soft.log() - own.log())).sum(1).mean()
    assert float(terms["logits"].loss) == pytest.approx(0.3 * float(divergence))
    pose = -objective.heads[0](regular).log_softmax(1)[:, 0].mean()
    assert float(terms["pose"].loss) == pytest.approx(0.7 * float(pose))


@torch.no_grad()
def test_features_may_be_weighed_and_logits_teach_alone():
    (network, whole), (_, alone) = prepared(), prepared(features_weight=0.0)
    alone.load_state_dict(whole.state_dict())
    views = views_of(whole)
    network.eval()
    found, without = whole.loss(network, views), alone.loss(network, views)
    assert float(found["features"].loss) > 0.1
    assert float(without["features"].loss) == 0
    assert torch.equal(found["logits"].loss, without["logits"].loss)


def test_equal_logits_do_not_diverge_and_softened_ones_diverge_like_squares():
    first, second = torch.randn(2, 6, 9, dtype=torch.float64)
    assert float(distillation_divergence(first, first, 8.0)) == pytest.approx(0)
    # Hinton, Vinyals and Dean: at high temperatures half the mean square of centred logits.
    apart = (first - second) - (first - second).mean(1, keepdim=True)
    limit = float(apart.square().mean() / 2)
    assert float(distillation_divergence(first, second, 1e4)) == pytest.approx(limit, rel=1e-2)


# The views.


def test_upright_views_are_the_same_for_both_networks():
    _, objective = prepared(residual=0.0, cutmix=0.0)
    views = views_of(objective)
    assert views["student"].shape == (12, 3, 32, 32)
    assert torch.equal(views["student"], views["teacher"])
    assert views["pose"].tolist() == [0] * 12
    assert 0 <= float(views["student"].min()) <= float(views["student"].max()) <= 1


def test_turned_views_show_the_same_place_and_colours():
    _, objective = prepared(residual=1.0, cutmix=1.0)
    views = views_of(objective)
    assert not any(torch.equal(*pair) for pair in zip(views["student"], views["teacher"], strict=True))
    centre = (..., slice(15, 17), slice(15, 17))
    means = [views[name][centre].mean((-2, -1)) for name in ("student", "teacher")]
    torch.testing.assert_close(*means, rtol=0, atol=0.05)


def test_a_share_of_the_views_is_turned():
    _, objective = prepared(residual=0.25, cutmix=0.0, jitter=0.0)
    many = torch.rand(400, 3, 32, 32)
    views = objective.views(Batch(many, None, 400, slice(0, 400)), Randomness(0))
    turned = (views["student"] != views["teacher"]).flatten(1).any(1)
    assert float(turned.float().mean()) == pytest.approx(0.25, abs=0.05)


def test_through_a_circle_the_student_sees_whole_images_at_every_angle():
    _, objective = prepared(residual=1.0, cutmix=0.0, jitter=0.0, circle=1.0, smallest_area=1.0, view_size=48)
    views = views_of(objective)
    torch.testing.assert_close(views["teacher"], IMAGES, rtol=0, atol=1e-5)
    degrees = AngleHead.degrees(views["up"])
    assert degrees.abs().max() > 30
    # Where the circle touches the edge, one rule of sampling knows pixels beyond it, and the other has none.
    inside = F.pad(circular_mask(44, 44), (2, 2, 2, 2))
    for image, student, angle in zip(IMAGES, views["student"], degrees.tolist(), strict=True):
        expected = rotate(image, angle, circular=True)
        torch.testing.assert_close(student * inside, expected * inside, rtol=0, atol=1e-3)
        assert torch.equal(student == 0, expected == 0)


def test_a_share_of_the_views_is_seen_through_a_circle_and_the_others_are_as_without_one():
    chosen = {"residual": 0.0, "cutmix": 1.0, "jitter": 0.0}
    (_, some), (_, none) = prepared(circle=0.5, **chosen), prepared(**chosen)
    found, plain = views_of(some), views_of(none)
    assert torch.equal(found["teacher"], plain["teacher"])
    inside = circular_mask(32, 32) > 0
    circular = (found["student"][..., 0, 0] == 0).all(1)
    assert 0 < int(circular.sum()) < 12
    assert torch.equal(found["student"][~circular], plain["student"][~circular])
    assert torch.equal(found["student"][..., inside], plain["student"][..., inside])
    assert (found["student"][circular][..., ~inside] == 0).all()


def test_upright_views_are_pasted_into_each_other_for_both_networks():
    chosen = {"residual": 0.5, "jitter": 0.0}
    (_, mixing), (_, plain) = prepared(cutmix=1.0, **chosen), prepared(cutmix=0.0, **chosen)
    mixed, whole = views_of(mixing), views_of(plain)
    turned = (whole["student"] != whole["teacher"]).flatten(1).any(1)
    pasted = (mixed["teacher"] != whole["teacher"]).flatten(1).any(1)
    assert 0 < int(turned.sum()) < 12
    assert torch.equal(pasted, ~turned)
    assert torch.equal(mixed["student"][~turned], mixed["teacher"][~turned])
    for name in ("student", "teacher"):
        assert torch.equal(mixed[name][turned], whole[name][turned])


def test_a_teacher_may_see_the_same_crops_larger():
    smooth = F.interpolate(torch.rand(12, 3, 4, 4), (48, 48), mode="bilinear")
    chosen = {"residual": 0.5, "cutmix": 1.0}
    (network, larger), (_, plain) = prepared(teacher_size=64, **chosen), prepared(**chosen)
    found, equal = (one.views(Batch(smooth, None, 12, slice(0, 12)), Randomness(0)) for one in (larger, plain))
    assert found["teacher"].shape == (12, 3, 64, 64)
    assert torch.equal(found["student"], equal["student"])
    # Halved it is what a teacher without the option sees, but for pixels at the edges of what was pasted.
    difference = (F.avg_pool2d(found["teacher"], 2) - equal["teacher"]).abs().amax(1)
    assert float((difference > 0.02).float().mean()) < 0.05
    assert larger.loss(network, found)["features"].loss.isfinite()


@pytest.mark.parametrize(("name", "poses"), [("c4", {0}), ("d4", {0}), ("c8", {0, 1, 7}), ("d8", {0, 1, 7})])
def test_the_pose_is_the_nearest_rotation(name, poses):
    _, objective = prepared(f"{name}_resnet18s_w16", residual=1.0)
    degrees = torch.linspace(-44.9, 44.9, 99)
    found = objective._nearest(degrees)
    assert set(found.tolist()) == poses
    left = (degrees - 360 / objective.group.rotations * found + 180) % 360 - 180
    assert float(left.abs().max()) <= 180 / objective.group.rotations


def test_views_are_drawn_for_the_global_batch():
    _, objective = prepared(cutmix=0.0)
    whole = views_of(objective)
    parts = [views_of(objective, rows) for rows in (slice(0, 6), slice(6, 12))]
    for name, view in whole.items():
        torch.testing.assert_close(view, torch.cat([part[name] for part in parts]), rtol=0, atol=1e-6)
    assert not torch.equal(whole["student"], views_of(objective, seed=1)["student"])


def test_large_images_are_averaged_before_they_are_sampled():
    _, objective = prepared(residual=0.0, cutmix=0.0, jitter=0.0, view_size=8, smallest_area=0.9)
    stripes = (torch.arange(72) % 2).float().expand(4, 3, 72, 72)
    views = objective.views(Batch(stripes, None, 4, slice(0, 4)), Randomness(0))
    torch.testing.assert_close(views["student"], torch.full((4, 3, 8, 8), 0.5), rtol=0, atol=1e-5)


# A run.


def test_a_student_learns_and_its_canonical_features_do_not_turn(tmp_path):
    chosen, images = config(epochs=4, angle_weight=0.1), photos(24, channels=3, size=48)
    run = pretrain(chosen, tmp_path / "run", data=images, device="cpu", quiet=True)
    columns = ["epoch", "loss", "learning_rate", "accuracy_pose", "accuracy_angle", "seconds", "images_per_second"]
    assert list(run.log[0]) == columns
    assert run.log[-1]["loss"] < run.log[0]["loss"]
    assert {name.split(".")[0] for name in run.model.state_dict()} == {"backbone", "heads"}
    assert {name.split(".")[0] for name in read_layout(tmp_path / "run" / WEIGHTS)} == {"backbone", "heads"}
    checkpoint = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["model"]
    assert {name.split(".")[0] for name in checkpoint} == {"backbone", "features", "logits", "heads"}
    assert run.preprocessing.size == (32, 32)
    loaded = load_run(tmp_path / "run")
    torch.testing.assert_close(loaded.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)
    encoder, images = eqmodels.load(tmp_path / "run").double(), IMAGES[:4, :, :32, :30].double()
    assert encoder.global_pool.mode == "canonical"
    with torch.no_grad():
        upright = encoder(images)
        for g in encoder.group.elements:
            torch.testing.assert_close(encoder(encoder.group.act(g, images)), upright, rtol=0, atol=1e-10)
        assert torch.equal(type(encoder).from_pretrained(tmp_path / "run").double()(images), upright)


def test_the_encoder_is_saved_without_what_only_distils(tmp_path):
    pretrain(config(epochs=1), tmp_path / "run", data=photos(8, channels=3, size=48), device="cpu", quiet=True)
    run = load_run(tmp_path / "run")
    encoder = run.encoder("canonical")
    encoder.save_pretrained(tmp_path / "alone")
    loaded = eqmodels.load(tmp_path / "alone")
    assert torch.equal(loaded(IMAGES), encoder(IMAGES))
    assert set(loaded.state_dict()) == {
        *run.backbone.state_dict(),
        *(f"global_pool.pose.{name}" for name in run.pose.state_dict()),
    }
    assert loaded.preprocessing.size == (32, 32)


def test_a_standard_network_learns_without_a_pose(tmp_path):
    run = pretrain(
        config(model="resnet18s_w8", epochs=1), tmp_path, data=photos(8, channels=3, size=48), device="cpu", quiet=True
    )
    assert "accuracy_pose" not in run.log[0]
    assert run.pose is None
    assert eqmodels.load(tmp_path).global_pool.mode == "invariant"


def test_a_run_on_an_array_that_was_stopped_goes_on(tmp_path):
    write_array(tmp_path / "bank", count=24, size=(40, 40))
    chosen = config(data="array", residual=0.3)
    bank = load_data("array", root=tmp_path / "bank")
    whole, cut = Pretraining(chosen, bank), Pretraining(chosen, bank)
    for run, steps in ((whole, 5), (cut, 2)):
        run.network.train()
        for _ in range(steps):
            run.step() if run.progress.step < run.steps_per_epoch else run.end_epoch()
    (tmp_path / "run").mkdir()
    cut.save(tmp_path / "run")
    assert not [name for name in torch.load(tmp_path / "run/checkpoint.pt")["model"] if "teacher" in name]
    done = pretrain(chosen, tmp_path / "run", root=tmp_path / "bank", device="cpu", quiet=True)
    fresh = pretrain(chosen, tmp_path / "fresh", root=tmp_path / "bank", device="cpu", quiet=True)
    torch.testing.assert_close(done.model.state_dict(), fresh.model.state_dict(), rtol=0, atol=0)
    with pytest.raises(TrainingError, match=r"images' number"):
        pretrain(chosen, tmp_path / "run", data=subset(bank, range(16)), device="cpu", quiet=True)


def test_a_teacher_whose_width_is_not_named_is_asked_once_and_no_file_asks_it(tmp_path, monkeypatch):
    images, folder = photos(16, channels=3, size=48), tmp_path / "run"
    asked, named = (Pretraining(config(teacher_width=width), images) for width in (0, 10))
    assert asked.config == named.config
    for run in (asked, named):
        run.network.train()
        run.step()
    torch.testing.assert_close(asked.model.state_dict(), named.model.state_dict(), rtol=0, atol=0)
    folder.mkdir()
    named.save(folder)
    done = pretrain(config(teacher_width=0), folder, data=images, device="cpu", quiet=True)
    assert done.config.objective.options["teacher_width"] == 10
    again = pretrain(config(teacher_width=0), folder, data=images, device="cpu", quiet=True)
    assert again.sha256 == done.sha256
    monkeypatch.setattr(distil, "create_teacher", None)
    assert load_run(folder).sha256 == done.sha256
    assert load_unfinished(folder / CHECKPOINT).config == done.config
    torch.testing.assert_close(
        pretrain(config(), folder, data=images, device="cpu", quiet=True).model.state_dict(), done.model.state_dict()
    )


def test_a_teacher_of_unknown_width_is_asked_where_no_run_is():
    network, objective = prepared(teacher_width=0)
    assert objective.features.out_features == 10
    assert objective.loss(network, views_of(objective))["features"].loss.isfinite()


def test_a_control_without_training_has_the_width_of_its_teacher():
    found = untrained(config(teacher_width=0), photos(4, channels=3, size=48))
    assert found.config.objective.options["teacher_width"] == 10


def test_passes_that_are_kept_come_again_without_their_images_and_their_teacher(tmp_path, monkeypatch):
    write_array(tmp_path / "bank", count=24, size=(40, 40))
    chosen, bank = config(data="array", epochs=5, kept_passes=2), load_data("array", root=tmp_path / "bank")
    run, asked = Pretraining(chosen, bank), []
    monkeypatch.setattr(
        run.objective.teacher, "forward", lambda images: asked.append(1) or create_teacher("tiny")(images)
    )
    views = [[run.views(epoch, step) for step in range(3)] for epoch in range(5)]
    assert len(asked) == 6
    torch.testing.assert_close([views[0], views[1], views[0]], views[2:], rtol=0, atol=0)
    assert not torch.equal(views[0][0]["student"], views[1][0]["student"])
    assert views[0][0]["student"].dtype == torch.uint8
    # What a run that was stopped has lost of them is made again.
    cut = Pretraining(chosen, bank)
    cut.network.train()
    for _ in range(3 * 2):
        cut.step() if cut.progress.step < 3 else cut.end_epoch()
    cut.close()
    (tmp_path / "run").mkdir()
    cut.save(tmp_path / "run")
    runs = [pretrain(chosen, tmp_path / name, data=bank, device="cpu", quiet=True) for name in ("run", "fresh")]
    torch.testing.assert_close(runs[0].model.state_dict(), runs[1].model.state_dict(), rtol=0, atol=0)
    assert load_run(tmp_path / "run").config.objective.options["kept_passes"] == 2


@pytest.mark.parametrize("changes", [{}, {"teacher": "mute", "teacher_classes": 0}, {"teacher_size": 40}])
def test_views_that_are_kept_teach_what_others_do(changes):
    TEACHERS.register("mute")(lambda: Teacher(Mute(), (0.5,) * 3, (0.5,) * 3, "MIT"))
    found = {}
    for passes in (0, 1):
        network, objective = prepared(kept_passes=passes, **changes)
        views = views_of(objective)
        for parameter in [*network.parameters(), *objective.parameters()]:
            parameter.data = torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter)
        found[passes] = {name: term.loss for name, term in objective.loss(network, views).items()}
    torch.testing.assert_close(found[0], found[1], rtol=2e-2, atol=1e-4)


def test_a_teacher_of_large_numbers_is_kept_in_half_precision_too(monkeypatch):
    _, objective = prepared(kept_passes=1)
    forward = objective.teacher.module.forward
    monkeypatch.setattr(
        objective.teacher.module, "forward", lambda images: [1e6 + 1e3 * one for one in forward(images)]
    )
    views = views_of(objective)
    assert all(views[name].isfinite().all() for name in ("vectors", "logits"))


def test_views_beyond_the_memory_are_refused_before_the_first_step(monkeypatch):
    monkeypatch.setattr(distil, "machine_memory", lambda: 50_000.0)
    views = re.escape(
        "kept_passes=3 over 8 images keeps 0.0 GB of views; this machine has 0.0 GB of memory. Pass kept_pas"
    )
    with pytest.raises(ValueError, match=f"^{views}"):
        Pretraining(config(kept_passes=3), photos(8, channels=3, size=48))


def test_the_teacher_never_learns():
    run = Pretraining(config(), photos(8, channels=3, size=48))
    run.network.train()
    run.step()
    assert isinstance(run.objective.teacher, Frozen)
    assert not any(module.training for module in run.objective.teacher.module.modules())
    torch.testing.assert_close(
        run.objective.teacher.module.state_dict(), create_teacher("tiny").state_dict(), rtol=0, atol=0
    )
    trained = sum(len(group["params"]) for group in run.optimiser.param_groups)
    assert trained == len(list(run.model.parameters()))


# What is refused.


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"smallest_area": 0.0}, ValueError, "smallest_area must be above 0 and at most 1; got 0.0. Pass smallest_a"),
        ({"cutmix": 1.5}, ValueError, "cutmix must lie in 0 .. 1; got 1.5. Pass 0.5."),
        ({"jitter": -0.1}, ValueError, "jitter must lie in 0 .. 1; got -0.1. Pass 0.5."),
        ({"residual": float("nan")}, ValueError, "residual must lie in 0 .. 1; got nan. Pass 0.5."),
        ({"pose_weight": float("inf")}, ValueError, "pose_weight must be a finite number of at least 0; got inf. "),
        ({"temperature": 0.0}, ValueError, "temperature must be a positive finite number; got 0.0. Pass 8."),
        ({"view_size": 0}, ValueError, "view_size must be at least 1; got 0. Pass a whole number of at least 1."),
        ({"teacher_classes": -1}, ValueError, "teacher_classes must be at least 0; got -1. Pass a whole number of at"),
        ({"features_weight": -1.0}, ValueError, "features_weight must be a finite number of at least 0; got -1.0. P"),
        ({"teacher_width": -1}, ValueError, "teacher_width must be at least 0; got -1. Pass a whole number of at"),
        ({"kept_passes": -1}, ValueError, "kept_passes must be at least 0; got -1. Pass a whole number of at least 0."),
        ({"teacher_size": -1}, ValueError, "teacher_size must be at least 0; got -1. Pass a whole number of at least"),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_sentence(options, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        config(**options)


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        ({}, {"channels": 1}, "teacher='tiny' takes images of 3 channels; photos has 1. Pass to_rgb=True (--to-rgb), "),
        ({"view_size": 64}, {}, "view_size must be at most the smaller side of the images, 48 of photos; got 64. Pass"),
        ({"teacher": "tinny"}, {}, "teacher must be one of lite0, tiny; got 'tinny'. Use 'tiny', or import the file"),
        ({"view_size": 4}, {}, "teacher='tiny' must take views of 4x4 pixels; it does not ("),
        ({"teacher_size": 4}, {}, "teacher='tiny' must take views of 4x4 pixels; it does not ("),
        ({"teacher_width": 0, "view_size": 4}, {}, "teacher='tiny' must take views of 4x4 pixels; it does not ("),
        ({"teacher_width": 0, "teacher": "tinny"}, {}, "teacher must be one of lite0, tiny; got 'tinny'. Use 'tiny', "),
        (
            {"teacher_width": 0, "teacher_classes": 6},
            {},
            "teacher_width and teacher_classes must be those of teacher='tiny'; got 10 and 6. Pass teacher_width=10 "
            "and teacher_classes=5.",
        ),
        (
            {"teacher_width": 12},
            {},
            "teacher_width and teacher_classes must be those of teacher='tiny'; got 12 and 5. Pass teacher_width=10 "
            "and teacher_classes=5.",
        ),
        ({"pose_hidden": 2}, {}, "pose_hidden must be at least 4; got 2. Pass a whole number of at least 4."),
    ],
)
def test_what_does_not_suit_the_teacher_is_refused_before_the_first_step(options, images, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Pretraining(config(**options), photos(8, **{"channels": 3, "size": 48, **images}))


def test_every_option_has_a_help():
    options = objective_options("distil")
    assert all(option.help for option in options.values())
    assert "lite0" in options["teacher"].suggestions


def test_features_alone_are_distilled_from_a_teacher_without_a_classifier():
    TEACHERS.register("mute")(lambda: Teacher(Mute(), (0.5,) * 3, (0.5,) * 3, "MIT"))
    network, objective = prepared(teacher="mute", teacher_classes=0)
    views = views_of(objective)
    assert list(objective.loss(network, views)) == ["features", "pose"]
    assert [outputs.shape for outputs in objective.teacher(views["teacher"])] == [(12, 10), (12, 0)]


class Mute(nn.Module):
    """Features and no logits."""

    def forward(self, images):
        return F.adaptive_avg_pool2d(images, 2).flatten(1)[:, :10]
