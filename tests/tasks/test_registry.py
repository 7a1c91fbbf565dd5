"""Every task has a name, and a wrong name is answered by the nearest."""

from __future__ import annotations

import re

import pytest

from eqmodels.tasks import PRESETS, Blur, FineRotation, Jigsaw, MultivariateTask, create_task, list_tasks
from eqmodels.tasks.blur import BLUR_BY_KERNEL, BLUR_BY_SIGMA

SIZES = {
    "horizontal_flip": 2,
    "vertical_flip": 2,
    "rotation": 4,
    "dihedral": 8,
    "grayscale": 2,
    "colour_inversion": 2,
    "jigsaw": 24,
    "blur": 4,
    "none": 1,
}
RULE = f"task must be one of {', '.join(sorted(SIZES))}, rotation<N>, or several joined by '+'"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_makes_the_task_of_that_name_with_as_many_labels_in_each_preset(preset):
    assert {name: create_task(name, preset=preset).num_labels for name in list_tasks()} == SIZES
    for name in list_tasks():
        assert create_task(name, preset=preset).name == name


@pytest.mark.parametrize("angles", [2, 7, 36])
def test_a_number_after_rotation_makes_it_fine(angles):
    task = create_task(f"rotation{angles}")
    assert isinstance(task, FineRotation)
    assert (task.name, task.num_labels) == (f"rotation{angles}", angles)


def test_a_sum_of_names_makes_them_all_with_the_same_options():
    task = create_task("jigsaw+grayscale+rotation6", preset="paper", to_rgb=True)
    assert isinstance(task, MultivariateTask)
    assert task.sizes == (24, 2, 6)
    assert task.tasks[0].gap == 0
    assert task.tasks[1].to_rgb


def test_the_presets():
    paper, fixed = (create_task("jigsaw", preset=preset) for preset in ("paper", "fixed"))
    assert isinstance(paper, Jigsaw)
    assert paper.spacing(32, 32) == (0, 0)
    assert fixed.spacing(32, 32) == (4, 4)
    paper, fixed = (create_task("blur", preset=preset) for preset in ("paper", "fixed"))
    assert isinstance(paper, Blur)
    assert paper.levels == BLUR_BY_KERNEL
    assert fixed.levels == BLUR_BY_SIGMA
    assert [level.kernel for level in paper.levels] == [1, 5, 9, 15]
    assert create_task("blur").levels == BLUR_BY_SIGMA


@pytest.mark.parametrize("name", ["grayscale", "colour_inversion"])
def test_grey_channels_are_repeated_only_if_asked_for(name):
    assert create_task(name, to_rgb=True).to_rgb
    assert not create_task(name).to_rgb


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "greyscale"},
            f"{RULE}; got 'greyscale'. Use 'grayscale', or import",
        ),
        ({"name": "rotations+jigsaw"}, f"{RULE}; got 'rotations'. Use 'rotation', or import"),
        ({"name": "xyz"}, f"{RULE}; got 'xyz'. Use 'blur', or import"),
        ({"name": "jigsaw+"}, f"{RULE}; got ''. Use 'blur', or import"),
        ({"name": "rotation1"}, "angles must lie in 2 .. 36; got 1."),
        ({"name": "blur", "preset": "papers"}, "preset must be one of fixed, paper; got 'papers'. Use 'fixed'."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_unknown_names_are_answered_by_the_nearest(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        create_task(**arguments)
