"""With the equivariant head nothing needs to be turned: loss and gradients are those of turned images."""

from __future__ import annotations

import pytest
import torch

from eqmodels.training import Pretraining
from eqmodels.training.terms import total_loss
from tests.training.runs import photos, tiny

PAIRS = [
    ("c4_resnet18s_w8", "rotation"),
    ("c4_resnet18s_w8", "rotation4"),
    ("c8_resnet18s_w8", "rotation"),
    ("d4_resnet18s_w8", "rotation"),
    ("d4_resnet18s_w8", "vertical_flip"),
    ("d4_resnet18s_w8", "horizontal_flip"),
    ("d4_resnet18s_w8", "dihedral"),
]
EXACT_PAIRS = [pair for pair in PAIRS if not pair[0].startswith("c8")]


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize(("model", "task"), EXACT_PAIRS)
def test_loss_and_gradients_of_upright_images_are_those_of_turned_ones(randomised, model, task, size, norm):
    results, labels = [], []
    for turn in ("auto", "always"):
        augment = "none" if task in ("horizontal_flip", "dihedral") else "simclr"
        # Layer norm needs two fields.
        changes = {"model": model.replace("d4_resnet18s_w8", "d4_resnet18s_w16"), "head_hidden": 32, "norm": norm}
        changes = changes if norm == "layer" else {"model": model}
        config = tiny(task=task, turn=turn, augment=augment, channels_last=False, **changes)
        run = Pretraining(config, photos(size=size))
        torch.manual_seed(3)
        randomised(run.model).double().train()
        images, drawn = run.views(1, 2)
        terms = run.terms((images.double(), drawn))
        loss = total_loss(terms)
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in run.model.named_parameters()}
        results.append((loss.detach(), gradients, dict(run.model.named_buffers()), terms[task].correct))
        labels.append(drawn)
        assert loss.dtype == torch.float64
    assert not labels[0].any()
    assert len(labels[1].unique()) > 1  # images were turned indeed
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)
    assert any(gradient.abs().max() > 1e-3 for gradient in results[0][1].values())


@pytest.mark.parametrize(("model", "task"), PAIRS)
def test_equivariant_heads_of_exact_tasks_are_strict(model, task):
    assert Pretraining(tiny(model=model, task=task, augment="none"), photos()).objective.strict


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "mlp"},
        {"head": "linear"},
        {"turn": "always"},
        {"class_weight": 0.0, "class_hidden": 8},
        {"model": "c8_resnet18s_w8", "task": "rotation8"},
        {"task": "jigsaw", "head": "mlp"},
        {"task": "none", "head": "linear"},
    ],
)
def test_what_is_not_strict_is_transformed(changes):
    run = Pretraining(tiny(**changes), photos())
    _, labels = run.views(0, 0)
    assert not run.objective.strict
    assert run.objective.task.name == "none" or labels[:, 0].any()


@pytest.mark.parametrize("task", ["vertical_flip+rotation", "rotation+vertical_flip"])
def test_several_tasks_of_equivariant_heads_are_refused_in_one_sentence(task):
    """A flip before a turn changes what the turn looks like: the order would decide whether it can be learned."""
    with pytest.raises(ValueError, match="an equivariant head predicts one task"):
        Pretraining(tiny(model="d4_resnet18s_w8", task=task, augment="none"), photos())


@pytest.mark.parametrize(
    ("model", "task", "known"),
    [
        ("d4_resnet18s_w8", "rotation", True),
        ("d4_resnet18s_w8", "dihedral", True),
        ("d4_resnet18s_w8", "vertical_flip", False),
        ("c4_resnet18s_w8", "rotation", True),
        ("c8_resnet18s_w8", "rotation", False),
        # As many labels as rotations, and other elements.
        ("d2_resnet18s_w8", "vertical_flip", False),
        ("d2_resnet18s_w8", "rotation2", True),
        ("c8_resnet18s_w8", "rotation4", False),
        ("d1_resnet18s_w8", "horizontal_flip", True),
    ],
)
def test_the_pose_is_known_to_heads_that_learn_all_rotations(model, task, known):
    assert (Pretraining(tiny(model=model, task=task, augment="none"), photos()).objective.pose is not None) == known


@pytest.mark.parametrize("turn", ["auto", "always"])
def test_a_network_that_knows_nothing_predicts_nothing(turn):
    run = Pretraining(tiny(turn=turn), photos())
    with torch.no_grad():
        for parameter in run.objective.heads.parameters():
            parameter.zero_()
    assert int(run.terms(run.views(0, 0))["rotation"].correct) == 0
