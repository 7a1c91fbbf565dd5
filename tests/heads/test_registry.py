"""Prediction heads by name: their shapes, and what is refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from eqmodels.fields import Regular, Scalars
from eqmodels.heads import HEADS, EquivariantHead, LinearHead, MLPHead, create_head, list_heads
from eqmodels.layers import SteerableLinear
from eqmodels.registry import UnknownNameError

C4_LABELS = Regular("c4", 1)


@pytest.mark.parametrize("name", ["linear", "mlp", "equivariant"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_head_gives_one_logit_a_label(name, dtype):
    head = create_head(name, Regular("d4", 8), C4_LABELS, **({} if name == "linear" else {"hidden": 32})).to(dtype)
    logits = head(torch.randn(5, 64, dtype=dtype))
    assert (logits.shape, logits.dtype) == ((5, 4), dtype)
    assert type(head) is {"linear": LinearHead, "mlp": MLPHead, "equivariant": EquivariantHead}[name]
    logits.square().sum().backward()
    assert all(parameter.grad.any() for parameter in head.parameters())


def test_a_linear_head_is_stock():
    head = create_head("linear", Regular("c4", 4), Scalars(24))
    assert isinstance(head, nn.Linear)
    assert (head.in_features, head.out_features) == (16, 24)
    assert list(head.state_dict()) == ["weight", "bias"]


def test_the_mlp_is_the_papers():
    head = create_head("mlp", Regular("c1", 512), Scalars(24), dropout=0.25)
    assert list(head.state_dict()) == ["hidden.weight", "hidden.bias", "logits.weight", "logits.bias"]
    assert (head.hidden.in_features, head.hidden.out_features, head.logits.out_features) == (512, 2048, 24)
    assert head.drop.p == 0.25
    features = torch.randn(3, 512)
    expected = head.logits(head.hidden(features).relu())
    assert torch.equal(head.eval()(features), expected)


def test_hidden_units_of_the_mlp_may_have_a_batch_norm():
    head = create_head("mlp", Regular("c1", 16), Scalars(24), hidden=8, batch_norm=True)
    features = 1e-3 * torch.randn(32, 16) + 5
    hidden = head.hidden(features)
    scaled = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + head.norm.eps).sqrt()
    torch.testing.assert_close(head(features), head.logits(scaled.relu()), rtol=0, atol=1e-3)


def test_arguments_reach_the_equivariant_head():
    head = create_head("equivariant", Regular("d4", 3), Regular("d4", 1, (0, 5)), hidden=16)
    assert head.pose.hidden.in_fields == 3
    assert head.pose.hidden.out_fields == 2
    assert len(head.cosets) == 2


def equivariant(in_field=Regular("c4", 4), label_field=C4_LABELS, **options):  # noqa: B008 (frozen)
    return lambda: create_head("equivariant", in_field, label_field, **options)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: create_head("attention", Regular("c4", 4), C4_LABELS),
            UnknownNameError,
            "head must be one of angle, equivariant, frame, linear, mlp; got 'attention'. Use 'angle', or import the "
            "file that registers it (--import FILE).",
        ),
        (
            lambda: create_head("mpl", Regular("c4", 4), C4_LABELS),
            UnknownNameError,
            "head must be one of angle, equivariant, frame, linear, mlp; got 'mpl'. Use 'mlp', or import the file "
            "that registers it (--import FILE).",
        ),
        (
            equivariant(label_field=Scalars(4)),
            ValueError,
            "an equivariant head predicts an element of a planar group, and this task is no action of one. "
            "Use head='mlp', or a task such as 'rotation'.",
        ),
        (
            equivariant(label_field=Regular("c4", 2)),
            ValueError,
            "an equivariant head predicts an element of a planar group, and this task is no action of one. "
            "Use head='mlp', or a task such as 'rotation'.",
        ),
        (
            equivariant(label_field=Regular("d4", 1)),
            ValueError,
            "an equivariant head needs a backbone whose group contains the task's, D4; got one of C4. "
            "Use head='mlp', or a d4_ backbone.",
        ),
        (
            equivariant(Regular("c1", 7)),
            ValueError,
            "an equivariant head needs a backbone whose group contains the task's, C4; got one of C1. "
            "Use head='mlp', or a c4_ backbone.",
        ),
        (
            equivariant(Scalars(18)),
            ValueError,
            "an equivariant head reads regular features of a group; got the field 18 x scalar. "
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
            "hidden must be an integer; got 8.0. Use 2048.",
        ),
        (
            lambda: create_head("linear", Regular("c4", 4), C4_LABELS, hidden=8),
            TypeError,
            "head 'linear' has no option 'hidden'; its options are none. Drop it.",
        ),
        (
            lambda: create_head("mlp", Regular("c4", 4), C4_LABELS, hiden=8),
            TypeError,
            "head 'mlp' has no option 'hiden'; its options are hidden, dropout, batch_norm. Use 'hidden', or drop it.",
        ),
        (
            lambda: create_head("mlp", Regular("c4", 4), C4_LABELS, hidden=0),
            ValueError,
            "hidden must be at least 1; got 0. Pass a whole number of at least 1.",
        ),
        (
            lambda: create_head("mlp", Regular("c4", 4), Scalars(0)),
            ValueError,
            "num_labels must be at least 1; got 0. Pass a whole number of at least 1.",
        ),
        (
            lambda: create_head("mlp", Regular("c4", 4), Scalars(2), dropout=1.5),
            ValueError,
            "dropout must be a probability between 0 and 1; got 1.5. Pass 0 for none.",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()


# Names and fields.


def test_the_heads_are_listed():
    assert list_heads() == ["angle", "equivariant", "frame", "linear", "mlp"]
    assert list_heads("m*") == ["mlp"]


def test_a_registered_head_is_created_with_its_options():
    @HEADS.register("cosine")
    def cosine(in_field, label_field, *, scale: float = 10.0) -> nn.Module:
        layer = nn.Linear(in_field.channels, label_field.channels, bias=False)
        layer.scale = scale
        return layer

    assert "cosine" in list_heads()
    head = create_head("cosine", Regular("d4", 2), Scalars(3), scale=2.0)
    assert (head.in_features, head.out_features, head.scale) == (16, 3, 2.0)
    with pytest.raises(TypeError, match="scale must be a number; got 'big'"):
        create_head("cosine", Regular("d4", 2), Scalars(3), scale="big")


@pytest.mark.parametrize("name", ["linear", "mlp", "equivariant"])
def test_every_head_declares_what_it_reads_and_only_the_strict_one_what_it_says(name):
    head = create_head(name, Regular("d4", 2), C4_LABELS)
    assert head.in_field == Regular("d4", 2)
    assert head.out_field == (C4_LABELS if name == "equivariant" else None)


LAYERS_OF_HEADS = {
    "linear": lambda: [nn.Linear(32, 4)],
    "mlp": lambda: [nn.Linear(32, 2048), nn.Linear(2048, 4)],
    "equivariant": lambda: [SteerableLinear("c4", 8, 512), SteerableLinear("c4", 512, 1, bias=False)],
}


@pytest.mark.parametrize("name", LAYERS_OF_HEADS)
def test_a_head_draws_the_numbers_of_its_layers_in_their_order_and_no_others(name):
    """Runs are reproduced bit for bit."""
    torch.manual_seed(5)
    head = create_head(name, Regular("c4", 8), C4_LABELS)
    after = torch.rand(3)
    torch.manual_seed(5)
    expected = [value for layer in LAYERS_OF_HEADS[name]() for value in layer.state_dict().values()]
    assert torch.equal(torch.rand(3), after)
    assert all(map(torch.equal, head.state_dict().values(), expected))
    assert len(head.state_dict()) == len(expected)
