"""The orbit of an image under a group, seen by any network: regular features of what knows nothing of the group."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.outputs import maps_of
from eqmodels.backbones.checkpointing import recomputed
from eqmodels.checks import check_count, check_maps, is_open
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers.open_sizes import has_open_size
from eqmodels.layers.scripting import NotScriptable

__all__ = ["Orbit", "check_exact", "in_format_of", "is_square", "resized"]

ON_PROCESSOR = 16
"""Images in a batch from which on larger ones are no faster on a processor: of a ResNet-18, an EfficientNet-Lite0 and a
small vision transformer, at 96 and 224 pixels."""

torch.fx.wrap("check_maps")
torch.fx.wrap("in_format_of")


class Orbit(NotScriptable):
    """A network asked about every moved copy of its images, and its answers moved back: a regular feature map.

    ``(B, C, H, W) -> (B, |G| F, h, w)``, group-major, with ``f_h(x) = h N(h^-1 x)`` for a network N, where h moves the
    pixels of maps; vectors are maps of one pixel. So, whatever N is, ``f_h(g x) = g f_{g^-1 h}(x)``: the maps turn with
    the image and their fibre permutes, as those of `SteerableConv2d` do. It is the lifting by which Basu et al. 2023
    (arXiv 2210.06475) make a network equivariant, and costs ``|G|`` passes of it.

    Copies of one shape are one batch, so of images whose sides differ, of which quarter turns have another shape, there
    are two. On a processor in eval mode a batch has `ON_PROCESSOR` copies at most, or one of each image, which takes
    half of the time or less where batches are large; nothing but rounding hangs on it. In train mode batch statistics
    are those of each batch.

    Args:
        network: from images ``(B, C, H, W)`` to vectors ``(B, F)`` or maps ``(B, F, h, w)``, see `maps_of`; a module or
            a function.
        group: whose elements permute pixels, C1, C2, C4, D1, D2 or D4, or its name.
        fields: F.
        size: height and width of the images that a network takes which takes no others: images of other sizes are
            resampled before, which commutes with the group; None for a network of any size.
        at_a_time: copies of each image in one batch, which bounds the memory; None for what is said above.
        drawn: copies, drawn anew at each call, that the network is asked about in train mode; the features of the
            others are the mean of theirs, so that mean and maximum over the fibre are those of the drawn ones. None for
            all.

    Raises:
        TypeError: if the network cannot be called, or a count is no integer.
        ValueError: if an element of the group permutes no pixels, or a count is below 1 or above the group's order.
    """

    def __init__(
        self,
        network: Callable[[Tensor], object],
        group: PlanarGroup | str,
        fields: int,
        *,
        size: tuple[int, int] | None = None,
        at_a_time: int | None = None,
        drawn: int | None = None,
    ) -> None:
        super().__init__()
        if not callable(network):
            raise TypeError(f"network must be a module or a function of images; got {shown(network)}. Pass one.")
        self.group = check_exact(group)
        self.fields = check_count("fields", fields)
        for name, count in (("at_a_time", at_a_time), ("drawn", drawn)):
            if count is not None and check_count(name, count) > self.group.order:
                raise ValueError(
                    f"{name} must be at most {self.group.order}, the number of elements of {self.group}; got {count}. "
                    "Leave it out for all."
                )
        self.network, self.size, self.at_a_time, self.drawn = network, size, at_a_time, drawn
        self.recompute = False

    def output_field(self, field: Field) -> Regular:  # noqa: ARG002 (images, whose channels nothing moves)
        """Regular fields of the group, whatever the network does."""
        return Regular(self.group, self.fields)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B GF h w"]:
        """The regular maps of the orbit.

        Raises:
            TypeError: if the images are not floating point, or the network returns something else than a tensor.
            ValueError: if they have another rank, or the network returns another number of channels than `fields`, or
                maps that do not fit together.
        """
        chosen = list(self.group.elements)
        if self.drawn is not None and self.training:
            chosen = sorted(torch.randperm(self.group.order)[: self.drawn].tolist())
        images = resized(check_maps(images), self.size)
        found: dict[int, Tensor] = {}
        for part in self.batches(chosen, square=is_square(images), most=self._most(images)):
            found |= zip(part, self._answers(part, images), strict=True)
        self._check_fitting([found[h] for h in chosen])
        if len(chosen) < self.group.order:
            mean = torch.stack(list(found.values())).mean(0)
            found = {h: found.get(h, mean) for h in self.group.elements}
        return torch.cat([found[h] for h in self.group.elements], dim=1)

    def weighted(self, images: Float[Tensor, "B C H W"], weights: Float[Tensor, "B G"]) -> Float[Tensor, "B F h w"]:
        """The weighted mean of the answers, of which those that count for nothing are not asked for.

        Args:
            images: as in `forward`.
            weights: of every image and element, not negative.
        """
        images = resized(images, self.size)
        counting = weights > 0
        total: Tensor | None = None
        counted = [h for h in self.group.elements if counting[:, h].any()]
        for part in self.batches(counted, square=is_square(images), most=self._most(images)):
            rows = [counting[:, h].nonzero()[:, 0] for h in part]
            moved = [self.group.act(self.group.inverse(h), images[row]) for h, row in zip(part, rows, strict=True)]
            copies = in_format_of(images, torch.cat(moved))
            answers = maps_of(self.network(copies), len(copies)).split([len(row) for row in rows])
            for h, row, maps in zip(part, rows, answers, strict=True):
                back = maps if maps.shape[-2:] == (1, 1) else self.group.act(h, maps)
                total = back.new_zeros(len(images), *back.shape[1:]) if total is None else total
                self._check_fitting([total, back])
                total = total.index_add(0, row, back * weights[row, h, None, None, None].to(back.dtype))
        assert total is not None
        return total

    def batches(self, chosen: list[int], *, square: bool, most: int | None = None) -> list[list[int]]:
        """Elements whose copies are one batch: of one shape, and not more than at a time.

        Args:
            chosen: elements.
            square: whether all copies have one shape.
            most: copies of each image in a batch, if the orbit itself has no number; None for all.
        """
        upright = [h for h in chosen if square or self.group.degrees(h) % 180 == 0]
        lying = [h for h in chosen if h not in upright]
        step = self.at_a_time or most or len(chosen)
        return [part[start : start + step] for part in (upright, lying) for start in range(0, len(part), step)]

    def _most(self, images: Float[Tensor, "B C H W"]) -> int | None:
        """Copies of each image in a batch, where nobody has said how many; None for all."""
        if self.training or is_open() or images.device.type != "cpu":
            return None
        return max(ON_PROCESSOR // max(len(images), 1), 1)

    def _answers(self, part: list[int], images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B F h w"]]:
        """What the network says of the copies ``h^-1 x``, moved back by h."""
        copies = in_format_of(images, torch.cat([self.group.act(self.group.inverse(h), images) for h in part]))
        network = self.network
        keeps = not (self.recompute and self.training and torch.is_grad_enabled() and isinstance(network, nn.Module))
        output = network(copies) if keeps else recomputed(network, copies)  # type: ignore[arg-type]
        maps = maps_of(output, copies.shape[0])
        if maps.shape[1] != self.fields:
            raise ValueError(
                f"the network that is adapted returned {maps.shape[1]} features an image, and {self.fields} before. It "
                "must return as many of every image."
            )
        answers = zip(part, maps.unflatten(0, (len(part), -1)).unbind(), strict=True)
        return [one if one.shape[-2:] == (1, 1) else self.group.act(h, one) for h, one in answers]

    @staticmethod
    def _check_fitting(maps: list[Tensor]) -> None:
        if all(one.shape[-2:] == maps[0].shape[-2:] for one in maps):
            return
        sides = dict.fromkeys(f"{one.shape[-2]} x {one.shape[-1]}" for one in maps)
        raise ValueError(
            "the maps of turned images must have their sides exchanged, as the images have; got maps of "
            f"{' and '.join(sides)} pixels, turned back. Pass square images, or give vectors instead of maps."
        )

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, {self.fields}"


def is_square(images: Tensor) -> bool:
    """Whether all copies have one shape; a graph for every size has two batches."""
    return not has_open_size(images) and images.shape[-1] == images.shape[-2]


def in_format_of(images: Float[Tensor, "B C H W"], copies: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C h w"]:
    """Copies with their channels last in memory where those of the images are: convolutions would be slower else."""
    last = not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)
    return copies.contiguous(memory_format=torch.channels_last) if last else copies


def check_exact(group: PlanarGroup | str) -> PlanarGroup:
    """The group itself, if all of its elements permute pixels.

    Raises:
        ValueError: if there is no such group, or one of its elements would interpolate between pixels.
    """
    group = PlanarGroup.parse(group)
    if len(group.exact_elements) < group.order:
        raise ValueError(
            f"group must be one whose elements permute pixels, so that the orbit of an image is exact; got {group}, "
            f"whose turns by {360 / group.rotations:g} degrees interpolate. Use 'c4' or 'd4'."
        )
    return group


def resized(images: Float[Tensor, "B C H W"], size: tuple[int, int] | None) -> Float[Tensor, "B C h w"]:
    """Images of the only size that a network takes, antialiased and bilinear; None for the images themselves."""
    if size is None or (not has_open_size(images) and tuple(images.shape[-2:]) == size):
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True)
