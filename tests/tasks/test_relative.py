"""The change between views is antisymmetric, additive, and zero between equal views."""

from __future__ import annotations

import math
import re

import pytest
import torch

from eqmodels.tasks import RelativeTarget, relative_target
from eqmodels.transforms import ViewParameters


def views(count: int, batch: int = 20) -> list[ViewParameters]:
    def uniform(low: float, high: float, columns: int) -> torch.Tensor:
        return torch.empty(batch, columns, dtype=torch.float64).uniform_(low, high)

    image_size = uniform(100, 200, 2)
    return [
        ViewParameters(
            image_size=image_size,
            crop=torch.cat([uniform(0, 50, 2), uniform(10, 50, 2)], dim=1),
            colour=torch.cat([uniform(0.6, 1.4, 3), uniform(-0.1, 0.1, 1)], dim=1),
            flipped=torch.rand(batch) < 0.5,
        )
        for _ in range(count)
    ]


def test_equal_views_have_not_changed():
    (view,) = views(1)
    target = relative_target(view, view)
    assert not target.numbers().any()
    assert not target.flip.any()


def test_exchanging_the_views_changes_the_sign():
    first, second = views(2)
    there, back = relative_target(first, second), relative_target(second, first)
    assert (there.numbers() != 0).all()
    torch.testing.assert_close(back.numbers(), -there.numbers(), rtol=0, atol=1e-14)
    assert torch.equal(back.flip, there.flip)  # each its own inverse
    assert 0 < int(there.flip.sum()) < 20


def test_changes_add_up():
    first, second, third = views(3)
    one, two, both = relative_target(first, second), relative_target(second, third), relative_target(first, third)
    torch.testing.assert_close(both.numbers(), one.numbers() + two.numbers(), rtol=0, atol=1e-14)
    assert torch.equal(both.flip, one.flip ^ two.flip)


def view(crop: list[float], colour: list[float], flipped: bool) -> ViewParameters:
    parts = ([[100.0, 200.0]], [crop], [colour])
    return ViewParameters(*(torch.tensor(part, dtype=torch.float64) for part in parts), torch.tensor([flipped]))


def test_the_units():
    first = view([10.0, 20.0, 40.0, 40.0], [1.0, 1.0, 1.0, 0.0], False)
    # The centre goes from (30, 40) to (40, 80): a tenth of the height down, a fifth of the width to the right.
    second = view([30.0, 40.0, 20.0, 80.0], [2.0, 0.5, 1.0, 0.25], True)
    target = relative_target(first, second)
    expected = RelativeTarget(
        offset=torch.tensor([[0.1, 0.2]], dtype=torch.float64),
        log_scale=torch.tensor([[-math.log(2), math.log(2)]], dtype=torch.float64),
        log_colour=torch.tensor([[math.log(2), -math.log(2), 0.0]], dtype=torch.float64),
        hue=torch.tensor([0.25], dtype=torch.float64),
        flip=torch.tensor([True]),
    )
    for part in ("offset", "log_scale", "log_colour", "hue"):
        torch.testing.assert_close(getattr(target, part), getattr(expected, part), rtol=0, atol=1e-14)
    torch.testing.assert_close(target.numbers(), expected.numbers(), rtol=0, atol=1e-14)
    assert target.flip.tolist() == [True]


def test_an_empty_batch_has_empty_targets():
    first, second = views(2, batch=0)
    assert relative_target(first, second).numbers().shape == (0, 8)


def test_views_of_different_images_are_refused():
    (first,), (second,) = views(1), views(1)
    with pytest.raises(
        ValueError, match=r"^first and second must be views of the same raw images; .* image_size\. Pass"
    ):
        relative_target(first, second)


@pytest.mark.parametrize(
    ("crop", "colour", "message"),
    [
        (
            [0.0, 0.0, 0.0, 5.0],
            [1.0, 1.0, 1.0, 0.0],
            "the height and width of crop must be positive, as their ratios are compared; got 0. Clamp them to a small",
        ),
        (
            [0.0, 0.0, 5.0, 5.0],
            [1.0, -0.5, 1.0, 0.0],
            "the factors of brightness, contrast and saturation in colour must be positive, as their ratios are "
            "compared; got -0.5. Clamp",
        ),
        (
            [0.0, 0.0, 5.0],
            [1.0, 1.0, 1.0, 0.0],
            "crop must have the shape (1, 4), a row for each of the 1 flags; got (1,",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_parameters_are_answered_in_one_sentence(crop, colour, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        view(crop, colour, False)
