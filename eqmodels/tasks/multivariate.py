"""Several tasks at once, each with a label of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.groups import PlanarGroup
from eqmodels.tasks.task import Task, check_images

__all__ = ["MultivariateTask", "indistinct_labels"]


class MultivariateTask(Task):
    """Which transformation of *each* task was applied? Labels are rows, one column a task.

    The tasks are applied in the order given, so later ones see what earlier ones made of the image. Multivariate tasks
    among them are taken apart.

    Two rows of labels must not stand for one transformation, or they could not be told apart. This is checked for the
    tasks that move the image by elements of groups, by their products in the smallest group that has them all: turns
    and one flip are the eight elements of D4, each once, whereas turns and *both* flips make each of them twice.
    (Tiles of a jigsaw in between change nothing: their content shows how they were moved.)

    Args:
        tasks: at least one, of different names.

    Attributes:
        tasks: the components.
        sizes: the number of labels of each.
        num_labels: the product of `sizes`: the number of joint labels, see `joint`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no task, one comes twice, or the labels are ambiguous.

    Source: "multivariate equivariance" of Wang et al. 2024, arXiv 2411.06508.
    """

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        check_arguments(MultivariateTask, locals())
        self.tasks: tuple[Task, ...] = tuple(part for task in tasks for part in task.components)
        names = [task.name for task in self.tasks]
        if not names:
            raise ValueError("tasks must hold at least one task; got none. Use NoTask() to predict nothing.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"every task may come once; got {', '.join(twice)} more than once in {', '.join(names)}. "
                "Leave out the rest."
            )
        _check_distinct(tuple(task for task in self.tasks if task.group is not None))
        self.name = "+".join(names)
        self.sizes = tuple(task.num_labels for task in self.tasks)
        self.num_labels = math.prod(self.sizes)

    @property
    def components(self) -> tuple[Task, ...]:
        """`tasks`."""
        return self.tasks

    def sample(self, batch: int, generator: torch.Generator | None = None) -> Int[Tensor, "B K"]:
        """Uniform and independent labels, one column a task.

        Args:
            batch: number of images.
            generator: a generator on the CPU; None for the global one.
        """
        return torch.stack([task.sample(batch, generator) for task in self.tasks], dim=1)

    def joint(self, labels: Int[Tensor, "B K"]) -> Int[Tensor, " B"]:
        """The rows as single labels 0 .. num_labels - 1, in lexicographic order."""
        joint = labels.new_zeros(len(labels))
        for size, column in zip(self.sizes, labels.unbind(1), strict=True):
            joint = joint * size + column
        return joint

    def apply(
        self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, "B K"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C2 H2 W2"]:
        """Every image transformed by all tasks in turn, as its row of labels says.

        Args:
            images: values in [0, 1].
            labels: as `sample` draws them.
            generator: a generator on the CPU, for what is random beside the label; None for the global one.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if there is not one row of labels an image, a label is out of range, or the images do not suit.
        """
        check_images(images)
        if labels.shape != (len(images), len(self.tasks)):
            raise ValueError(
                f"{self.name} needs labels of the shape ({len(images)}, {len(self.tasks)}), a row an image and a "
                f"column a task; got {tuple(labels.shape)}. Draw them with task.sample(len(images))."
            )
        for task, column in zip(self.tasks, labels.unbind(1), strict=True):
            images = task.apply(images, column, generator)
        return images

    def check(self, images: Float[Tensor, "B C H W"]) -> None:
        """Raises a `ValueError` if a component cannot be asked about what earlier ones make of such images."""
        empty = images[:0]
        for task in self.tasks:
            task.check(empty)
            empty = task.transform(empty, 0, None)

    def transform(
        self, images: Float[Tensor, "B C H W"], label: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B C2 H2 W2"]:
        """The transformation of one *joint* label, applied to all images."""
        row = torch.stack(torch.unravel_index(torch.tensor(label, device="cpu"), self.sizes))
        return self.apply(images, row.expand(len(images), -1), generator)


def indistinct_labels(
    tasks: Sequence[Task], *, flipped: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Two rows of labels after which an image may look the same; None if all can be told apart.

    Args:
        tasks: in the order in which they move the image; those that are no group action are left out.
        flipped: whether every other image is flipped left to right before all tasks, which no label says.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(indistinct_labels, locals())
    moving = [(task, task.group) for task in tasks if task.group is not None]
    if not moving:
        return None
    common = PlanarGroup(
        math.lcm(*(group.rotations for _, group in moving)), flipped or any(group.reflections for _, group in moving)
    )
    before = (common.identity, common.rotations) if flipped else (common.identity,)
    seen: dict[int, tuple[int, ...]] = {}
    for labels in product(*(range(task.num_labels) for task, _ in moving)):
        for start in before:
            moved = start
            for (task, group), label in zip(moving, labels, strict=True):
                moved = common.compose(common.embed(group, task.elements[label]), moved)
            if moved in seen:
                return seen[moved], labels
            seen[moved] = labels
    return None


def _check_distinct(tasks: tuple[Task, ...]) -> None:
    """Raises a `ValueError` if two choices of one element a task have the same product."""
    if (pair := indistinct_labels(tasks)) is not None:
        raise ValueError(
            f"the labels of {', '.join(task.name for task in tasks)} are ambiguous together: {pair[0]} and {pair[1]} "
            "move every image alike. Leave one of them out."
        )
