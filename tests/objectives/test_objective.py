"""What the trainer asks of every objective, and a teacher that never learns."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from eqmodels.backbones import create_model
from eqmodels.objectives import (
    Frozen,
    Network,
    Objective,
    Term,
    create_objective,
    objective_options,
    register_objective,
)
from eqmodels.training import PretrainConfig, Pretraining, load_run, pretrain
from eqmodels.training.learner import Learner
from eqmodels.training.terms import Counts, measured, parts_of, total_loss
from eqmodels.transforms import Preprocessing
from tests.training.runs import photos, tiny

BACKBONE = {"in_chans": 1, "num_classes": 0}


@pytest.fixture
def distil():
    """An objective with a frozen teacher and a shadow that follows the network."""

    @register_objective("distil_twin")
    class Distil(Objective):
        """Features of a frozen copy are to be predicted.

        Args:
            backbone: the encoder.
            num_classes: not used.
            decay: of the shadow.
        """

        def __init__(self, backbone, num_classes=0, *, decay: float = 0.9):
            super().__init__()
            self.decay = decay
            teacher = copy.deepcopy(backbone)
            self.teacher = Frozen(teacher)
            self.head = nn.Linear(backbone.map_field.channels, backbone.map_field.channels)
            self.shadow = copy.deepcopy(self.head).requires_grad_(False)
            self.steps = 0

        def views(self, batch, randomness):
            return {"pixels": batch.images, "pair": [batch.images.flip(-1)], "name": "kept"}

        def loss(self, network, views):
            assert views["name"] == "kept"
            target = self.teacher(views["pixels"]).detach()
            error = self.head(network(views["pixels"])) - target.repeat(1, self.head.out_features // target.shape[1])
            return {"features": Term(error.square().mean()), "spread": Term(error.abs().mean(), separate=True)}

        def after_step(self, network):
            self.steps += 1
            for old, new in zip(self.shadow.parameters(), self.head.parameters(), strict=True):
                old.lerp_(new.detach(), 1 - self.decay)

    return Distil


def config(**changes) -> PretrainConfig:
    values = {name: tiny().flat()[name] for name in ("batch_size", "precision", "learning_rate")}
    return PretrainConfig.of(objective="distil_twin", model="c4_resnet18s_w4", epochs=2, **values, **changes)


def test_a_frozen_teacher_stays_as_it_is_and_where_its_objective_is(distil):
    run = Pretraining(config(), photos())
    teacher = run.objective.teacher.module
    before = copy.deepcopy(teacher.state_dict())
    run.network.train()
    run.epoch()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in teacher.parameters())
    torch.testing.assert_close(teacher.state_dict(), before, rtol=0, atol=0)
    trained = {id(value) for group in run.optimiser.param_groups for value in group["params"]}
    assert not trained & {id(value) for value in (*teacher.parameters(), *run.objective.shadow.parameters())}
    assert not [name for name in run.model.state_dict() if "teacher" in name]
    run.model.double()
    assert {value.dtype for value in teacher.parameters()} == {torch.float64}
    run.model.to("meta")
    assert {value.device.type for value in teacher.parameters()} == {"meta"}


def test_any_objective_is_trained_logged_saved_and_loaded(distil, tmp_path):
    run = pretrain(config(accumulate=2), tmp_path, data=photos(), device="cpu", quiet=True)
    assert list(run.log[0]) == ["epoch", "loss", "spread_loss", "learning_rate", "seconds", "images_per_second"]
    assert run.log[1]["loss"] < run.log[0]["loss"]
    assert run.objective.steps == 10
    assert not torch.equal(run.objective.shadow.weight, run.objective.head.weight)
    loaded = load_run(tmp_path)
    assert {name.split(".")[0] for name in loaded.model.state_dict()} == {"backbone", "head", "shadow"}
    torch.testing.assert_close(loaded.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)


def test_a_stopped_run_of_any_objective_goes_on(distil, tmp_path):
    whole = Pretraining(config(), photos())
    cut = Pretraining(config(), photos())
    for run in (whole, cut):
        run.network.train()
        for _ in range(3):
            run.step()
    cut.save(tmp_path)
    again = Pretraining(config(), photos())
    assert again.resume(tmp_path)
    assert again.progress.counts == whole.progress.counts
    for run in (whole, again):
        run.epoch()
    torch.testing.assert_close(again.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_options_are_read_off_the_class(distil):
    assert objective_options("distil_twin")["decay"].help == "of the shadow."
    backbone = create_model("c4_resnet18s_w4", **BACKBONE)
    assert create_objective("distil_twin", backbone, decay=0.5).decay == 0.5
    with pytest.raises(
        TypeError, match=r"^objective 'distil_twin' has no option 'deacy'; its options are decay\. Use 'd"
    ):
        create_objective("distil_twin", backbone, deacy=0.5)
    with pytest.raises(
        ValueError, match=r"^objective must be one of distil, distil_twin, .*; got 'distill'\. Use 'distil'"
    ):
        create_objective("distill", backbone)


def test_a_child_called_backbone_is_refused(distil):
    backbone = create_model("c4_resnet18s_w4", **BACKBONE)
    objective = create_objective("distil_twin", backbone)
    objective.backbone = backbone
    network = Network(backbone, Preprocessing((0.5,), (0.5,), (12, 12)))
    with pytest.raises(
        ValueError, match=r"^Distil must have no child called 'backbone', as the network's is; got one\."
    ):
        Learner(network, objective)


def test_a_network_normalises_pixels():
    backbone = create_model("c4_resnet18s_w4", **BACKBONE).eval()
    preprocessing = Preprocessing((0.25,), (0.5,), (12, 12))
    network, pixels = Network(backbone, preprocessing).eval(), photos().pixels(slice(4))
    assert set(network.state_dict()) == {f"backbone.{name}" for name in backbone.state_dict()}
    with torch.no_grad():
        expected = backbone.forward_features(preprocessing.normalise(pixels))
        assert torch.equal(network.forward_features(pixels), expected)
        assert torch.equal(network(pixels), expected.mean((-2, -1)))


def test_terms_are_summed_counted_and_read_at_once():
    terms = {
        "a": Term(torch.tensor(1.0), torch.tensor(3)),
        "b": Term(torch.tensor(2.0), separate=True),
        "c": Term(torch.tensor(4.0, dtype=torch.float64)),
    }
    assert float(total_loss(terms)) == 7
    counts = Counts()
    for _ in range(2):
        counts.add(terms, measured(terms).tolist(), 8)
    assert (counts.seen, counts.losses, counts.correct) == (16, {"loss": 80.0, "b_loss": 32.0}, {"a": 6})
    assert counts.row() == ({"loss": 5.0, "b_loss": 2.0}, {"accuracy_a": 6 / 16})
    assert counts.of_numbers(counts.numbers()) == counts
    with pytest.raises(TypeError, match=r"^an objective must have a term that counts into the loss; got b, each with"):
        total_loss({"b": terms["b"]})


def test_every_tensor_of_the_views_is_cut():
    views = {"x": torch.arange(8), "y": [torch.arange(16), (torch.zeros(8, 2), "word")], "t": Term(torch.arange(8))}
    first, second = parts_of(views, 2)
    assert first["x"].tolist() == [0, 1, 2, 3]
    assert second["y"][0].tolist() == list(range(8, 16))
    assert second["y"][1][0].shape == (4, 2)
    assert second["y"][1][1] == "word"
    assert isinstance(first["t"], Term)
