"""Tasks that move the image by an element of a planar group: flips and turns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.groups import PlanarGroup
from eqmodels.tasks.registry import register_task
from eqmodels.tasks.task import Task

__all__ = ["FineRotation", "GroupTask", "dihedral", "horizontal_flip", "rotation", "vertical_flip"]


class GroupTask(Task):
    """Which element of a group moved the image? Label ``a`` applies ``elements[a]``.

    Args:
        name: what the task is called.
        group: a `PlanarGroup` or its name.
        elements: a subgroup as elements of the group, the identity first; None for the whole group.
        circular: whether everything outside the inscribed circle is zeroed, for all labels alike.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the elements are no subgroup, or the images are not square and would be turned by a quarter.
    """

    def __init__(
        self,
        name: str,
        group: PlanarGroup | str,
        elements: tuple[int, ...] | None = None,
        *,
        circular: bool = False,
    ) -> None:
        check_arguments(GroupTask, {"name": name, "elements": elements, "circular": circular})
        self.name, self.circular = name, circular
        self.group: PlanarGroup = PlanarGroup.parse(group)
        self.elements = tuple(self.group.elements) if elements is None else elements
        self.group.cosets(self.elements)  # raises if they are no subgroup
        self.num_labels = len(self.elements)

    def check(self, images: Float[Tensor, "B C H W"]) -> None:
        """Raises a `ValueError` if the images do not keep their shape."""
        height, width = images.shape[-2:]
        if height != width and any(self.group.degrees(g) % 180 for g in self.elements):
            raise ValueError(
                f"{self.name} turns images by angles that are no half turns, so they must be square; got {height} x "
                f"{width}. Crop or resize them first."
            )

    def transform(
        self,
        images: Float[Tensor, "B C H W"],
        label: int,
        generator: torch.Generator | None,  # noqa: ARG002
    ) -> Float[Tensor, "B C H W"]:
        """Every image moved by the element of the label."""
        g = self.elements[label]
        if g == self.group.identity and not self.circular:
            return images
        return self.group.act(g, images, circular=self.circular)


@register_task("horizontal_flip")
def horizontal_flip() -> GroupTask:
    """Is the image flipped left to right? Two labels."""
    return GroupTask("horizontal_flip", "d1")


@register_task("vertical_flip")
def vertical_flip() -> GroupTask:
    """Is the image flipped upside down? Two labels, a subgroup of D2: its flip is a left-right flip and a half turn."""
    d2 = PlanarGroup.parse("d2")
    upside_down = next(g for g in d2.elements if d2.reflected(g) and d2.degrees(g) == 180)
    return GroupTask("vertical_flip", d2, (d2.identity, upside_down))


@register_task("rotation")
def rotation(*, number: int | None = None) -> GroupTask:
    """By how many quarter turns is the image turned? Four labels; or by which multiple of 360 / `number` degrees.

    Args:
        number: of angles, for a `FineRotation`; None for quarter turns of the whole image.

    Source: Gidaris et al. 2018, arXiv 1803.07728.
    """
    return GroupTask("rotation", "c4") if number is None else FineRotation(number)


@register_task("dihedral")
def dihedral() -> GroupTask:
    """By which of the eight quarter turns and flips is the image moved?"""
    return GroupTask("dihedral", "d4")


class FineRotation(GroupTask):
    """By which multiple of 360 / N degrees is the image turned? Seen through a circle, so that corners tell nothing.

    Angles that are no quarter turns are sampled bilinearly, which softens the image: the Laplacian's energy halves on
    Fashion-MNIST at 45 degrees, and a network could read the label off the sharpness. Where there are such angles,
    quarter turns are softened as much on average, by the three-point kernel of variance 1/6 (the mean of ``u (1 - u)``
    over the offsets ``0 <= u <= 1`` between pixels): the energies then lie between 0.93 and 1.11 of the quarter turns'.

    Args:
        angles: N, from 2 to 36.

    Raises:
        TypeError: if N is not an integer.
        ValueError: if it is out of range, or the images are not square.
    """

    def __init__(self, angles: int = 8) -> None:
        if isinstance(angles, bool) or not isinstance(angles, int):
            raise TypeError(f"angles must be an integer from 2 to 36; got {shown(angles)}. Pass, say, 8.")
        if not 2 <= angles <= 36:
            raise ValueError(f"angles must lie in 2 .. 36; got {shown(angles)}. Pass, say, 8.")
        super().__init__(f"rotation{angles}", PlanarGroup(angles), circular=True)

    def transform(
        self, images: Float[Tensor, "B C H W"], label: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B C H W"]:
        """Every image turned by the angle of the label, seen through a circle, and softened as all labels are."""
        resampled = not all(self.group.is_exact(g) for g in self.elements)
        if resampled and self.group.is_exact(self.elements[label]):
            images = _softened(images)
        return super().transform(images, label, generator)


def _softened(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Images blurred as much as bilinear sampling between pixels does on average, zeros outside."""
    line = images.new_tensor([1.0, 10.0, 1.0]) / 12
    planes = F.conv2d(images.flatten(0, 1)[:, None], (line[:, None] * line)[None, None], padding=1)
    return planes.view(images.shape)
