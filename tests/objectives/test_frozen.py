"""A teacher that moves is where it was when its run goes on, and in no optimiser and no file of weights."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from eqmodels.backbones import create_model
from eqmodels.objectives import Moving, Objective, Term, register_objective
from eqmodels.training import PretrainConfig, Pretraining, TrainingError, load_run, load_unfinished, pretrain
from tests.training.runs import photos, weights


@pytest.fixture(autouse=True)
def _mean_teacher():
    """An objective whose teacher is the running mean of the network."""

    @register_objective("mean_teacher")
    class MeanTeacher(Objective):
        """Features of the flipped image are to be those that the teacher has of the upright one.

        Args:
            backbone: the encoder.
            num_classes: not used.
        """

        def __init__(self, backbone, num_classes=0):
            super().__init__()
            self.teacher = Moving(copy.deepcopy(backbone))

        def views(self, batch, randomness):
            return batch.images, batch.images.flip(-1)

        def loss(self, network, views):
            target = self.teacher.module.regular_features(views[0]).detach()
            return {"features": Term((network(views[1]) - target).square().mean())}

        def after_step(self, network):
            self.teacher.follow(network.backbone, 0.5)


def config(**changes) -> PretrainConfig:
    values = {"model": "c4_resnet18s_w4", "epochs": 2, "batch_size": 8, "precision": "float32", "learning_rate": 0.02}
    return PretrainConfig.of(objective="mean_teacher", **values, **changes)


def teacher_of(run):
    return run.objective.teacher.module.state_dict()


def test_a_run_that_goes_on_has_the_teacher_of_where_it_stopped(tmp_path):
    """Bit for bit, within an epoch and after one."""
    whole = Pretraining(config(), photos())
    whole.network.train()
    for steps in (3, 2):
        for _ in range(steps):
            whole.step()
        if whole.progress.step == whole.steps_per_epoch:
            whole.end_epoch()
        whole.save(tmp_path)
        again = Pretraining(config(), photos())
        assert again.resume(tmp_path)
        torch.testing.assert_close(teacher_of(again), teacher_of(whole), rtol=0, atol=0)
        loaded = load_unfinished(tmp_path / "checkpoint.pt")
        torch.testing.assert_close(teacher_of(loaded), teacher_of(whole), rtol=0, atol=0)
    for run in (whole, again):
        run.epoch()
    torch.testing.assert_close(again.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(teacher_of(again), teacher_of(whole), rtol=0, atol=0)


def test_it_is_in_no_optimiser_and_no_file_of_weights(tmp_path):
    run = Pretraining(config(), photos())
    before = copy.deepcopy(teacher_of(run))
    run.network.train()
    run.step()
    assert not any(
        torch.equal(value, before[name]) for name, value in teacher_of(run).items() if "conv1.weight" in name
    )
    teacher = run.objective.teacher.module
    trained = {id(value) for group in run.optimiser.param_groups for value in group["params"]}
    assert not trained & {id(value) for value in teacher.parameters()}
    assert not any(module.training for module in teacher.modules())
    pretrain(config(), tmp_path, data=photos(), quiet=True, device="cpu")
    assert {name.partition(".")[0] for name in load_file(tmp_path / "model.safetensors")} == {"backbone"}
    assert weights(tmp_path)
    assert load_run(tmp_path).config == config()


def test_a_checkpoint_of_another_teacher_is_refused(tmp_path):
    run = Pretraining(config(), photos())
    run.save(tmp_path)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del content["teachers"]
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match=r"another network \(the teacher 'teacher' is not in it"):
        Pretraining(config(), photos()).resume(tmp_path)
    with torch.no_grad():
        next(run.objective.teacher.module.parameters()).fill_(torch.nan)
    with pytest.raises(
        TrainingError, match=r"^teacher\.stem\S+ and 0 other tensors of the network are no finite numbers"
    ):
        run.save(tmp_path)


def test_it_follows_by_the_exponential_mean():
    network = nn.BatchNorm1d(2)
    teacher = Moving(copy.deepcopy(network))
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(5.0)
    teacher.follow(network, 0.75)
    assert teacher.module.weight.tolist() == [1.5, 1.5]
    assert teacher.module.running_mean.tolist() == [5.0, 5.0]
    with pytest.raises(ValueError, match=r"^decay must lie between 0 and 1; got 1\.5\. Pass 0\.99\.$"):
        teacher.follow(network, 1.5)
    with pytest.raises(
        ValueError, match=r"follows a network of its own parameters and buffers; got one that differs in "
    ):
        teacher.follow(create_model("c4_resnet18s_w4"), 0.5)
