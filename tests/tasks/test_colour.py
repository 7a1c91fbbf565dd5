"""Tasks about colour change values and not places, and refuse images that have no colour."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.tasks import ColourInversion, Grayscale

TASKS = [Grayscale, ColourInversion]


def test_label_1_of_grayscale_is_the_luma_in_all_channels():
    x = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    weights = torch.tensor([0.2989, 0.587, 0.114], dtype=torch.float64)
    luma = torch.einsum("c,bchw->bhw", weights, x)[:, None].expand_as(x)
    torch.testing.assert_close(Grayscale().transform(x, 1, None), luma)


def test_inversion_is_an_action_of_order_2():
    x, task = torch.rand(2, 3, 5, 4, dtype=torch.float64), ColourInversion()
    once = task.transform(x, 1, None)
    assert torch.equal(once, 1 - x)
    torch.testing.assert_close(task.transform(once, 1, None), x)
    assert task.group is None


@pytest.mark.parametrize("task", TASKS)
def test_label_0_is_the_identity(task):
    x = torch.rand(2, 3, 5, 4)
    assert torch.equal(task().apply(x, torch.tensor([0, 0])), x)


@pytest.mark.parametrize("task", TASKS)
def test_mixed_labels_are_applied_to_their_own_images(task):
    x, labels = torch.rand(4, 3, 5, 4), torch.tensor([1, 0, 0, 1])
    transformed = task().apply(x, labels)
    for i, label in enumerate(labels.tolist()):
        torch.testing.assert_close(transformed[i : i + 1], task().transform(x[i : i + 1], label, None))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [0, 1]], ids=str)
def test_a_grey_channel_is_repeated_for_both_labels_if_asked_for(task, labels):
    x = torch.rand(2, 1, 5, 4)
    transformed = task(to_rgb=True).apply(x, torch.tensor(labels))
    assert transformed.shape == (2, 3, 5, 4)
    for i, label in enumerate(labels):
        expected = 1 - x[i] if label and task is ColourInversion else x[i]
        assert torch.equal(transformed[i], expected.expand(3, -1, -1))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("to_rgb", [False, True])
def test_colour_images_do_not_depend_on_to_rgb(task, to_rgb):
    x, labels = torch.rand(2, 3, 5, 4), torch.tensor([0, 1])
    assert torch.equal(task(to_rgb=to_rgb).apply(x, labels), task().apply(x, labels))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("channels", "to_rgb"), [(1, False), (2, False), (4, True)])
@pytest.mark.parametrize("labels", [[0, 0], [0, 1]], ids=str)
def test_images_without_colour_are_refused_whatever_the_label(task, channels, to_rgb, labels):
    message = f"{task.name} is a task about colour and needs images of 3 channels; got {channels}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        task(to_rgb=to_rgb).apply(torch.rand(2, channels, 5, 4), torch.tensor(labels))
