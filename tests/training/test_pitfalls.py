"""What would train and learn nothing is refused before it starts, in one sentence; what can be learned is not."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from eqmodels.layers import FieldLayerNorm2d
from eqmodels.tasks import create_task
from eqmodels.training import PretrainConfig, Pretraining, training_images
from tests.training.runs import photos, tiny

FLIPPED = ("crop_flip", "simclr")
HIDDEN = [
    "horizontal_flip",
    "dihedral",
    "rotation+horizontal_flip",
    "rotation+vertical_flip",
    "vertical_flip+rotation",
    "vertical_flip+rotation2",
    "vertical_flip+jigsaw+horizontal_flip",
    "rotation6+vertical_flip",
]
TOLD = ["rotation", "vertical_flip", "rotation3", "rotation36", "rotation+jigsaw", "vertical_flip+rotation3", "none"]


@pytest.mark.parametrize("augment", FLIPPED)
@pytest.mark.parametrize("task", HIDDEN)
def test_labels_that_a_flip_beforehand_hides_are_refused_in_one_sentence(task, augment):
    sentence = rf"^augment='{augment}' flips every other image before the task, so that nobody can tell the labels "
    with pytest.raises(ValueError, match=sentence):
        tiny(task=task, head="mlp", augment=augment)
    assert tiny(task=task, head="mlp", augment="none").objective.options["task"] == task


@pytest.mark.parametrize("augment", FLIPPED)
@pytest.mark.parametrize("task", TOLD)
def test_labels_that_can_be_told_are_taken(task, augment):
    """Every row of labels moves an image, flipped beforehand or not, otherwise than all other rows."""
    assert tiny(task=task, head="mlp", augment=augment).objective.options["task"] == task
    parts = [part for part in create_task(task).components if part.group is not None]
    rows = list(product(*(range(part.num_labels) for part in parts))) if parts else []
    image = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    results = []
    for start in (image, image.flip(-1)):
        for row in rows:
            moved = start
            for part, label in zip(parts, row, strict=True):
                moved = part.transform(moved, label, None)
            results.append(moved.flatten())
    assert not results or (torch.pdist(torch.stack(results)) > 1e-3).all()


@pytest.mark.parametrize("task", ["grayscale", "jigsaw+grayscale"])
def test_grey_images_beforehand_hide_the_grey_ones(task):
    with pytest.raises(ValueError, match=r"^augment='simclr' makes images grey before the task"):
        tiny(task=task, head="mlp", augment="simclr")
    assert tiny(task=task, head="mlp", augment="crop_flip")
    assert tiny(task="colour_inversion", head="mlp", augment="simclr")


@pytest.mark.parametrize("task", ["grayscale", "rotation+grayscale"])
def test_the_colour_of_grey_images_is_not_asked_about(task):
    config = tiny(task=task, head="mlp", model="resnet18s_w4")
    grey = photos().to_rgb()
    with pytest.raises(ValueError, match=r"whether the colour was taken out .* and no image of photos has any"):
        Pretraining(config, grey)
    last = grey.images.clone()
    last[-1, 0, 3, 3] ^= 1
    for coloured in (photos(channels=3), photos().coloured(), replace(grey, images=last)):
        assert Pretraining(config, coloured).steps_per_epoch == 5
    assert Pretraining(tiny(task="colour_inversion", head="mlp", model="resnet18s_w4"), grey).steps_per_epoch == 5


@pytest.mark.parametrize(
    ("model", "wider"), [("c4_resnet18s_w4", "c4_resnet18s_w8"), ("d4_resnet18s_w8", "d4_resnet18s_w16")]
)
def test_layer_norm_of_a_single_field_is_refused(model, wider):
    with pytest.raises(ValueError, match=rf"^norm='layer' needs at least 2 fields .* model='{model}' has a layer of 1"):
        Pretraining(tiny(model=model, norm="layer"), photos())
    assert any(
        isinstance(m, FieldLayerNorm2d) for m in Pretraining(tiny(model=wider, norm="layer"), photos()).model.modules()
    )


@pytest.mark.parametrize("model", ["c4_resnet18s_w8", "d4_resnet18s_w16"])
def test_layer_norm_learns_in_bfloat16_from_images_with_flat_parts(model):
    """The gradients of `c4_resnet18s_w4` would be 1e13 here, and no number in the second step."""
    config = PretrainConfig.of(model=model, norm="layer", limit=64, batch_size=32, epochs=10)
    run = Pretraining(config, training_images(config))
    run.network.train()
    for _ in range(20):
        run.step()
        norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), torch.inf)
        assert 0.1 < float(norm) < 100
        if run.progress.step == run.steps_per_epoch:
            run.end_epoch()
    assert run.progress.log[-1]["loss"] < math.log(4) - 0.005


@pytest.mark.parametrize(("model", "error"), [("c4_resnet18s_w8", 1e-5), ("d4_resnet18s_w16", 1e-5)])
def test_layer_norm_of_two_fields_is_exact_in_float32_where_images_are_flat(model, error):
    config = PretrainConfig.of(model=model, norm="layer", limit=32, batch_size=32, head_hidden=64)
    data = training_images(config)
    run = Pretraining(config, data)
    images, group = run.preprocessing.normalise(data.pixels(slice(None))), run.model.backbone.group
    with torch.no_grad():
        upright, turned = (run.model.eval().backbone.regular_features(x) for x in (images, images.rot90(1, (2, 3))))
    assert float((turned - group.permute_fibre(1, upright)).norm() / upright.norm()) < error
