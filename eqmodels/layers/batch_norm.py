"""Batch normalisation of regular fields on the CPU, as fast as that of plain channels.

`torch.nn.BatchNorm2d` on a view with one channel a field is the definition (see `FieldBatchNorm2d`), but PyTorch's CPU
kernels vectorise over channels: with fewer of them than a vector register holds they take up to five times as long, and
sum half a million numbers one by one in float32. Here the kernels run over all ``|G| F`` channels (the sums over
all of a column's too), and only their statistics, a few numbers each, are merged over the fibre.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Float
from eqmodels.checks import check_batch

__all__ = ["field_batch_norm"]


def field_batch_norm(maps: Float[Tensor, "B C H W"], bn: nn.BatchNorm2d) -> Float[Tensor, "B C H W"]:
    """What `bn`, of F channels, does to ``|G| F`` group-major channels seen as F; updates its running statistics.

    Training mode merges the moments over the fibre and the columns, ``mean = E_g[mean_g]`` and ``var = E_g[var_g] +
    Var_g[mean_g]`` (all are over the same number of pixels), which is the variance of the whole field.

    Raises:
        ValueError: in training mode, if a field has a single value.
    """
    running_mean, running_var, batches, momentum = bn.running_mean, bn.running_var, bn.num_batches_tracked, bn.momentum
    # FieldBatchNorm2d asks only for modules that have all four.
    assert running_mean is not None
    assert running_var is not None
    assert batches is not None
    assert momentum is not None
    if not bn.training:
        order = maps.shape[1] // bn.num_features
        affine = bn.weight.repeat(order), bn.bias.repeat(order)
        return F.batch_norm(maps, running_mean.repeat(order), running_var.repeat(order), *affine, eps=bn.eps)
    count = maps.numel() // bn.num_features
    check_batch(maps, bn.num_features)
    normalised: Tensor
    normalised, mean, variance = _FieldBatchNorm.apply(maps, bn.weight, bn.bias, bn.eps)
    if bn.track_running_stats:
        with torch.no_grad():
            batches.add_(1)
            running_mean.lerp_(mean, momentum)
            # The running variance is the unbiased one, as in BatchNorm2d.
            running_var.lerp_(variance * (count / (count - 1)), momentum)
    return normalised


class _FieldBatchNorm(torch.autograd.Function):
    """Normalises by batch statistics; returns the normalised maps, and mean and (biased) variance of every field."""

    @staticmethod
    def forward(maps: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        fields, channels = weight.numel(), maps.shape[1]
        # The channels-last kernel adds up values one by one in float32, which costs accuracy with their number: give it
        # one statistic a column and channel, merged below. The other one sums in double precision.
        columns = maps if maps.is_contiguous() else maps.permute(0, 2, 3, 1).flatten(2).transpose(1, 2).unsqueeze(3)
        # The dummies make it return its sums in the dtype of the parameters.
        dummies = weight.new_zeros(columns.shape[1]), weight.new_ones(columns.shape[1])
        moments = torch.batch_norm_update_stats(columns, *dummies, 0.0)
        means, variances = (moment.view(-1, fields) for moment in moments)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        order = channels // fields
        affine = weight.repeat(order), bias.repeat(order)
        return F.batch_norm(maps, mean.repeat(order), variance.repeat(order), *affine, eps=eps), mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401 (torch's)
        maps, weight, bias, eps = inputs
        _, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(maps, weight, bias, mean, variance)
        ctx.eps = eps

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 (torch's)
        maps, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():
            # A second derivative is wanted: let autograd find both in the definition.
            return _differentiable_gradients(maps, weight, bias, gradient, ctx.eps)
        order, scale = maps.shape[1] // weight.numel(), weight * (variance + ctx.eps).rsqrt()
        # Normalising by given statistics has the same sums over pixels: of dy and of dy times the normalised map.
        _, weight_sums, bias_sums = torch.ops.aten.native_batch_norm_backward(
            gradient,
            maps,
            weight.repeat(order),
            mean.repeat(order),
            variance.repeat(order),
            None,
            None,
            False,
            ctx.eps,
            [False, True, True],
        )
        weight_gradient, bias_gradient = weight_sums.view(order, -1).sum(0), bias_sums.view(order, -1).sum(0)
        # dx = scale (dy - E[dy] - x_hat E[dy x_hat]) = scale dy + slope x + offset, one pass over dy and one over x.
        count = maps.numel() // weight.numel()
        slope = -scale * (variance + ctx.eps).rsqrt() * weight_gradient / count
        offset = -scale * bias_gradient / count - slope * mean
        scale, slope, offset = (v.repeat(order).view(1, -1, 1, 1).to(maps.dtype) for v in (scale, slope, offset))
        return torch.addcmul(offset, gradient, scale).addcmul_(maps, slope), weight_gradient, bias_gradient, None


def _differentiable_gradients(
    maps: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor, eps: float
) -> tuple[Tensor | None, ...]:
    fields = maps.unflatten(1, (-1, weight.numel())).transpose(1, 2).flatten(2)
    normalised = F.batch_norm(fields, None, None, weight, bias, True, 0.0, eps)
    unfolded = normalised.unflatten(2, (-1, *maps.shape[2:])).transpose(1, 2).flatten(1, 2)
    return (*torch.autograd.grad(unfolded, (maps, weight, bias), gradient, create_graph=True), None)
