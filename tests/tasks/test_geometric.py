"""Tasks that move the image are actions of groups: label a applies element a, and two labels their product."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.data import load_data
from eqmodels.groups import PlanarGroup, circular_mask
from eqmodels.tasks import FineRotation, GroupTask, create_task

EXACT = ["horizontal_flip", "vertical_flip", "rotation", "dihedral", "rotation2", "rotation4"]
FINE = ["rotation3", "rotation8", "rotation12"]


def images(count: int = 3, *, size: int = 9) -> torch.Tensor:
    return torch.rand(count, 2, size, size, dtype=torch.float64)


@pytest.mark.parametrize("name", EXACT)
def test_label_a_applies_element_a(name):
    task, x = create_task(name), images()
    for label, g in enumerate(task.elements):
        assert torch.equal(task.transform(x, label, None), task.group.act(g, x, circular=task.circular))


@pytest.mark.parametrize("name", FINE)
def test_label_a_of_a_fine_rotation_applies_element_a_to_softened_images_at_quarter_turns(name):
    task, x = create_task(name), images()
    kernel = torch.tensor([1.0, 10.0, 1.0], dtype=torch.float64) / 12
    soft = torch.nn.functional.conv2d(x.flatten(0, 1)[:, None], torch.outer(kernel, kernel)[None, None], padding=1)
    for label, g in enumerate(task.elements):
        source = soft.view_as(x) if task.group.is_exact(g) else x
        expected = task.group.act(g, source, circular=True)
        torch.testing.assert_close(task.transform(x, label, None), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("angles", [8, 12, 36])
def test_sharpness_does_not_tell_quarter_turns_from_other_angles(angles):
    """On real images: the energy of the Laplacian away from the border, which bilinear sampling alone would halve."""
    task, x = FineRotation(angles), load_data("fashion_mnist_mini", "test").pixels(slice(0, 300))
    laplacian = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])[None, None]

    def energy(label: int) -> float:
        turned = task.transform(x, label, None)[..., 6:22, 6:22]
        return float(torch.nn.functional.conv2d(turned, laplacian).square().mean())

    energies = [energy(label) for label in range(angles // 4 + 1)]
    assert max(energies) < 1.2 * min(energies)


@pytest.mark.parametrize("name", EXACT)
def test_two_labels_applied_are_their_product_applied(name):
    task, x = create_task(name), images()
    for first, g in enumerate(task.elements):
        once = task.transform(x, first, None)
        for second, h in enumerate(task.elements):
            product = task.elements.index(task.group.compose(h, g))  # of a closed set
            assert torch.equal(task.transform(once, second, None), task.transform(x, product, None))


@pytest.mark.parametrize("angles", [8, 12])
def test_a_quarter_more_is_a_quarter_turn_of_the_transformed_image(angles):
    task, x = FineRotation(angles), images()
    for label in range(angles):
        for turns in range(4):
            quarter = turns * angles // 4
            turned = torch.rot90(task.transform(x, label, None), turns, (-2, -1))
            expected = task.transform(x, (label + quarter) % angles, None)
            torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
def test_label_0_is_the_identity_or_the_mask_alone(name):
    task, x = create_task(name), images()
    mask = circular_mask(9, 9).double() if task.circular else 1
    assert torch.equal(task.apply(x, torch.zeros(3, dtype=torch.long)), x * mask)


@pytest.mark.parametrize("name", FINE)
def test_corners_of_a_fine_rotation_tell_nothing(name):
    task = create_task(name)
    outside = circular_mask(9, 9) == 0
    for label in range(task.num_labels):
        assert not task.transform(images() + 1, label, None)[..., outside].any()


def test_the_named_flips_and_turns():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    for name, moved in {
        "horizontal_flip": [[2.0, 1.0], [4.0, 3.0]],
        "vertical_flip": [[3.0, 4.0], [1.0, 2.0]],
        "rotation": [[2.0, 4.0], [1.0, 3.0]],
    }.items():
        assert create_task(name).transform(image, 1, None)[0, 0].tolist() == moved


@pytest.mark.parametrize("name", EXACT)
def test_the_elements_of_a_task_are_a_subgroup(name):
    task = create_task(name)
    assert task.elements[0] == task.group.identity
    assert len(task.elements) == task.num_labels
    assert {task.group.inverse(g) for g in task.elements} == set(task.elements)


def test_the_whole_group_unless_told():
    assert create_task("dihedral").elements == tuple(range(8))
    assert create_task("vertical_flip").group == PlanarGroup(2, True)
    half_turn = GroupTask("half_turn", "c4", (0, 2))
    assert torch.equal(half_turn.transform(x := images(), 1, None), x.flip(-1, -2))


def test_flips_and_half_turns_of_rectangles():
    x = torch.rand(4, 1, 3, 5)
    for task in (create_task("vertical_flip"), create_task("rotation2"), GroupTask("half_turn", "c4", (0, 2))):
        assert task.apply(x, torch.tensor([0, 1, 1, 0])).shape == x.shape


@pytest.mark.parametrize("name", ["rotation", "dihedral", "rotation8"])
def test_rectangles_are_not_turned(name):
    message = (
        f"{name} turns images by angles that are no half turns, so they must be square; got 3 x 5. "
        "Crop or resize them first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        create_task(name).apply(torch.rand(2, 1, 3, 5), torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("angles", "error", "message"),
    [
        (1, ValueError, "angles must lie in 2 .. 36; got 1. Pass, say, 8."),
        (37, ValueError, "angles must lie in 2 .. 36; got 37. Pass, say, 8."),
        (True, TypeError, "angles must be an integer from 2 to 36; got True. Pass, say, 8."),
        (4.0, TypeError, "angles must be an integer from 2 to 36; got 4.0. Pass, say, 8."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_an_impossible_number_of_angles_is_refused(angles, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        FineRotation(angles)


def test_elements_that_are_no_subgroup_are_refused():
    with pytest.raises(ValueError, match=r"^elements must be a subgroup of C4, .* got \(0, 1\)\."):
        GroupTask("broken", "c4", (0, 1))
