"""Normalisation that treats a regular field as one: stock operations on views of the channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_batch, check_channels, check_count, check_scaled
from eqmodels.fields import Field, Regular
from eqmodels.groups import PlanarGroup
from eqmodels.layers.batch_norm import field_batch_norm
from eqmodels.layers.declared import check_tied, expect_field
from eqmodels.layers.scripting import NotScriptable

__all__ = ["FieldBatchNorm2d", "FieldLayerNorm2d"]

torch.fx.wrap("check_batch")
torch.fx.wrap("check_channels")
torch.fx.wrap("check_scaled")


class _FieldNorm(NotScriptable):
    """What normalises a fixed number of regular fields, each as one, and leaves them what they are.

    Args:
        group: a `PlanarGroup` or its name.
        fields: number of regular fields.

    Raises:
        TypeError: if `fields` is not an integer.
        ValueError: if it is below 1.
    """

    def __init__(self, group: PlanarGroup | str, fields: int) -> None:
        super().__init__()
        self.group, self.fields = PlanarGroup.parse(group), check_count("fields", fields)

    @property
    def in_field(self) -> Field:
        """Regular fields of the group."""
        return Regular(self.group, self.fields)

    @property
    def out_field(self) -> Field:
        """That of the input."""
        return self.in_field

    def output_field(self, field: Field) -> Field:
        """`out_field`, for an input of `in_field`.

        Raises:
            ValueError: if the input is of another field.
        """
        expect_field(self, self.in_field, field)
        return self.out_field


class FieldBatchNorm2d(_FieldNorm):
    """Batch normalisation with one statistic, one scale and one shift a field, over its whole fibre.

    ``(B, |G| fields, H, W)`` in and out. The group axis is folded into the width of a channels-last view, on which this
    *is* `torch.nn.BatchNorm2d` (the child `bn`, which `SyncBatchNorm.convert_sync_batchnorm` and what freezes batch
    norms, of timm, torchvision or DETR, therefore replace as they should). Eager mode on the CPU computes the same, up
    to rounding in the dtype of the maps, in `field_batch_norm`: up to five times as fast, and without calling the
    child, so that forward hooks belong on this module. Under the transforms of `torch.func` and in forward-mode
    differentiation it is the child.

    Fields that are `tied` share all three, as the parts of one field of a larger group do: with ``tied=2`` those of the
    numbers ``c`` and ``fields / 2 + c``, which `Restrict` makes of field ``c``.

    Args:
        group: a `PlanarGroup` or its name.
        fields: number of regular fields.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        tied: number of fields that share one statistic, one scale and one shift.

    Raises:
        TypeError: if a count is not an integer, or, in `forward`, if the maps are not floating point, or of a type
            that does not go with that of the scales.
        ValueError: if a count is below 1, `fields` is no multiple of `tied`, or, in `forward`, if the maps have another
            number of channels, or are on another device.

    Source: Ioffe and Szegedy 2015, arXiv 1502.03167; per field: Cohen and Welling 2016, arXiv 1602.07576.
    """

    def __init__(
        self, group: PlanarGroup | str, fields: int, *, eps: float = 1e-5, momentum: float = 0.1, tied: int = 1
    ) -> None:
        super().__init__(group, fields)
        self.tied = check_tied(fields, tied)
        self.bn = nn.BatchNorm2d(fields // tied, eps=eps, momentum=momentum)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Maps normalised by the statistics of the batch (train mode) or the running ones (eval mode)."""
        maps = check_channels(maps, self.group.order * self.fields, 4)
        # What somebody has put in its place is left to itself.
        if type(self.bn) is nn.BatchNorm2d and self.bn.affine:
            maps = check_scaled(maps, self.bn.weight)
        if self._on_cpu_kernels(maps):
            return field_batch_norm(maps, self.bn)
        if isinstance(self.bn, nn.BatchNorm2d) and self.bn.training:
            maps = check_batch(maps, self.fields // self.tied)
        # (B, G C, H, W) -> (B, H, W, G C) -> (B, H, W G, C): no copy if the memory is channels-last.
        pixels = maps.permute(0, 2, 3, 1)
        rows = self.group.order * self.tied
        folded = pixels.unflatten(3, (rows, self.fields // self.tied)).flatten(2, 3)
        normalised: Tensor = self.bn(folded.permute(0, 3, 1, 2))
        unfolded: Tensor = normalised.permute(0, 2, 3, 1).unflatten(2, (-1, rows)).flatten(3, 4)
        return unfolded.permute(0, 3, 1, 2)

    def _on_cpu_kernels(self, maps: Tensor | torch.fx.Proxy) -> bool:
        # A trace or a compiler wants the stock module, which follows its own mode and is fused anyway.
        if self.group.order * self.tied == 1 or torch.compiler.is_compiling() or isinstance(maps, torch.fx.Proxy):
            return False
        # What somebody has put in its place, a frozen or a synchronised norm, is called as it is.
        if type(self.bn) is not nn.BatchNorm2d or maps.device.type != "cpu" or maps.numel() == 0:
            return False
        # A cumulative average (`momentum` None) and the absence of statistics or scales are the stock module's affair.
        follows_momentum = self.bn.momentum is not None and self.bn.running_mean is not None
        return follows_momentum and self.bn.affine and not _is_transformed()


def _is_transformed() -> bool:
    """Whether a transform of `torch.func` or forward-mode differentiation is at work: kernels have no rule for it."""
    # torch has no public name for either.
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


class FieldLayerNorm2d(_FieldNorm):
    """Layer normalisation over all channels of each pixel, with one scale and one shift a field.

    ``(B, |G| fields, H, W)`` in and out. Mean and variance run over fields and fibre, which a group element only
    permutes. Independent of the batch, hence the norm of choice for small batches and several processes.

    Take two fields or more: where an image is flat, the channels of a single one are equal, and what is normalised is
    their rounding, by ``1 / sqrt(eps)`` at every layer, gradients too. Networks of such layers are exact in float64
    alone, and are not pretrained (see `eqmodels.training.pitfalls`).

    Args:
        group: a `PlanarGroup` or its name.
        fields: number of regular fields.
        eps: added to the variance.

    Raises:
        TypeError: if `fields` is not an integer, or, in `forward`, if the maps are not floating point, or of a type
            that does not go with that of the scales.
        ValueError: if `fields` is below 1, or, in `forward`, if the maps have another number of channels, or are on
            another device.

    Source: Ba et al. 2016, arXiv 1607.06450.
    """

    def __init__(self, group: PlanarGroup | str, fields: int, *, eps: float = 1e-6) -> None:
        super().__init__(group, fields)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(fields))
        self.bias = nn.Parameter(torch.zeros(fields))

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Maps normalised over all channels of each pixel."""
        order = self.group.order
        maps = check_channels(maps, order * self.fields, 4)
        pixels = check_scaled(maps, self.weight).permute(0, 2, 3, 1)
        shape = (order * self.fields,)
        normalised = F.layer_norm(pixels, shape, self.weight.repeat(order), self.bias.repeat(order), self.eps)
        return normalised.permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.group}, {self.fields}, eps={self.eps}"
