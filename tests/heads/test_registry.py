"""Prediction heads by name: their shapes, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from eqmodels import PlanarGroup
from eqmodels.heads import EquivariantHead, LinearHead, MLPHead, create_head

C4, D4 = PlanarGroup.parse("c4"), PlanarGroup.parse("d4")


@pytest.mark.parametrize("name", ["linear", "mlp", "equivariant"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_head_gives_one_logit_a_label(name, dtype):
    head = create_head(name, group="d4", in_features=64, num_labels=4, task_group=C4, hidden=32).to(dtype)
    logits = head(torch.randn(5, 64, dtype=dtype))
    assert (logits.shape, logits.dtype) == ((5, 4), dtype)
    assert type(head) is {"linear": LinearHead, "mlp": MLPHead, "equivariant": EquivariantHead}[name]
    logits.square().sum().backward()
    assert all(parameter.grad.any() for parameter in head.parameters())


def test_a_linear_head_is_stock():
    head = create_head("linear", group="c4", in_features=16, num_labels=24)
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (16, 24)
    assert list(head.state_dict()) == ["weight", "bias"]


def test_the_mlp_is_the_papers():
    head = create_head("mlp", group="c1", in_features=512, num_labels=24, dropout=0.25)
    assert list(head.state_dict()) == ["hidden.weight", "hidden.bias", "logits.weight", "logits.bias"]
    assert (head.hidden.in_features, head.hidden.out_features, head.logits.out_features) == (512, 2048, 24)
    assert head.drop.p == 0.25
    features = torch.randn(3, 512)
    expected = head.logits(head.hidden(features).relu())
    assert torch.equal(head.eval()(features), expected)


def test_arguments_reach_the_equivariant_head():
    head = create_head("equivariant", group=D4, in_features=24, num_labels=2, task_group=D4, elements=(0, 5), hidden=16)
    assert head.pose.hidden.in_fields == 3
    assert head.pose.hidden.out_fields == 2
    assert len(head.cosets) == 2


def equivariant(**changes):
    arguments = {"group": "c4", "in_features": 16, "num_labels": 4, "task_group": C4}
    return lambda: create_head("equivariant", **(arguments | changes))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: create_head("attention", group="c4", in_features=16, num_labels=4),
            ValueError,
            "head must be one of linear, mlp, equivariant; got 'attention'. Use 'mlp'.",
        ),
        (
            equivariant(task_group=None),
            ValueError,
            "an equivariant head predicts an element of a planar group, and this task is no action of one. "
            "Use head='mlp', or a task such as 'rotation'.",
        ),
        (
            equivariant(task_group=D4),
            ValueError,
            "an equivariant head needs a backbone whose group contains the task's, D4; got one of C4. "
            "Use head='mlp', or a d4_ backbone.",
        ),
        (
            equivariant(group="c1", in_features=7),
            ValueError,
            "an equivariant head needs a backbone whose group contains the task's, C4; got one of C1. "
            "Use head='mlp', or a c4_ backbone.",
        ),
        (
            equivariant(elements=(0, 1)),
            ValueError,
            "elements must be a subgroup of C4, each once and the identity 0 first; got (0, 1). "
            "All of them are tuple(group.elements).",
        ),
        (
            equivariant(elements=()),
            ValueError,
            "elements must be a subgroup of C4, each once and the identity 0 first; got (). "
            "All of them are tuple(group.elements).",
        ),
        (
            equivariant(in_features=18),
            ValueError,
            "an equivariant head reads regular features of C4, a multiple of 4; got in_features=18. "
            "Use the features of global_pool='regular'.",
        ),
        (
            equivariant(hidden=3),
            ValueError,
            "hidden must be at least 4; got 3. Pass a whole number of at least 4.",
        ),
        (
            equivariant(hidden=8.0),
            TypeError,
            "hidden must be an integer; got 8.0. Pass a whole number of at least 4.",
        ),
        (
            lambda: create_head("mlp", group="c4", in_features=16, num_labels=4, hidden=0),
            ValueError,
            "hidden must be at least 1; got 0. Pass a whole number of at least 1.",
        ),
        (
            lambda: create_head("mlp", group="c4", in_features=16, num_labels=0),
            ValueError,
            "num_labels must be at least 1; got 0. Pass a whole number of at least 1.",
        ),
        (
            lambda: create_head("mlp", group="c4", in_features=16, num_labels=2, dropout=1.5),
            ValueError,
            "dropout probability has to be between 0 and 1, but got 1.5",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()
