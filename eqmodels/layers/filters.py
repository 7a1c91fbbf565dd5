"""Steerable filters: one small weight, expanded over a group by a gather and at most one contraction."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._autocast import autocast_dtype
from eqmodels._shapes import Float, Int
from eqmodels.checks import check_count
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers.basis import BasisName, check_basis, default_basis, pixel_sources, scalar_basis
from eqmodels.layers.declared import expect_field
from eqmodels.layers.scripting import NotScriptable

__all__ = ["SteerableFilters"]


class SteerableFilters(NotScriptable):
    """The weights of a linear equivariant map to regular fields, and their expansion into ordinary filters.

    The kernel from group channel ``h`` to ``g`` is ``K[g, h](x) = sum_j w[r, j] b_j(g^-1 x)`` with ``r = g^-1 h``
    (regular input), or ``K[g](x) = sum_j w[0, j] b_j(g^-1 x)`` (lifting: the input has no fibre). `weight` has the
    shape ``(R J, out_fields, in_fields)``, ``r`` (R = |G|, or 1 if lifting) before ``j``: these axes lead, so that the
    expansion moves whole ``out_fields x in_fields`` blocks, and are one, so that ``model.to(memory_format=...)``, which
    rearranges what has four axes, leaves them alone. Nothing is cached: the filters follow the weight in every mode.

    The weight is drawn with variance ``2 / (fan in)`` (He et al. 2015, arXiv 1502.01852), which keeps the variance of
    the activations through layers followed by a ReLU, whatever the group and the basis.

    Args:
        group: a `PlanarGroup` or its name.
        in_fields: number of regular input fields (lifting: of input channels).
        out_fields: number of regular output fields.
        kernel_size: k.
        basis: ``"pixel"``, ``"harmonic"`` or None for the group's default (see `scalar_basis`).
        lifting: whether the input transforms as an image, without a fibre.
        bias: whether there is a bias, one a field.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is below 1, or the basis does not exist for the group or the kernel size.
    """

    weight: Tensor
    bias: Tensor | None
    _blocks: Tensor
    _functions: Tensor | None

    def __init__(
        self,
        group: PlanarGroup | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int = 1,
        *,
        basis: BasisName | None = None,
        lifting: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("in_fields", in_fields), ("out_fields", out_fields), ("kernel_size", kernel_size)):
            check_count(name, value)
        self.group = PlanarGroup.parse(group)
        self.in_fields, self.out_fields, self.kernel_size, self.lifting = in_fields, out_fields, kernel_size, lifting
        self.basis: BasisName = default_basis(self.group) if basis is None else check_basis(basis)
        self.fibre = 1 if lifting else self.group.order
        functions = _tables(self.basis, self.group, kernel_size, self.fibre)[1].shape[1]
        self.weight = nn.Parameter(torch.empty(self.fibre * functions, out_fields, in_fields))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_fields)) if bias else None)
        self._place_tables()
        self.reset_parameters()

    @property
    def in_channels(self) -> int:
        """Channels of the input, ``|G| in_fields`` (lifting: ``in_fields``)."""
        return self.fibre * self.in_fields

    @property
    def out_channels(self) -> int:
        """Channels of the output, ``|G| out_fields``."""
        return self.group.order * self.out_fields

    @property
    def in_field(self) -> Field:
        """Scalars if lifting, else regular fields of the group."""
        return Scalars(self.in_fields) if self.lifting else Regular(self.group, self.in_fields)

    @property
    def out_field(self) -> Field:
        """Regular fields of the group."""
        return Regular(self.group, self.out_fields)

    def output_field(self, field: Field) -> Field:
        """`out_field`, for an input of `in_field`.

        Raises:
            ValueError: if the input is of another field.
        """
        expect_field(self, self.in_field, field)
        return self.out_field

    def reset_parameters(self) -> None:
        """Draws the weight afresh; a bias starts at zero."""
        if self.weight.is_meta:  # there are no values, and drawing them takes a third of the time of loading a network
            return
        # The response of the basis functions is that of k^2 pixels in every basis, so this is a plain filter's fan-in.
        fan_in = self.in_channels * self.kernel_size**2
        nn.init.normal_(self.weight, std=(2.0 / fan_in) ** 0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _place_tables(self) -> None:
        """Puts the constant tables where the weight is, rounded once from float64.

        They are no buffers: averaging the buffers of a teacher must not touch integers, casting a network to half
        precision and back must not round them twice, and `to_empty` must not leave them without values.

        Modules are told when all of them moves, and the tables follow at once, so that a trace or a copy has them. A
        weight may be replaced alone as well, by loaders that fill a network built on ``meta`` tensor by tensor, or that
        fetch weights for one forward pass: hence `_follow_weight`.
        """
        blocks, functions = _tables(self.basis, self.group, self.kernel_size, self.fibre)
        self._blocks = blocks.to(self.weight.device)
        # Turned deltas only move blocks: the gather says it all.
        mixes = self.basis == "harmonic" and self.kernel_size > 1
        place = self.weight.device, self.weight.dtype
        self._functions = functions.flatten(2).mT.to(*place).contiguous() if mixes else None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SteerableFilters:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._place_tables()
        return self

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (torch's)
        super()._load_from_state_dict(*arguments, **options)
        # `assign=True` may have brought a weight on another device.
        self._place_tables()

    def _follow_weight(self) -> None:
        """Places the tables anew if somebody has replaced the weight by one on another device or of another type."""
        weight: Tensor | torch.fx.Proxy = self.weight
        # A trace stands for the weight that is there.
        if isinstance(weight, torch.fx.Proxy):
            return
        functions = self._functions
        if self._blocks.device != weight.device or (functions is not None and functions.dtype != weight.dtype):
            self._place_tables()

    def expanded(self) -> Float[Tensor, "out_channels in_channels k k"]:
        """The ordinary filters, in channels-last memory; under autocast in its dtype."""
        self._follow_weight()
        order, k = self.group.order, self.kernel_size
        weight = _in_autocast_dtype(self.weight)
        blocks = weight if self._functions is None else weight.unflatten(0, (self.fibre, -1))
        if order > 1 or self._functions is not None:
            blocks = blocks.index_select(0, self._blocks)
        if self._functions is not None:
            # (g, h, J, out * in) -> (g, h, pixel, out * in) -> (g, pixel, h, out * in)
            turned = blocks.flatten(2).unflatten(0, (order, self.fibre))
            blocks = torch.matmul(self._functions[:, None], turned).transpose(1, 2)
        pixels = blocks.reshape(order, k * k, self.fibre, self.out_fields, self.in_fields)
        # Channels-last: the rows of in_fields stay contiguous, which makes this copy a fast one.
        rows = pixels.permute(0, 3, 1, 2, 4).reshape(order * self.out_fields, k, k, self.fibre * self.in_fields)
        # C1 has moved nothing yet.
        return rows.contiguous().permute(0, 3, 1, 2)

    def expanded_bias(self) -> Float[Tensor, " out_channels"] | None:
        """The bias of every dense output channel, group-major."""
        return None if self.bias is None else self.bias.repeat(self.group.order)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        kind = "lifting" if self.lifting else "regular"
        return (
            f"{self.group}, {self.in_fields}, {self.out_fields}, kernel_size={self.kernel_size}, "
            f"basis={self.basis!r}, {kind}"
        )


@lru_cache(maxsize=64)
def _tables(
    basis: BasisName, group: PlanarGroup, kernel_size: int, fibre: int
) -> tuple[Int[Tensor, " rows"], Float[Tensor, "order J k k"]]:
    """Which block of the weight goes where, and the basis functions, on the CPU.

    The blocks come in rows ``(g, pixel, h)`` of blocks ``(r, j)`` for deltas, else in rows ``(g, h)`` of blocks ``r``.
    """
    # The tables are cached: neither the default device nor the inference mode of the first caller may stick to them.
    with torch.device("cpu"), torch.inference_mode(False):
        functions = scalar_basis(basis, group, kernel_size)
        relative = group.relative_elements() if fibre > 1 else torch.zeros(group.order, 1, dtype=torch.long)
        if basis == "harmonic" and kernel_size > 1:
            return relative.flatten(), functions
        sources = pixel_sources(group, kernel_size)
        return (relative[:, None, :] * kernel_size**2 + sources[:, :, None]).flatten(), functions


def _in_autocast_dtype(weight: Tensor) -> Tensor:
    """The small weight cast before its expansion, which is cheaper than casting the large filter after it."""
    dtype = autocast_dtype(weight.device)
    # Autocast leaves double precision alone.
    return weight if dtype is None or weight.dtype == torch.float64 else weight.to(dtype)


torch.fx.wrap("_in_autocast_dtype")
