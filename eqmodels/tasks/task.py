"""What an E-SSL task is: a transformation of the image, and labels that say which one was applied."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup

__all__ = ["Task", "check_colour", "check_images"]


class Task(ABC):
    """A transformation ``X = T(X_raw, A)`` whose label A is uniform and independent of the image.

    A network that learns to tell A from X learns features Z with a large ``I(A; Z)``: ``log(num_labels)`` minus its
    held-out cross-entropy is a lower bound of it, in nats.

    Source: Wang et al. 2024, arXiv 2411.06508.

    Attributes:
        name: what the task is called.
        num_labels: the number of transformations, at least 1.
        group: the group that the transformations belong to; None if they are no group action.
        elements: of a group action, the element of `group` that every label applies, the identity first. They are
            closed under products; all of the group's, unless the task is a subgroup such as the vertical flip's.
    """

    name: str
    num_labels: int
    group: PlanarGroup | None = None
    elements: tuple[int, ...] = ()

    @property
    def components(self) -> tuple[Task, ...]:
        """The tasks that have a label, and a head, of their own: itself, unless it is made of several."""
        return (self,)

    @property
    def label_field(self) -> Field:
        """What the logits of a head for this task mean: one an element of the group, which permute, or scalars."""
        return Scalars(self.num_labels) if self.group is None else Regular(self.group, 1, self.elements)

    def sample(self, batch: int, generator: torch.Generator | None = None) -> Int[Tensor, " B *tasks"]:
        """Uniform labels, one an image.

        Args:
            batch: number of images.
            generator: a generator on the CPU; None for the global one.
        """
        return torch.randint(self.num_labels, (batch,), generator=generator, device="cpu")

    def apply(
        self,
        images: Float[Tensor, "B C H W"],
        labels: Int[Tensor, " B *tasks"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B C2 H2 W2"]:
        """Every image transformed as its label says.

        Args:
            images: values in [0, 1].
            labels: as `sample` draws them.
            generator: a generator on the CPU, for what is random beside the label; None for the global one.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if there is not one label an image, a label is out of range, or the images do not suit the task.
        """
        self.check_labels(images, labels)
        self.check(images)
        present = labels.unique().tolist()
        if len(present) <= 1:
            # An empty batch has no label, but its transformed images have a shape.
            return self.transform(images, present[0] if present else 0, generator)
        transformed: Tensor | None = None
        for label in present:
            chosen = (labels == label).nonzero().squeeze(1).to(images.device)
            result = self.transform(images[chosen], label, generator)
            if transformed is None:
                transformed = result.new_empty(len(images), *result.shape[1:])
            transformed[chosen] = result
        assert transformed is not None
        return transformed

    def check_labels(self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, " B *tasks"]) -> None:
        """Raises unless the images are a batch in floating point and there is one label in range for each.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they are no batch, if there is not one label an image, or if a label is out of range.
        """
        check_images(images)
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"{self.name} needs one label an image; got {len(images)} images and labels of the shape "
                f"{tuple(labels.shape)}. Draw them with task.sample(len(images))."
            )
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_labels:
            raise ValueError(
                f"labels of {self.name} lie in 0 .. {self.num_labels - 1}; got {int(labels.min())} .. "
                f"{int(labels.max())}. Draw them with task.sample(len(images))."
            )

    def check(self, images: Float[Tensor, "B C H W"]) -> None:  # noqa: B027 (most tasks take any image)
        """Raises a `ValueError` if the task cannot be asked about such images."""

    @abstractmethod
    def transform(
        self, images: Float[Tensor, "B C H W"], label: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B C2 H2 W2"]:
        """The transformation of one label, applied to all images; may return the images themselves."""


def check_images(images: Tensor) -> None:
    """Raises unless a tensor is a batch of images in floating point.

    Raises:
        TypeError: if it is not floating point.
        ValueError: if it does not have four axes.
    """
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point with values in [0, 1]; got {images.dtype}. "
            "Convert bytes with images.float() / 255."
        )
    if images.dim() != 4:
        raise ValueError(
            f"images must have the shape (batch, channels, height, width); got {tuple(images.shape)}. "
            "Add a missing batch axis with images[None]."
        )


def check_colour(task: str, images: Tensor, to_rgb: bool) -> None:
    """Raises a `ValueError` if a task about colour is asked of images that have none.

    Args:
        task: the task's name.
        images: ``(B, C, H, W)``.
        to_rgb: whether the task repeats a grey channel three times by itself.
    """
    if images.shape[1] == 3 or (images.shape[1] == 1 and to_rgb):
        return
    raise ValueError(
        f"{task} is a task about colour and needs images of 3 channels; got {images.shape[1]}. "
        "Give them colours with eqmodels.data.coloured() (--coloured), pass to_rgb=True (--to-rgb) to repeat a grey "
        "channel three times, or choose a task such as 'rotation'."
    )
