"""Several tasks at once: a column of labels each, applied in turn, and no two rows for one transformation."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.groups import PlanarGroup
from eqmodels.tasks import Grayscale, GroupTask, Jigsaw, MultivariateTask, NoTask, create_task

CLEAR = [
    "horizontal_flip+vertical_flip",
    "rotation+horizontal_flip",
    "vertical_flip+rotation",
    "rotation3+horizontal_flip+jigsaw",
    "rotation3+rotation4",
    "dihedral+blur+grayscale+colour_inversion",
]
AMBIGUOUS = [
    ("rotation", "horizontal_flip", "vertical_flip"),
    ("rotation", "rotation2"),
    ("rotation4", "rotation6"),
    ("dihedral", "horizontal_flip"),
    ("horizontal_flip", "jigsaw", "vertical_flip", "rotation2"),
]


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, dtype=torch.float64)


def multivariate(*names: str) -> MultivariateTask:
    return MultivariateTask(tuple(create_task(name) for name in names))


def test_components_are_applied_in_order_with_their_columns():
    task, x = multivariate("rotation", "horizontal_flip", "grayscale"), images()
    labels = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [3, 1, 1], [2, 0, 1]])
    expected = x
    for part, column in zip(task.tasks, labels.T, strict=True):
        expected = part.apply(expected, column)
    assert torch.equal(task.apply(x, labels), expected)
    # A turn before a flip is not a flip before a turn.
    assert torch.equal(task.apply(x, labels)[3], x[3].rot90(1, (-2, -1)).flip(-1))


def test_sizes_and_num_labels():
    task = multivariate("rotation", "jigsaw", "none")
    assert task.name == "rotation+jigsaw+none"
    assert task.sizes == (4, 24, 1)
    assert task.num_labels == 96
    assert task.sample(5).shape == (5, 3)
    assert task.group is None


def test_columns_are_independent():
    labels = multivariate("horizontal_flip", "rotation").sample(8000, torch.Generator().manual_seed(0))
    counts = (labels[:, 0] * 4 + labels[:, 1]).bincount(minlength=8)
    assert (counts - 1000).abs().max() < 120


def test_joint_labels_count_the_rows_in_lexicographic_order():
    task = multivariate("horizontal_flip", "rotation", "grayscale")
    rows = torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(2))
    assert task.joint(rows).tolist() == list(range(task.num_labels))
    x = images(1)
    for label, row in enumerate(rows):
        assert torch.equal(task.transform(x, label, None), task.apply(x, row[None]))


def test_nested_tasks_are_taken_apart():
    inner = MultivariateTask((multivariate("rotation", "horizontal_flip"), Grayscale()))
    outer = MultivariateTask((inner, Jigsaw()))
    assert [task.name for task in outer.tasks] == ["rotation", "horizontal_flip", "grayscale", "jigsaw"]
    assert outer.sizes == (4, 2, 2, 24)
    assert outer.components == outer.tasks
    assert all(task.components == (task,) for task in outer.tasks)


@pytest.mark.parametrize("name", CLEAR)
def test_clear_sets_move_an_image_in_as_many_ways_as_they_have_rows(name):
    task = create_task(name)
    parts = [part for part in task.tasks if part.group is not None]
    moved, x = MultivariateTask(tuple(parts)), images(1)
    results = [moved.transform(x, label, None).flatten() for label in range(moved.num_labels)]
    assert (torch.pdist(torch.stack(results)) > 1e-3).all()


@pytest.mark.parametrize("names", AMBIGUOUS, ids="+".join)
def test_ambiguous_sets_are_refused_and_the_rows_named_move_an_image_alike(names):
    geometric = [name for name in names if name != "jigsaw"]
    start = f"the labels of {', '.join(geometric)} are ambiguous together: ("
    with pytest.raises(ValueError, match=f"^{re.escape(start)}.* move every image alike. Leave one of them out.$") as e:
        multivariate(*names)
    rows = [tuple(map(int, row.split(", "))) for row in re.findall(r"\(([\d, ]+)\)", str(e.value))]
    first, second = (_moved(geometric, row) for row in rows)
    assert rows[0] != rows[1]
    torch.testing.assert_close(first, second, rtol=0, atol=0.35)  # interpolation, see below
    if all(create_task(name).group.is_exact(g) for name in geometric for g in create_task(name).elements):
        assert torch.equal(first, second)


def _moved(names: list[str], row: tuple[int, ...]) -> torch.Tensor:
    """A smooth image moved by the tasks' elements."""
    axis = torch.linspace(-1, 1, 32, dtype=torch.float64)
    x = torch.exp(-4 * ((axis[:, None] - 0.3) ** 2 + 2 * (axis + 0.2) ** 2))[None, None]
    for name, label in zip(names, row, strict=True):
        x = create_task(name).transform(x, label, None)
    return x


def test_a_subgroup_that_misses_the_other_elements_is_clear():
    """Only products count: the half turns of C4 and its three-fold turns of C3 never meet."""
    half = GroupTask("half_turn", "c4", (0, 2))
    assert MultivariateTask((half, GroupTask("thirds", PlanarGroup(3)))).num_labels == 6
    with pytest.raises(ValueError, match="ambiguous together"):
        MultivariateTask((half, GroupTask("another", "c2")))


def test_the_rows_named_are_applied_in_the_order_of_the_tasks():
    """A left-right flip and then a quarter turn is the flip about a diagonal; the other way round, about the other."""
    diagonal = GroupTask("diagonal", "d4", (0, 5))
    with pytest.raises(ValueError, match=r"ambiguous together: \(0, 1, 1\) and \(1, 0, 0\) move every image alike"):
        MultivariateTask((diagonal, create_task("horizontal_flip"), create_task("rotation")))
    x = images(1)
    assert torch.equal(diagonal.transform(x, 1, None), x.flip(-1).rot90(1, (-2, -1)))


def test_a_grey_channel_repeated_by_one_component_reaches_the_next():
    task = MultivariateTask((Grayscale(to_rgb=True), create_task("colour_inversion")))
    grey = torch.rand(2, 1, 8, 8)
    task.check(grey)
    assert task.apply(grey, torch.tensor([[0, 1], [1, 0]])).shape == (2, 3, 8, 8)


def test_check_asks_every_component():
    with pytest.raises(ValueError, match=r"^grayscale is a task about colour"):
        create_task("rotation+grayscale").check(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"^jigsaw cuts images"):
        create_task("grayscale+jigsaw").check(torch.rand(2, 3, 8, 7))


def test_check_draws_nothing():
    x = images(2)
    before = torch.get_rng_state()
    create_task("jigsaw+blur", preset="paper").check(x)
    create_task("jigsaw+blur", preset="fixed").check(x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MultivariateTask(()), "tasks must hold at least one task; got none. Use NoTask() to predict nothing."),
        (
            lambda: multivariate("blur", "jigsaw", "blur"),
            "every task may come once; got blur more than once in blur, jigsaw, blur. ",
        ),
        (
            lambda: MultivariateTask((multivariate("none", "jigsaw"), NoTask())),
            "every task may come once; got none more than once in none, jigsaw, none. ",
        ),
        (
            lambda: multivariate("none", "blur").apply(images(2), torch.zeros(2, dtype=torch.long)),
            "none+blur needs labels of the shape (2, 2), a row an image and a column a task; got (2,). Draw them with",
        ),
        (
            lambda: multivariate("none", "blur").apply(images(2), torch.tensor([[0, 1], [0, 4]])),
            "labels of blur lie in 0 .. 3; got 1 .. 4. Draw them with",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build()
