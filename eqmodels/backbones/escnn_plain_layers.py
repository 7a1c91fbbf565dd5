"""The layers that a converted network of escnn is made of: plain tensors, in escnn's own order of channels.

They have the weights of escnn's layers and compute what these do, in train and in eval mode; escnn is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float, Int, Shaped

__all__ = [
    "BasisConv2d",
    "Block",
    "Blurred",
    "ChannelMap",
    "DropFields",
    "LargestOfFields",
    "Masked",
    "NormOfFields",
    "WindowMean",
]


class Block(NamedTuple):
    """The filters between all fields of one representation and all of another.

    Attributes:
        basis: the kernels of one pair of fields, ``(K, out, in, k k)``.
        rows: channels of the output, field by field.
        columns: channels of the input, field by field.
    """

    basis: Float[Tensor, "K out in pixels"]
    rows: Int[Tensor, " R"]
    columns: Int[Tensor, " C"]


class BasisConv2d(nn.Module):
    """A convolution whose filter is a sum of fixed kernels, whatever representations they map.

    ``(B, in, H, W) -> (B, out, H', W')``. The kernels of a pair of fields are weighted by numbers of this pair, and all
    that they leave out is zero; a bias is a sum of fixed vectors. The state dict holds both, and the weights, so that a
    file says what the network computes.

    Args:
        blocks: the kernels, by pair of representations.
        weights: the weight of each kernel: block by block, in it by output field, then by input field.
        channels: of the output and of the input, of one group of the convolution.
        kernel_size: k.
        bias: weights of the vectors; None for no bias.
        vectors: ``(out, number)``; None for no bias.
        stride: step along both axes.
        padding: pixels on each side, along each axis.
        dilation: distance between the pixels of a kernel.
        groups: of the convolution.
        padding_mode: what is beyond the border: zeros, reflect, replicate or circular.

    Source: Cesa, Lang and Weiler, ICLR 2022.
    """

    vectors: Tensor | None

    def __init__(
        self,
        blocks: Sequence[Block],
        weights: Float[Tensor, " W"],
        channels: tuple[int, int],
        kernel_size: int,
        *,
        bias: Float[Tensor, " T"] | None = None,
        vectors: Float[Tensor, "out T"] | None = None,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        dilation: int = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        self.channels, self.kernel_size, self.groups = channels, kernel_size, groups
        self.stride, self.padding, self.dilation, self.padding_mode = stride, padding, dilation, padding_mode
        self.weights = nn.Parameter(weights.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.register_buffer("vectors", None if vectors is None else vectors.clone())
        self.blocks = len(blocks)
        for number, block in enumerate(blocks):
            for name, value in block._asdict().items():
                self.register_buffer(f"{name}{number}", value.clone())

    def block(self, number: int) -> Block:
        """The kernels of one pair of representations."""
        return Block(*(getattr(self, f"{name}{number}") for name in Block._fields))

    def expanded(self) -> Float[Tensor, "out in k k"]:
        """The filter that the weights give now."""
        side = self.kernel_size
        filters = self.weights.new_zeros(*self.channels, side * side)
        start = 0
        for number in range(self.blocks):
            basis, rows, columns = self.block(number)
            kernels, out, into = basis.shape[:3]
            pairs = len(rows) // out, len(columns) // into
            end = start + pairs[0] * pairs[1] * kernels
            weights = self.weights[start:end].view(*pairs, kernels)
            values = torch.einsum("abk,koip->aobip", weights, basis).reshape(len(rows), len(columns), side * side)
            filters = filters.index_put((rows[:, None], columns[None]), values.to(filters.dtype))
            start = end
        result: Tensor = filters.unflatten(2, (side, side))
        return result

    def forward(self, maps: Float[Tensor, "B in H W"]) -> Float[Tensor, "B out H2 W2"]:
        """The convolution of the filter that the weights give now."""
        bias = None if self.bias is None or self.vectors is None else self.vectors @ self.bias
        padding = self.padding
        if self.padding_mode != "zeros":
            (rows, columns), padding = padding, (0, 0)
            maps = F.pad(maps, (columns, columns, rows, rows), mode=self.padding_mode)
        return F.conv2d(maps, self.expanded(), bias, self.stride, padding, self.dilation, self.groups)


class _ByFields(nn.Module):
    """What treats the channels of each field together: fields of one size at a time.

    Args:
        channels: of all fields of a size, by size, field by field.
    """

    def __init__(self, channels: dict[int, Int[Tensor, " C"]]) -> None:
        super().__init__()
        self.sizes = tuple(channels)
        for size, places in channels.items():
            self.register_buffer(f"channels{size}", places.clone())

    def fields(self, maps: Shaped[Tensor, "B C H W"], size: int) -> Shaped[Tensor, "B N size H W"]:
        """All fields of a size."""
        found: Tensor = maps[:, getattr(self, f"channels{size}")].unflatten(1, (-1, size))
        return found

    def changed(self, maps: Shaped[Tensor, "B C H W"]) -> Shaped[Tensor, "B C H W"]:
        """Maps with all fields of each size in the place of those that `of_fields` gives."""
        result = maps
        for size in self.sizes:
            places = getattr(self, f"channels{size}")
            result = result.index_copy(1, places, self.of_fields(self.fields(maps, size), size).flatten(1, 2))
        return result

    def of_fields(self, fields: Shaped[Tensor, "B N size H W"], size: int) -> Shaped[Tensor, "B N size H W"]:
        """What becomes of fields of a size."""
        raise NotImplementedError


class NormOfFields(_ByFields):
    """Batch normalisation with one statistic a field: `InnerBatchNorm` of escnn.

    Args:
        channels: of all fields of a size, by size.
        norms: the norm of the fields of each size, over ``(B, N, size, H, W)``.
    """

    def __init__(self, channels: dict[int, Int[Tensor, " C"]], norms: dict[int, nn.Module]) -> None:
        super().__init__(channels)
        self.norms = nn.ModuleDict({str(size): norm for size, norm in norms.items()})

    def of_fields(self, fields: Shaped[Tensor, "B N size H W"], size: int) -> Shaped[Tensor, "B N size H W"]:
        """The normalised fields."""
        normalised: Tensor = self.norms[str(size)](fields)
        return normalised

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The normalised maps."""
        return self.changed(maps)


class DropFields(_ByFields):
    """Dropout of whole fields, at all pixels: `FieldDropout` of escnn, whose draws are others.

    Args:
        channels: of all fields of a size, by size.
        p: the probability that a field is dropped.
    """

    def __init__(self, channels: dict[int, Int[Tensor, " C"]], p: float) -> None:
        super().__init__(channels)
        self.p = p

    def of_fields(self, fields: Shaped[Tensor, "B N size H W"], size: int) -> Shaped[Tensor, "B N size H W"]:  # noqa: ARG002
        """Fields of which some are zero, and the others larger."""
        kept = F.dropout(fields.new_ones(*fields.shape[:2], 1, *fields.shape[3:]), self.p)
        return fields * kept

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """In train mode the maps with some fields dropped at each pixel, else the maps."""
        return self.changed(maps) if self.training else maps


class LargestOfFields(_ByFields):
    """The largest channel of each field: `GroupPooling` of escnn.

    Args:
        channels: of all fields of a size, by size.
        places: of what is made of them, among the channels of the output.
    """

    order: Tensor

    def __init__(self, channels: dict[int, Int[Tensor, " C"]], places: dict[int, Int[Tensor, " N"]]) -> None:
        super().__init__(channels)
        order = torch.cat([places[size] for size in self.sizes])
        self.register_buffer("order", order.argsort())

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N H W"]:
        """One channel a field."""
        return torch.cat([self.fields(maps, size).amax(2) for size in self.sizes], 1)[:, self.order]


class Blurred(nn.Module):
    """Maps blurred by a fixed filter, channel by channel, before they are thinned out.

    Args:
        filters: one a channel, ``(C, 1, k, k)``.
        stride: step along each axis.
        padding: zeros on each side, along each axis.
    """

    filters: Tensor

    def __init__(
        self, filters: Float[Tensor, "C 1 k k"], stride: int | tuple[int, int], padding: int | tuple[int, int]
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.register_buffer("filters", filters.clone())

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        """The blurred maps."""
        return F.conv2d(maps, self.filters, None, self.stride, self.padding, 1, len(self.filters))


class WindowMean(nn.Module):
    """The mean over windows whose size is known once there are maps; PyTorch has a function for it, and no module."""

    def forward(self, maps: Float[Tensor, "B C H W"], *args: Any, **kwargs: Any) -> Float[Tensor, "B C H2 W2"]:  # noqa: ANN401
        """`torch.nn.functional.avg_pool2d`."""
        return F.avg_pool2d(maps, *args, **kwargs)


class ChannelMap(nn.Module):
    """A fixed linear map of the channels at each pixel: a change of basis or of order.

    Args:
        matrix: ``(out, in)``.
    """

    matrix: Tensor

    def __init__(self, matrix: Float[Tensor, "out in"]) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix.clone())

    def forward(self, maps: Float[Tensor, "B in H W"]) -> Float[Tensor, "B out H W"]:
        """The mapped channels."""
        return torch.einsum("oi,bihw->bohw", self.matrix, maps)


class Masked(nn.Module):
    """Maps times a fixed one: what is outside a disc is zero.

    Args:
        mask: ``(1, 1, H, W)``.
    """

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "1 1 H W"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask.clone())

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The masked maps."""
        return maps * self.mask
