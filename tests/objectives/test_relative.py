"""Relative prediction: two views of every image, what changed between them, and a head that learns it."""

from __future__ import annotations

import pytest
import torch

from eqmodels.backbones import create_model
from eqmodels.objectives import Batch, Randomness, RelativePrediction
from eqmodels.training import PretrainConfig, load_run, pretrain
from tests.training.runs import photos, tiny

IMAGES = torch.rand(12, 3, 16, 20, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def objective():
    return RelativePrediction(create_model("resnet18s_w4", in_chans=3), augment="simclr", head_hidden=8)


def batch(rows=slice(0, 12)):
    return Batch(IMAGES[rows], None, 12, rows)


def test_two_views_and_what_changed_between_them(objective):
    views = objective.views(batch(), Randomness(0))
    assert views["first"].shape == views["second"].shape == IMAGES.shape
    assert not torch.equal(views["first"], views["second"])
    assert views["numbers"].shape == (12, 8)
    torch.testing.assert_close(views["numbers"].square().mean(0), torch.ones(8))
    assert 0 < int(views["flip"].sum()) < 12


def test_views_are_drawn_for_the_global_batch(objective):
    whole = objective.views(batch(), Randomness(0))
    parts = [
        objective.views(batch(rows), Randomness(0, rank=rank)) for rank, rows in enumerate((slice(0, 6), slice(6, 12)))
    ]
    for name, view in whole.items():
        assert torch.equal(view, torch.cat([part[name] for part in parts]))
    assert not torch.equal(whole["first"], objective.views(batch(), Randomness(0, (0, 1)))["first"])


def test_who_always_says_0_has_a_loss_of_1(objective, no_shape_checks):
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.zero_()
        terms = objective.loss(lambda pixels: torch.ones(len(pixels), 32), objective.views(batch(), Randomness(0)))
    assert float(terms["change"].loss) == pytest.approx(1)
    assert float(terms["flip"].loss) == pytest.approx(torch.tensor(2.0).log().item())
    assert int(terms["flip"].correct) == 0  # a tie is no prediction


def test_an_augmentation_without_draws_is_refused_in_one_sentence():
    with pytest.raises(
        ValueError, match=r"^objective='relative' predicts how views differ; got augment='none', which "
    ):
        PretrainConfig.of(objective="relative", augment="none")


def test_a_network_learns_what_changed_and_is_loaded_again(tmp_path):
    values = {name: tiny().flat()[name] for name in ("batch_size", "precision")}
    config = PretrainConfig.of(
        objective="relative", model="c4_resnet18s_w8", head_hidden=32, augment="crop_flip", epochs=6, **values
    )
    run = pretrain(config, tmp_path, data=photos(), device="cpu", quiet=True)
    assert list(run.log[0]) == ["epoch", "loss", "learning_rate", "accuracy_flip", "seconds", "images_per_second"]
    assert run.log[-1]["loss"] < run.log[0]["loss"]
    loaded = load_run(tmp_path)
    assert loaded.config == config
    assert {name.split(".")[0] for name in loaded.model.state_dict()} == {"backbone", "head"}
    torch.testing.assert_close(loaded.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)
    assert (loaded.pose, loaded.task.name, len(loaded.heads)) == (None, "none", 0)
